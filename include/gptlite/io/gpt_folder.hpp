#pragma once
// GPT-1 and GPT-2 models from and to the folders of Hugging Face's transformers: config.json and model.safetensors.

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/io/differences.hpp"
#include "gptlite/io/folder_update.hpp"
#include "gptlite/io/gpt_config_json.hpp"
#include "gptlite/io/model_files.hpp"
#include "gptlite/io/model_weights.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/nn/lora.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {

/// Name of a parameter in the published checkpoints, after an optional "transformer.".
inline std::string published_name(const std::string& name, NormOrder norm_order) {
  if (norm_order == NormOrder::post && name == "wte.weight") return "tokens_embed.weight";
  if (norm_order == NormOrder::post && name == "wpe.weight") return "positions_embed.weight";
  return name;
}

/// Name of a parameter in transformers' models with a head: the GPT is their member "transformer", the output head is
/// beside it.
inline std::string transformers_name(const std::string& name, NormOrder norm_order) {
  return name.starts_with("lm_head.") ? name : "transformer." + published_name(name, norm_order);
}

/// True for tensors of a checkpoint that are no parameters of a GPT: the causal mask, positions, an output head that is
/// tied, and other heads: of a task (load_task_model reads it), of values (TRL's v_head), of multiple choice. The
/// names of other heads do not start with "transformer."; transformers skips them too.
inline bool is_no_parameter(const std::string& name, bool beside_transformer) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name == "position_ids" ||
         name == "lm_head.weight" || name == "score.weight" || (beside_transformer && !name.starts_with("lm_head."));
}

/// Maps each parameter of a model to its name in a folder's weights. Throws DataError if they do not match.
template <class T>
std::map<std::string, std::string> matched_names(const GPT<T>& model, const ModelWeights& weights) {
  const std::string prefix = "transformer.";
  bool has_prefix = false;
  std::map<std::string, std::string> in_file;  // by the name without prefix
  for (const std::string& name : weights.names()) {
    has_prefix = has_prefix || name.starts_with(prefix);
    in_file.emplace(name.starts_with(prefix) ? name.substr(prefix.size()) : name, name);
  }
  // Of a tied pair a file may hold the output head alone.
  const std::string embedding = published_name("wte.weight", model.config.norm_order);
  if (const auto head = in_file.find("lm_head.weight");
      model.config.tie_word_embeddings && !in_file.contains(embedding) && head != in_file.end())
    in_file.emplace(embedding, head->second);
  std::map<std::string, std::string> matched;
  Differences differences("config.json asks for ");
  visit_parameters(model, [&](const std::string& parameter, const Tensor<T>& tensor) {
    const std::string name = published_name(parameter, model.config.norm_order);
    const auto found = in_file.find(name);
    if (found == in_file.end()) {
      differences.missing.push_back(name);
      return;
    }
    differences.compare(name, weights.entry(found->second).shape, tensor.shape());
    matched.emplace(parameter, found->second);
    in_file.erase(found);
  });
  for (const auto& [name, full] : in_file)
    if (!is_no_parameter(name, has_prefix && !full.starts_with(prefix))) differences.unexpected.push_back(full);
  differences.check_none("load_gpt", weights.path());
  return matched;
}

/// Throws DataError, before a model of absurd size is made, if config.json asks for far more than the file holds.
inline void check_size(const GPTConfig& c, const ModelWeights& weights, const std::string& folder) {
  const std::vector<std::string> names = weights.names();
  double held = 0, wide = static_cast<double>(c.n_embd);
  for (const std::string& name : names) held += static_cast<double>(weights.entry(name).shape.numel());
  const double asked = (static_cast<double>(c.vocab_size) + static_cast<double>(c.block_size)) * wide +
                       static_cast<double>(c.n_layer) * (4 * wide + 2 * static_cast<double>(c.inner())) * wide;
  check<DataError>(asked <= 16 * held + 1e6, "load_gpt", folder, ": config.json asks for ", asked,
                   " numbers, its safetensors have ", held);
  // Layers of few numbers are no small model: each has a dozen tensors.
  check<DataError>(c.n_layer <= static_cast<Index>(names.size()) + 100, "load_gpt", folder, ": config.json asks for ",
                   c.n_layer, " layers, its safetensors have ", names.size(), " tensors");
}

}  // namespace detail

namespace detail {

/// The files of a GPT, opened and compared: what more than one loader reads.
struct OpenGpt {
  std::string folder;
  GPTConfig config;
  ModelWeights weights;

  explicit OpenGpt(const std::string& path)
      : folder(path), config(read_config(ModelConfigFile(path + "/config.json"))), weights(path, "load_gpt") {
    check_size(config, weights, folder);
    // What transformers' generate() takes, if it is there.
    if (const std::string path_of_generation = folder + "/generation_config.json"; path_exists(path_of_generation)) {
      const ModelConfigFile generation(path_of_generation);
      generation.check_known(generation_keys);
      read_special_tokens(generation, *config.special_tokens);
    }
    const std::string saved = weights.metadata(saved_config_key), here = config_fingerprint(config);
    check<DataError>(saved.empty() || saved == here, "load_gpt", folder, ": config.json says ", here,
                     ", model.safetensors was saved with ", saved, ": the folder holds files of two models");
  }
};

/// Reads the GPT of opened files, in evaluation mode.
template <class T>
GPT<T> read_gpt(OpenGpt& files) {
  ModelWeights& weights = files.weights;
  GPT<T> model(files.config, Init::none());
  const auto names = matched_names(model, weights);
  visit_parameters(model, [&](const std::string& name, Tensor<T>& tensor) {
    const Tensor<T> read = weights.read<T>(names.at(name));
    std::copy_n(read.data(), read.numel(), tensor.data());
  });
  if (files.config.tie_word_embeddings && weights.contains("lm_head.weight")) {
    const std::string& embedding = names.at("wte.weight");
    check<DataError>(weights.read_bytes("lm_head.weight") == weights.read_bytes(embedding), "load_gpt", weights.path(),
                     ": lm_head.weight is not ", embedding,
                     "; config.json says that they are one (\"tie_word_embeddings\")");
  }
  model.eval();
  return model;
}

}  // namespace detail

/// The heads in a folder's weights that are not the language model's, such as v_head.summary.weight of TRL or the
/// score.weight of a classifier: load_gpt passes over them. Throws DataError for weights that cannot be read.
inline std::vector<std::string> other_heads(const std::string& folder) {
  const ModelWeights weights(folder, "other_heads");
  std::vector<std::string> heads = weights.names();
  const bool has_prefix =
      std::any_of(heads.begin(), heads.end(), [](const auto& name) { return name.starts_with("transformer."); });
  std::erase_if(heads, [&](const std::string& name) {
    return name.starts_with("transformer.") || name.starts_with("lm_head.") || (!has_prefix && name != "score.weight");
  });
  return heads;
}

/// Loads the GPT in a folder of transformers, of model_type openai-gpt or gpt2, in evaluation mode. Weights of any
/// float format, in one file or several (ModelWeights), are converted to T. Heads other than the language model's are
/// skipped. Throws DataError, with the path, for a file that is missing or malformed, for a setting that GPT does not
/// have, for an output head that is not the token embedding though config.json says so, and, all in one message, for
/// every parameter that is missing, unknown or of another shape.
template <class T = float>
GPT<T> load_gpt(const std::string& folder) {
  detail::OpenGpt files(folder);
  return detail::read_gpt<T>(files);
}

namespace detail {

/// A GPT's parameters under their published names. Throws ConfigError, naming `where`, for layers that config.json does
/// not describe.
template <class T>
NamedTensors published_tensors(std::string_view where, const GPT<T>& model) {
  model.check_blocks(where, true);
  NamedTensors tensors;
  visit_parameters(model, [&](const std::string& name, const Tensor<T>& tensor) {
    tensors.emplace(transformers_name(name, model.config.norm_order), tensor.detach());
  });
  return tensors;
}

template <class T>
ModelFiles gpt_files(const std::string& folder, const GPT<T>& model, const SaveOptions& options,
                     const std::string& tokenizer = "") {
  check_no_lora("save_gpt", model);
  return {"save_gpt",
          folder,
          config_fingerprint(model.config),
          config_json(model.config, "LMHeadModel"),
          published_tensors("save_gpt", model),
          options.dtype,
          tokenizer};
}

}  // namespace detail

/// Writes config.json and model.safetensors, so that transformers opens the folder as OpenAIGPTLMHeadModel or
/// GPT2LMHeadModel. The folder is made if it is not there; a model in it is replaced whole or not at all
/// (FolderUpdate). A context window is saved as "gptlite_window", which transformers does not know: it attends to all
/// positions. Throws ConfigError for a model with adapters or layers that its config does not describe
/// (GPT::check_blocks), DataError for a weight that overflows in options.dtype, IoError if a file cannot be written.
template <class T>
void save_gpt(const std::string& folder, const GPT<T>& model, const SaveOptions& options = {}) {
  const detail::ModelFiles files = detail::gpt_files(folder, model, options);
  FolderUpdate update(folder, detail::model_file_names());
  files.write(update.staging());
  update.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
