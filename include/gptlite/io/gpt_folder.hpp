#pragma once
// GPT-1 and GPT-2 models from and to the folders of Hugging Face's transformers: config.json and model.safetensors.

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/text_file.hpp"
#include "gptlite/io/model_weights.hpp"
#include "gptlite/io/safetensors.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/nn/lora.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {

/// config.json or adapter_config.json, its values checked as they are read. `where` must outlive it.
class ModelConfigFile {
 public:
  explicit ModelConfigFile(std::string path, std::string_view where = "load_gpt")
      : where_(where), path_(std::move(path)), json_(read_json(path_)) {
    expect(json_.is_object(), "an object is expected");
  }

  template <class... Parts>
  void expect(bool condition, const Parts&... parts) const {
    check<DataError>(condition, where_, path_, ": ", parts...);
  }
  const nlohmann::json& json() const { return json_; }
  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }
  std::string text(const char* key) const {
    expect(has(key) && json_.at(key).is_string(), '"', key, "\" must be a text");
    return json_.at(key).get<std::string>();
  }
  bool is_list(const char* key) const { return has(key) && json_.at(key).is_array(); }
  std::vector<std::string> texts(const char* key) const {
    const bool all = is_list(key) && std::all_of(json_.at(key).begin(), json_.at(key).end(),
                                                 [](const nlohmann::json& each) { return each.is_string(); });
    expect(all, '"', key, "\" must be a list of texts");
    return json_.at(key).get<std::vector<std::string>>();
  }
  Index required_size(const char* key) const {
    expect(has(key) && json_.at(key).is_number_unsigned() && json_.at(key).get<std::uint64_t>() <= 1u << 30, '"', key,
           "\" must be a whole number", has(key) ? ", not " : "", has(key) ? json_.at(key).dump() : "");
    return json_.at(key).get<Index>();
  }
  double number_or(const char* key, double otherwise) const {
    if (!has(key)) return otherwise;
    expect(json_.at(key).is_number(), '"', key, "\" must be a number, not ", json_.at(key).dump());
    return json_.at(key).get<double>();
  }
  /// Throws DataError unless the key is absent or one of `values`: any other would compute something else than a GPT
  /// does.
  void require_one_of(const char* key, std::initializer_list<nlohmann::json> values) const {
    expect(!has(key) || std::find(values.begin(), values.end(), json_.at(key)) != values.end(), '"', key, "\" is ",
           has(key) ? json_.at(key).dump() : "", ", which is not supported, only ", values.begin()->dump());
  }

 private:
  std::string_view where_;
  std::string path_;
  nlohmann::json json_;
};

inline GPTConfig read_config(const ModelConfigFile& file) {
  const std::string type = file.text("model_type");
  file.expect(type == "openai-gpt" || type == "gpt2", "\"model_type\" is \"", type,
              "\", which is not supported, only openai-gpt and gpt2");
  GPTConfig config;
  config.norm_order = type == "gpt2" ? NormOrder::pre : NormOrder::post;
  config.vocab_size = file.required_size("vocab_size");
  config.block_size = file.required_size("n_positions");
  config.n_layer = file.required_size("n_layer");
  config.n_head = file.required_size("n_head");
  config.n_embd = file.required_size("n_embd");
  config.window = file.has("gptlite_window") ? file.required_size("gptlite_window") : 0;
  config.dropout = file.number_or("resid_pdrop", 0.1);
  config.layer_norm_epsilon = file.number_or("layer_norm_epsilon", 1e-5);
  config.initializer_range = file.number_or("initializer_range", 0.02);
  // transformers' "gelu" is GPT-1's tanh form in openai-gpt, and the erf form in gpt2.
  file.require_one_of(type == "gpt2" ? "activation_function" : "afn",
                      type == "gpt2" ? std::initializer_list<nlohmann::json>{"gelu_new", "gelu_pytorch_tanh"}
                                     : std::initializer_list<nlohmann::json>{"gelu"});
  file.require_one_of("n_inner", {4 * config.n_embd});
  file.require_one_of("scale_attn_weights", {true});
  file.require_one_of("scale_attn_by_inverse_layer_idx", {false});
  file.require_one_of("add_cross_attention", {false});
  file.require_one_of("tie_word_embeddings", {true});
  try {
    config.validate();
  } catch (const ConfigError& error) {
    file.expect(false, error.what());
  }
  return config;
}

/// Name of a parameter in the published checkpoints, after an optional "transformer.".
inline std::string published_name(const std::string& name, NormOrder norm_order) {
  if (norm_order == NormOrder::post && name == "wte.weight") return "tokens_embed.weight";
  if (norm_order == NormOrder::post && name == "wpe.weight") return "positions_embed.weight";
  return name;
}

/// True for tensors of a checkpoint that are no parameters of a GPT: the causal mask, positions, the output head, which
/// is tied, and other heads: of a task (load_task_model reads it), of values (TRL's v_head), of multiple choice. The
/// names of other heads do not start with "transformer."; transformers skips them too.
inline bool is_no_parameter(const std::string& name, bool beside_transformer) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name == "position_ids" ||
         name == "lm_head.weight" || name == "score.weight" || (beside_transformer && !name.starts_with("lm_head."));
}

/// Differences between a file of weights and the model that it is for, reported in one message.
struct ModelDifferences {
  std::string asks;  // who expects other shapes: "config.json asks for "
  std::vector<std::string> missing = {}, unexpected = {}, shapes = {};

  explicit ModelDifferences(std::string who) : asks(std::move(who)) {}
  void compare(const std::string& name, const Shape& in_file, const Shape& wanted) {
    if (in_file == wanted) return;
    std::ostringstream line;
    line << name << ": file has " << in_file << ", " << asks << wanted;
    shapes.push_back(line.str());
  }
  /// Throws DataError if there is a difference.
  void check_none(std::string_view where, const std::string& path) const {
    std::string list;
    for (const auto& [what, names] : {std::pair{"missing ", &missing}, {"unexpected ", &unexpected}, {"", &shapes}})
      for (const std::string& name : *names) list += std::string("\n  ") + what + name;
    check<DataError>(list.empty(), where, path, ": ", missing.size(), " missing, ", unexpected.size(), " unexpected, ",
                     shapes.size(), " shape mismatches:", list);
  }
};

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
  std::map<std::string, std::string> matched;
  ModelDifferences differences("config.json asks for ");
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
  double held = 0, wide = static_cast<double>(c.n_embd);
  for (const std::string& name : weights.names()) held += static_cast<double>(weights.entry(name).shape.numel());
  const double asked = (static_cast<double>(c.vocab_size) + static_cast<double>(c.block_size)) * wide +
                       static_cast<double>(c.n_layer) * (12 * wide * wide + 13 * wide);
  check<DataError>(asked <= 16 * held + 1e6, "load_gpt", folder, ": config.json asks for ", asked,
                   " numbers, its safetensors have ", held);
}

}  // namespace detail

/// Loads the GPT in a folder of transformers, of model_type openai-gpt or gpt2, in evaluation mode. Weights of any
/// float format, in one file or several (ModelWeights), are converted to T. Heads other than the language model's are
/// skipped. Throws DataError, with the path, for a file that is missing or malformed, for a setting that GPT does not
/// have, for an output head that is not tied, and, all in one message, for every parameter that is missing, unknown or
/// of another shape.
template <class T = float>
GPT<T> load_gpt(const std::string& folder) {
  const detail::ModelConfigFile file(folder + "/config.json");
  const GPTConfig config = detail::read_config(file);
  ModelWeights weights(folder, "load_gpt");
  detail::check_size(config, weights, folder);
  GPT<T> model(config, Init::none());
  const auto names = detail::matched_names(model, weights);
  visit_parameters(model, [&](const std::string& name, Tensor<T>& tensor) {
    const Tensor<T> read = weights.read<T>(names.at(name));
    std::copy_n(read.data(), read.numel(), tensor.data());
  });
  if (weights.contains("lm_head.weight")) {
    const std::string& embedding = names.at("wte.weight");
    check<DataError>(weights.read_bytes("lm_head.weight") == weights.read_bytes(embedding), "load_gpt", weights.path(),
                     ": lm_head.weight is not ", embedding, "; a GPT's output head is its token embedding");
  }
  model.eval();
  return model;
}

/// Options of save_gpt.
struct SaveOptions {
  std::optional<DType> dtype = std::nullopt;          ///< F32, BF16 or F16 to round weights to; none: as they are
  std::optional<TokenId> end_of_text = std::nullopt;  ///< the token that ends a text, for transformers' generate()
};

namespace detail {

/// Makes the config.json of a GPT. `head` is the end of the name of transformers' class, after OpenAIGPT or GPT2.
inline nlohmann::ordered_json config_json(const GPTConfig& c, const std::string& head, const SaveOptions& options) {
  const bool gpt2 = c.norm_order == NormOrder::pre;
  nlohmann::ordered_json config = {{"model_type", gpt2 ? "gpt2" : "openai-gpt"},
                                   {"architectures", {(gpt2 ? "GPT2" : "OpenAIGPT") + head}},
                                   {"vocab_size", c.vocab_size},
                                   {"n_positions", c.block_size},
                                   {"n_embd", c.n_embd},
                                   {"n_layer", c.n_layer},
                                   {"n_head", c.n_head},
                                   {gpt2 ? "activation_function" : "afn", gpt2 ? "gelu_new" : "gelu"},
                                   {"resid_pdrop", c.dropout},
                                   {"embd_pdrop", c.dropout},
                                   {"attn_pdrop", c.dropout},
                                   {"layer_norm_epsilon", c.layer_norm_epsilon},
                                   {"initializer_range", c.initializer_range},
                                   {"bos_token_id", nullptr},
                                   {"eos_token_id", nullptr},
                                   {"tie_word_embeddings", true}};
  if (options.end_of_text) config["bos_token_id"] = config["eos_token_id"] = *options.end_of_text;
  if (c.window > 0) config["gptlite_window"] = c.window;
  return config;
}

/// A GPT's parameters under their published names. Throws ConfigError, naming `where`, for layers that config.json does
/// not describe.
template <class T>
NamedTensors published_tensors(std::string_view where, const GPT<T>& model) {
  model.check_blocks(where, true);
  NamedTensors tensors;
  visit_parameters(model, [&](const std::string& name, const Tensor<T>& tensor) {
    tensors.emplace("transformer." + published_name(name, model.config.norm_order), tensor.detach());
  });
  return tensors;
}

/// Throws ConfigError for a model with adapters, for which a file of weights has no place.
template <class Module>
void check_no_lora(std::string_view where, const Module& model) {
  check<ConfigError>(!has_lora(model), where,
                     "the model has adapters: call save_lora(folder, model), or merge_lora(model) first");
}

/// Throws DataError for a finite weight that overflows in `dtype`: 70,000 would become infinity in F16.
inline void check_representable(const std::string& folder, const NamedTensors& tensors, DType dtype) {
  for (const auto& tensor : tensors)  // no binding: clang's lambdas do not capture them in C++20
    if (const auto* weights = std::get_if<Tensor<float>>(&tensor.second))
      with_float(dtype, [&](auto number) {
        for (Index i = 0; i < weights->numel(); ++i) {
          const float weight = weights->data()[i];
          check<DataError>(!is_finite(weight) || is_finite(static_cast<float>(static_cast<decltype(number)>(weight))),
                           "save_gpt", folder, ": ", tensor.first, " has the weight ", weight, ", too large for ",
                           name_of(dtype), ": choose another format; nothing was written");
        }
      });
}

/// Writes config.json and model.safetensors, each replaced whole or not at all.
inline void save_model_files(const std::string& folder, const nlohmann::ordered_json& config,
                             const NamedTensors& tensors, std::optional<DType> dtype) {
  const std::string text = config.dump(2) + '\n';  // throws for invalid UTF-8: before any file is written
  if (dtype) check_representable(folder, tensors, *dtype);
  make_folder(folder);
  save_safetensors(folder + "/model.safetensors", tensors, {{"format", "pt"}}, dtype);
  write_text(folder + "/config.json", text);
}

}  // namespace detail

/// Writes config.json and model.safetensors, each replaced whole or not at all, so that transformers opens the folder
/// as OpenAIGPTLMHeadModel or GPT2LMHeadModel. The folder is made if it is not there. A context window is saved as
/// "gptlite_window", which transformers does not know: it attends to all positions. Throws ConfigError for a model with
/// adapters or layers that its config does not describe (GPT::check_blocks), DataError for a weight that overflows in
/// options.dtype, IoError if a file cannot be written.
template <class T>
void save_gpt(const std::string& folder, const GPT<T>& model, const SaveOptions& options = {}) {
  detail::check_no_lora("save_gpt", model);
  detail::save_model_files(folder, detail::config_json(model.config, "LMHeadModel", options),
                           detail::published_tensors("save_gpt", model), options.dtype);
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
