#pragma once
// BERT models from and to the folders of Hugging Face's transformers: config.json, model.safetensors and a tokenizer.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/io/bert_config_json.hpp"
#include "gptlite/io/differences.hpp"
#include "gptlite/io/folder_update.hpp"
#include "gptlite/io/model_files.hpp"
#include "gptlite/io/model_weights.hpp"
#include "gptlite/io/tokenizer_folder.hpp"
#include "gptlite/models/bert_pre_training.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {

/// A tensor of a published checkpoint: columns first .. first + columns - 1 of one of ours. torch.nn.Linear stores the
/// transposed matrix, and q, k and v apart.
template <class T>
struct BertPart {
  std::string name;  // published, without "bert."
  Tensor<T> tensor;
  Index first, columns;
  bool transposed;

  Shape shape() const {
    if (tensor.rank() == 1) return {columns};
    return transposed ? Shape{columns, tensor.shape()[0]} : tensor.shape();
  }
  /// Calls f(ours, published) with the positions of each number in both.
  template <class F>
  void for_numbers(F&& f) const {
    const Index rows = tensor.rank() == 1 ? 1 : tensor.shape()[0], width = tensor.shape()[-1];
    for (Index row = 0; row < rows; ++row)
      for (Index column = 0; column < columns; ++column)
        f(row * width + first + column, transposed ? column * rows + row : row * columns + column);
  }
};

template <class T>
using BertParts = std::vector<BertPart<T>>;

template <class T>
void add_whole(BertParts<T>& parts, const std::string& name, const Tensor<T>& tensor) {
  parts.push_back({name, tensor, 0, tensor.shape()[-1], false});
}
template <class T>
void add_linear(BertParts<T>& parts, const std::string& name, const Linear<T>& layer, Index first = 0,
                Index columns = 0) {
  if (columns == 0) columns = layer.weight.shape()[1];
  parts.push_back({name + ".weight", layer.weight, first, columns, true});
  parts.push_back({name + ".bias", layer.bias, first, columns, false});
}
template <class T>
void add_norm(BertParts<T>& parts, const std::string& name, const auto& norm) {
  add_whole(parts, name + ".weight", norm.weight);
  add_whole(parts, name + ".bias", norm.bias);
}

/// The tensors of transformers' BertModel.
template <class T>
BertParts<T> published_parts(const Bert<T>& model) {
  BertParts<T> parts;
  add_whole(parts, "embeddings.word_embeddings.weight", model.wte.weight);
  add_whole(parts, "embeddings.position_embeddings.weight", model.wpe.weight);
  add_whole(parts, "embeddings.token_type_embeddings.weight", model.wse.weight);
  add_norm(parts, "embeddings.LayerNorm", model.ln);
  for (std::size_t i = 0; i < model.h.size(); ++i) {
    const Block<T>& block = model.h[i];
    const std::string layer = "encoder.layer." + std::to_string(i) + '.';
    const Index C = model.config.n_embd;
    add_linear(parts, layer + "attention.self.query", block.attn.c_attn, 0, C);
    add_linear(parts, layer + "attention.self.key", block.attn.c_attn, C, C);
    add_linear(parts, layer + "attention.self.value", block.attn.c_attn, 2 * C, C);
    add_linear(parts, layer + "attention.output.dense", block.attn.c_proj);
    add_norm(parts, layer + "attention.output.LayerNorm", block.ln_1);
    add_linear(parts, layer + "intermediate.dense", block.mlp.c_fc);
    add_linear(parts, layer + "output.dense", block.mlp.c_proj);
    add_norm(parts, layer + "output.LayerNorm", block.ln_2);
  }
  if (model.pooler) add_linear(parts, "pooler.dense", *model.pooler);
  return parts;
}
/// The tensors of transformers' BertForPreTraining beside its BertModel.
template <class T>
BertParts<T> published_heads(const BertPreTraining<T>& model) {
  BertParts<T> parts;
  add_linear(parts, "cls.predictions.transform.dense", model.transform);
  add_norm(parts, "cls.predictions.transform.LayerNorm", model.ln);
  add_whole(parts, "cls.predictions.bias", model.bias);
  add_linear(parts, "cls.seq_relationship", model.seq_relationship);
  return parts;
}

/// Name of a tensor as newer files spell it, without "bert.". Files converted from TensorFlow have gamma and beta.
inline std::string plain_bert_name(std::string name) {
  if (name.starts_with("bert.")) name.erase(0, 5);
  for (const auto& [old, now] :
       {std::pair("LayerNorm.gamma", "LayerNorm.weight"), {"LayerNorm.beta", "LayerNorm.bias"}})
    if (name.ends_with(old)) name.replace(name.size() - std::string_view(old).size(), std::string::npos, now);
  return name;
}

/// The files of a BERT, opened.
struct OpenBert {
  std::string folder;
  BertConfig config;
  ModelWeights weights;
  std::map<std::string, std::string> names;  // in the file, by plain_bert_name

  explicit OpenBert(const std::string& path)
      : folder(path),
        config(read_bert_config(ModelConfigFile(path + "/config.json", "load_bert"), path + "/config.json")),
        weights(path, "load_bert", "AutoModelForPreTraining") {
    double held = 0;
    for (const std::string& name : weights.names()) {
      held += static_cast<double>(weights.entry(name).shape.numel());
      const auto [known, added] = names.emplace(plain_bert_name(name), name);
      check<DataError>(added, "load_bert", weights.path(), ": ", known->second, " and ", name, " are the same tensor");
    }
    config.pooler = names.contains("pooler.dense.weight");
    // Before a model of absurd size is made. A layer has 16 tensors.
    const double C = static_cast<double>(config.n_embd), H = static_cast<double>(config.inner());
    const double rows = static_cast<double>(config.vocab_size) + static_cast<double>(config.block_size) +
                        static_cast<double>(config.type_vocab_size);
    const double asked = rows * C + static_cast<double>(config.n_layer) * (4 * C + 2 * H) * C;
    check<DataError>(asked <= 2 * held + 1e6 && 16 * config.n_layer <= static_cast<Index>(names.size()), "load_bert",
                     folder, ": config.json asks for ", asked, " numbers in ", config.n_layer,
                     " layers, its safetensors have ", held, " in ", names.size(), " tensors");
    const std::string saved = weights.metadata(saved_config_key), here = config_fingerprint(config);
    check<DataError>(saved.empty() || saved == here, "load_bert", folder, ": config.json says ", here,
                     ", model.safetensors was saved with ", saved, ": the folder holds files of two models");
  }

  /// Reads tensors into a model. Throws DataError if one is missing or has another shape, and for one that is neither a
  /// part, nor passed over: a head, which starts with one of `others`.
  template <class T>
  void read(const BertParts<T>& parts, const std::vector<std::string_view>& others) {
    Differences differences("config.json asks for ");
    std::map<std::string, std::string> left = names;
    for (const BertPart<T>& part : parts) {
      const auto found = left.find(part.name);
      if (found == left.end()) {
        differences.missing.push_back(part.name);
        continue;
      }
      differences.compare(part.name, weights.entry(found->second).shape, part.shape());
      left.erase(found);
    }
    for (const auto& [name, full] : left) {
      const bool other = std::any_of(others.begin(), others.end(),
                                     [plain = std::string_view(name)](auto head) { return plain.starts_with(head); });
      if (!other && name != "embeddings.position_ids" && name != "embeddings.token_type_ids")
        differences.unexpected.push_back(full);
    }
    differences.check_none("load_bert", weights.path());
    for (const BertPart<T>& part : parts) {
      const Tensor<T> numbers = weights.read<T>(names.at(part.name));
      Tensor<T> tensor = part.tensor;
      T* const to = tensor.data();
      const T* const from = numbers.data();
      part.for_numbers([&](Index ours, Index published) { to[ours] = from[published]; });
    }
  }
};

template <class T>
void add_tensors(NamedTensors& tensors, const std::string& prefix, const BertParts<T>& parts) {
  for (const BertPart<T>& part : parts) {
    Tensor<T> published = Tensor<T>::empty(part.shape());
    T* const to = published.data();
    const T* const from = part.tensor.data();
    part.for_numbers([&](Index ours, Index at) { to[at] = from[ours]; });
    tensors.emplace(prefix + part.name, std::move(published));
  }
}

inline void save_bert_files(const std::string& folder, const BertConfig& config, const std::string& architecture,
                            NamedTensors tensors, const text::Tokenizer& tokenizer, std::optional<DType> dtype) {
  check<DataError>(tokenizer.vocab_size() <= config.vocab_size, "save_bert", folder, ": the tokenizer has ",
                   tokenizer.vocab_size(), " tokens, the model ", config.vocab_size);
  const ModelFiles files("save_bert", folder, config_fingerprint(config), bert_config_json(config, architecture),
                         std::move(tensors), dtype, tokens_checksum(tokenizer));
  const TokenizerFiles tokens = tokenizer_files(tokenizer);
  std::vector<std::string> names = tokenizer_file_names();
  for (const std::string& name : model_file_names()) names.push_back(name);
  FolderUpdate update(folder, names);
  files.write(update.staging());
  write_tokenizer(update.staging(), tokens);
  update.commit();
}

}  // namespace detail

/// A BERT and its tokenizer: M is Bert<T> or BertPreTraining<T>.
template <class M>
struct BertFolder {
  M model;
  text::Tokenizer tokenizer;
};

namespace detail {
/// The tokenizer beside a BERT. Without sep_token_id its [SEP] ends segments.
inline text::Tokenizer load_bert_tokenizer(OpenBert& files) {
  text::Tokenizer tokenizer = load_tokenizer(files.folder);
  if (!files.config.separator && files.config.type_vocab_size >= 2)
    files.config.separator = tokenizer.token_to_id("[SEP]");
  const std::string saved = files.weights.metadata(saved_tokenizer_key);
  check<DataError>(saved.empty() || saved == tokens_checksum(tokenizer), "load_bert", files.folder,
                   ": model.safetensors was saved with another tokenizer than the one beside it: the folder holds "
                   "files of two models");
  check<DataError>(tokenizer.vocab_size() <= files.config.vocab_size, "load_bert", files.folder, ": the tokenizer has ",
                   tokenizer.vocab_size(), " tokens, the model ", files.config.vocab_size);
  tokenizer.set_padded_size(files.config.vocab_size);
  return tokenizer;
}
}  // namespace detail

/// Loads the encoder of a folder of transformers, of model_type bert, and its tokenizer: `auto [model, tokenizer] =
/// load_bert("all-MiniLM-L6-v2");` The model is in evaluation mode; it has a pooler if the file has one. Weights of any
/// float format, in one file or several, are converted to T. Heads are skipped. Throws DataError, with the path, for a
/// file that is missing or malformed, for a setting that Bert does not have, and, all in one message, for every
/// parameter that is missing, unknown or of another shape.
template <class T = float>
BertFolder<Bert<T>> load_bert(const std::string& folder) {
  detail::OpenBert files(folder);
  text::Tokenizer tokenizer = detail::load_bert_tokenizer(files);
  Bert<T> model(files.config, Init::none());
  files.read(detail::published_parts(model), {"cls.", "classifier.", "qa_outputs."});
  model.eval();
  return {std::move(model), std::move(tokenizer)};
}

/// Loads a BERT with the heads of its pre-training, as transformers' BertForPreTraining has them, and its tokenizer, in
/// evaluation mode. Throws as load_bert() does.
template <class T = float>
BertFolder<BertPreTraining<T>> load_bert_pre_training(const std::string& folder) {
  detail::OpenBert files(folder);
  text::Tokenizer tokenizer = detail::load_bert_tokenizer(files);
  files.config.pooler = true;
  BertPreTraining<T> model(Bert<T>(files.config, Init::none()), Init::none());
  detail::BertParts<T> parts = detail::published_parts(model.bert);
  for (detail::BertPart<T>& part : detail::published_heads(model)) parts.push_back(std::move(part));
  // The tied output matrix and its bias are in some files, too.
  files.read(parts, {"cls.predictions.decoder."});
  for (const auto& [tied, own] : {std::pair("cls.predictions.decoder.weight", "embeddings.word_embeddings.weight"),
                                  std::pair("cls.predictions.decoder.bias", "cls.predictions.bias")}) {
    const auto found = files.names.find(tied);
    check<DataError>(found == files.names.end() ||
                         files.weights.read_bytes(found->second) == files.weights.read_bytes(files.names.at(own)),
                     "load_bert", files.weights.path(), ": ", tied, " is not ", own, ", which Bert takes for it");
  }
  model.eval();
  return {std::move(model), std::move(tokenizer)};
}

/// Writes a folder that load_bert opens, and transformers as BertModel. The folder is made if it is not there; a model
/// and a tokenizer in it are replaced whole or not at all (FolderUpdate). dtype: F32, BF16 or F16, the format that
/// weights are rounded to; nullopt: as they are. Throws ConfigError for a model with adapters, DataError for a
/// tokenizer with more tokens than the model and for a weight that overflows in dtype, IoError if a file cannot be
/// written.
template <class T>
void save_bert(const std::string& folder, const Bert<T>& model, const text::Tokenizer& tokenizer,
               std::optional<DType> dtype = std::nullopt) {
  detail::check_no_lora("save_bert", model);
  NamedTensors tensors;
  detail::add_tensors(tensors, "", detail::published_parts(model));
  detail::save_bert_files(folder, model.config, "BertModel", std::move(tensors), tokenizer, dtype);
}
/// Writes a folder that load_bert_pre_training opens, and transformers as BertForPreTraining or BertForMaskedLM. As
/// save_bert of a Bert otherwise.
template <class T>
void save_bert(const std::string& folder, const BertPreTraining<T>& model, const text::Tokenizer& tokenizer,
               std::optional<DType> dtype = std::nullopt) {
  detail::check_no_lora("save_bert", model);
  NamedTensors tensors;
  detail::add_tensors(tensors, "bert.", detail::published_parts(model.bert));
  detail::add_tensors(tensors, "", detail::published_heads(model));
  detail::save_bert_files(folder, model.bert.config, "BertForPreTraining", std::move(tensors), tokenizer, dtype);
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
