#pragma once
// config.json of BERT folders: BertConfig from and to Hugging Face's keys.

#include <algorithm>
#include <locale>
#include <sstream>
#include <string>

#include "gptlite/io/gpt_config_json.hpp"
#include "gptlite/io/known_bert_keys.hpp"
#include "gptlite/models/bert_config.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

inline BertConfig read_bert_config(const ModelConfigFile& file, const std::string& path) {
  const std::string type = file.text("model_type");
  file.expect(type == "bert", "\"model_type\" is \"", type, "\", which is not supported here, only bert");
  check_bert_keys(file.json(), "load_bert", path);
  BertConfig config;
  config.vocab_size = file.required_size("vocab_size");
  config.block_size = file.required_size("max_position_embeddings");
  config.n_layer = file.required_size("num_hidden_layers");
  config.n_head = file.required_size("num_attention_heads");
  config.n_embd = file.required_size("hidden_size");
  config.n_inner = file.required_size("intermediate_size");
  config.type_vocab_size = file.required_size("type_vocab_size");
  config.dropout = file.number_or("hidden_dropout_prob", 0.1);
  config.layer_norm_epsilon = file.number_or("layer_norm_eps", 1e-12);
  config.initializer_range = file.number_or("initializer_range", 0.02);
  config.activation = file.activation_or("hidden_act", gpt2_activations, Activation::gelu_erf);
  if (config.type_vocab_size >= 2) config.separator = file.token_id("sep_token_id");
  try {
    config.validate();
  } catch (const ConfigError& error) {
    file.expect(false, error.what());
  }
  return config;
}

/// Makes the config.json of a BERT. architecture: the name of transformers' class.
inline nlohmann::ordered_json bert_config_json(const BertConfig& c, const std::string& architecture) {
  const auto activation = std::find_if(std::begin(gpt2_activations), std::end(gpt2_activations),
                                       [&](const auto& each) { return each.activation == c.activation; });
  check<ConfigError>(activation != std::end(gpt2_activations), "save_bert", "transformers' bert has no activation ",
                     name_of(c.activation));
  nlohmann::ordered_json config = {{"model_type", "bert"},
                                   {"architectures", {architecture}},
                                   {"vocab_size", c.vocab_size},
                                   {"max_position_embeddings", c.block_size},
                                   {"hidden_size", c.n_embd},
                                   {"num_hidden_layers", c.n_layer},
                                   {"num_attention_heads", c.n_head},
                                   {"intermediate_size", c.inner()},
                                   {"type_vocab_size", c.type_vocab_size},
                                   {"hidden_act", activation->name},
                                   {"hidden_dropout_prob", c.dropout},
                                   {"attention_probs_dropout_prob", c.dropout},
                                   {"layer_norm_eps", c.layer_norm_epsilon},
                                   {"initializer_range", c.initializer_range}};
  if (c.separator) config["sep_token_id"] = *c.separator;
  return config;
}

/// What config.json says beyond the shapes of the weights.
inline std::string config_fingerprint(const BertConfig& c) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << "bert, n_head " << c.n_head << ", activation " << name_of(c.activation) << ", layer_norm_epsilon "
       << c.layer_norm_epsilon;
  return text.str();
}

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
