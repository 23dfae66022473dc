#pragma once
// The models that compare.cpp puts side by side: GPT, an LSTM language model in its place, BERT and ELMo, of one depth
// and width and, without embeddings, of the same number of parameters within 2%.

#include <algorithm>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <string>

namespace gptlite::compare {

/// What the models have in common.
struct ComparedSizes {
  Index vocab_size, n_layer = 4, n_head = 4, n_embd = 128, block_size = 128;
  double dropout = 0.1;
  double initializer_range = 0.02;  // of GPT and BERT
  Precision precision = Precision::fp32;
  std::uint64_t seed = 1337;
};

inline GPTConfig gpt_config(const ComparedSizes& s) {
  return {.vocab_size = s.vocab_size,
          .block_size = s.block_size,
          .n_layer = s.n_layer,
          .n_head = s.n_head,
          .n_embd = s.n_embd,
          .dropout = s.dropout,
          .precision = s.precision,
          .initializer_range = s.initializer_range,
          .seed = s.seed};
}
/// The MLPs are narrower by what the pooler and the head of the masked language model have.
inline BertConfig bert_config(const ComparedSizes& s, TokenId separator) {
  return {.vocab_size = s.vocab_size,
          .block_size = s.block_size,
          .n_layer = s.n_layer,
          .n_head = s.n_head,
          .n_embd = s.n_embd,
          .n_inner = 4 * s.n_embd - s.n_embd / s.n_layer,
          .dropout = s.dropout,
          .initializer_range = s.initializer_range,
          .precision = s.precision,
          .seed = s.seed,
          .separator = separator};
}
/// 9 C H parameters of a layer, 12 C^2 of a block.
inline LstmLmConfig lstm_config(const ComparedSizes& s) {
  return {.vocab_size = s.vocab_size,
          .n_embd = s.n_embd,
          .hidden_size = (4 * s.n_embd + 2) / 3,
          .n_layer = s.n_layer,
          .dropout = s.dropout,
          .precision = s.precision,
          .seed = s.seed};
}
/// Both directions together are as wide as the other models.
inline ElmoConfig elmo_config(const ComparedSizes& s) {
  return {.vocab_size = s.vocab_size,
          .n_embd = s.n_embd / 2,
          .hidden_size = (4 * s.n_embd + 2) / 3,
          .n_layer = s.n_layer,
          .dropout = s.dropout,
          .precision = s.precision,
          .seed = s.seed};
}

/// Parameters without the embeddings of tokens, positions and segments, and without the output's bias.
template <class Model>
Index inner_parameters(const Model& model) {
  Index count = 0;
  visit_parameters(model, [&](const std::string& name, const auto& weight) {
    const bool embedding =
        name.find("wte") != name.npos || name.find("wpe") != name.npos || name.find("wse") != name.npos;
    if (!embedding && name != "bias") count += weight.numel();
  });
  return count;
}

/// Writes all parameters of a model, by name.
template <class Model>
void save_weights(const std::string& path, const Model& model) {
  io::NamedTensors tensors;
  visit_parameters(model, [&](const std::string& name, const auto& weight) { tensors.emplace(name, weight.detach()); });
  io::save_safetensors(path, tensors);
}
/// Reads them into a model of the same sizes.
template <class Model>
void load_weights(const std::string& path, Model& model) {
  io::SafetensorsFile file(path);
  visit_parameters(model, [&](const std::string& name, auto& weight) {
    const auto read = file.read<float>(name);
    check<DataError>(read.shape() == weight.shape(), "compare", path, ": ", name, " is ", read.shape(),
                     ", the model's is ", weight.shape(), ": it was saved with other sizes");
    std::copy_n(read.data(), read.numel(), weight.data());
  });
}

}  // namespace gptlite::compare
