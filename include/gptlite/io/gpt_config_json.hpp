#pragma once
// config.json of GPT-1 and GPT-2 folders: GPTConfig from and to Hugging Face's keys.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <locale>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/io/dtype.hpp"
#include "gptlite/io/json.hpp"
#include "gptlite/io/known_keys.hpp"
#include "gptlite/models/gpt_config.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Options of save_gpt.
struct SaveOptions {
  std::optional<DType> dtype = std::nullopt;  ///< F32, BF16 or F16 to round weights to; none: as they are
};

namespace detail {

/// Names of an activation in config.json, the one that is written first.
struct PublishedActivation {
  std::string_view name;
  Activation activation;
};
inline constexpr PublishedActivation gpt2_activations[] = {
    {"gelu_new", Activation::gelu_tanh},   {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},  {"gelu", Activation::gelu_erf},
    {"gelu_python", Activation::gelu_erf}, {"silu", Activation::silu},
    {"swish", Activation::silu},           {"relu", Activation::relu},
    {"relu2", Activation::relu_squared},   {"tanh", Activation::tanh}};
/// Of openai-gpt, whose "gelu" is the tanh form.
inline constexpr PublishedActivation gpt1_activations[] = {{"gelu", Activation::gelu_tanh},
                                                           {"silu", Activation::silu},
                                                           {"swish", Activation::silu},
                                                           {"relu", Activation::relu}};
/// config.json or adapter_config.json, its values checked as they are read. `where` must outlive it.
class ModelConfigFile {
 public:
  explicit ModelConfigFile(std::string path, std::string_view where = "load_gpt")
      : where_(where), path_(std::move(path)), json_(read_json(path_)) {
    expect(json_.is_object(), "an object is expected");
  }

  /// Throws DataError for keys that are not known or are refused.
  void check_known(const KnownKeys& known) const { check_keys(json_, known, where_, path_); }
  /// Likewise for config.json.
  void check_known_config() const { check_config_keys(json_, where_, path_); }
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
    expect(has(key) && json_.at(key).is_number_unsigned(), '"', key, "\" must be a whole number",
           has(key) ? ", not " : "", has(key) ? json_.at(key).dump() : "");
    constexpr std::uint64_t most = 1u << 30;
    expect(json_.at(key).get<std::uint64_t>() <= most, '"', key, "\" is ", json_.at(key).dump(), ", the most is ",
           most);
    return json_.at(key).get<Index>();
  }
  double number_or(const char* key, double otherwise) const {
    if (!has(key)) return otherwise;
    expect(json_.at(key).is_number(), '"', key, "\" must be a number, not ", json_.at(key).dump());
    return json_.at(key).get<double>();
  }
  /// The id or the list of ids of a token; empty for null. -1, as some write for none, is none.
  std::vector<TokenId> token_ids(const char* key) const {
    std::vector<TokenId> ids;
    if (!has(key)) return ids;
    const nlohmann::json& value = json_.at(key);
    for (const nlohmann::json& id : value.is_array() ? value : nlohmann::json::array({value})) {
      const bool known = id.is_number_unsigned() && id.get<std::uint64_t>() <= std::numeric_limits<TokenId>::max();
      expect(known || id == -1, '"', key, "\" must be the id of a token, or a list of them, not ", value.dump());
      if (known) ids.push_back(id.get<TokenId>());
    }
    return ids;
  }
  /// The id of a token, if there is one.
  std::optional<TokenId> token_id(const char* key) const {
    const std::vector<TokenId> ids = token_ids(key);
    expect(ids.size() <= 1, '"', key, "\" must be the id of one token, not ", ids.empty() ? "" : json_.at(key).dump());
    return ids.empty() ? std::nullopt : std::optional(ids.front());
  }
  /// The activation that a key names, one of `published`.
  Activation activation_or(const char* key, std::span<const PublishedActivation> published,
                           Activation otherwise) const {
    if (!has(key)) return otherwise;
    const std::string name = text(key);
    std::string known;
    for (const PublishedActivation& each : published) {
      if (each.name == name) return each.activation;
      known.append(known.empty() ? "" : ", ").append(each.name);
    }
    raise<DataError>(where_, path_, ": \"", key, "\" is \"", name, "\", which is not supported, only ", known);
  }
  bool flag_or(const char* key, bool otherwise) const {
    if (!has(key)) return otherwise;
    expect(json_.at(key).is_boolean(), '"', key, "\" must be true or false, not ", json_.at(key).dump());
    return json_.at(key).get<bool>();
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

/// Reads those of the three settings that a file has into `tokens`.
inline void read_special_tokens(const ModelConfigFile& file, SpecialTokens& tokens) {
  if (file.json().contains("bos_token_id")) tokens.bos = file.token_id("bos_token_id");
  if (file.json().contains("eos_token_id")) tokens.eos = file.token_ids("eos_token_id");
  if (file.json().contains("pad_token_id")) tokens.pad = file.token_id("pad_token_id");
}

inline std::span<const PublishedActivation> published_activations(NormOrder norm_order) {
  if (norm_order == NormOrder::pre) return gpt2_activations;
  return gpt1_activations;
}

inline GPTConfig read_config(const ModelConfigFile& file) {
  const std::string type = file.text("model_type");
  file.expect(type == "openai-gpt" || type == "gpt2", "\"model_type\" is \"", type,
              "\", which is not supported, only openai-gpt and gpt2");
  file.check_known_config();
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
  config.activation = file.activation_or(type == "gpt2" ? "activation_function" : "afn",
                                         published_activations(config.norm_order), config.activation);
  config.tie_word_embeddings = file.flag_or("tie_word_embeddings", true);
  if (type == "gpt2") {
    config.n_inner = file.has("n_inner") ? file.required_size("n_inner") : 0;
    config.scale_attn_weights = file.flag_or("scale_attn_weights", true);
    config.scale_attn_by_inverse_layer_idx = file.flag_or("scale_attn_by_inverse_layer_idx", false);
  }
  config.special_tokens.emplace();
  if (type == "gpt2") config.special_tokens = {.bos = 50256, .eos = {50256}};  // transformers' values if it has none
  read_special_tokens(file, *config.special_tokens);
  try {
    config.validate();
  } catch (const ConfigError& error) {
    file.expect(false, error.what());
  }
  return config;
}

/// Makes the config.json of a GPT. `head` is the end of the name of transformers' class, after OpenAIGPT or GPT2.
inline nlohmann::ordered_json config_json(const GPTConfig& c, const std::string& head) {
  const bool gpt2 = c.norm_order == NormOrder::pre;
  const std::span<const PublishedActivation> names = published_activations(c.norm_order);
  const auto activation =
      std::find_if(names.begin(), names.end(), [&](const auto& each) { return each.activation == c.activation; });
  check<ConfigError>(activation != names.end(), "save_gpt", "transformers' ", gpt2 ? "gpt2" : "openai-gpt",
                     " has no activation ", name_of(c.activation));
  check<ConfigError>(gpt2 || (c.inner() == 4 * c.n_embd && c.scale_attn_weights && !c.scale_attn_by_inverse_layer_idx),
                     "save_gpt", "transformers' openai-gpt has n_inner 4 n_embd and scaled attention alone");
  nlohmann::ordered_json config = {{"model_type", gpt2 ? "gpt2" : "openai-gpt"},
                                   {"architectures", {(gpt2 ? "GPT2" : "OpenAIGPT") + head}},
                                   {"vocab_size", c.vocab_size},
                                   {"n_positions", c.block_size},
                                   {"n_embd", c.n_embd},
                                   {"n_layer", c.n_layer},
                                   {"n_head", c.n_head},
                                   {gpt2 ? "activation_function" : "afn", activation->name},
                                   {"resid_pdrop", c.dropout},
                                   {"embd_pdrop", c.dropout},
                                   {"attn_pdrop", c.dropout},
                                   {"layer_norm_epsilon", c.layer_norm_epsilon},
                                   {"initializer_range", c.initializer_range},
                                   {"tie_word_embeddings", c.tie_word_embeddings}};
  if (c.inner() != 4 * c.n_embd) config["n_inner"] = c.inner();
  if (!c.scale_attn_weights) config["scale_attn_weights"] = false;
  if (c.scale_attn_by_inverse_layer_idx) config["scale_attn_by_inverse_layer_idx"] = true;
  // Also if there are none: transformers has values of its own for what is missing.
  const SpecialTokens tokens = c.special_tokens.value_or(SpecialTokens{});
  const auto id = [](std::optional<TokenId> token) {
    return token ? nlohmann::ordered_json(*token) : nlohmann::ordered_json();
  };
  config["bos_token_id"] = id(tokens.bos);
  config["eos_token_id"] = tokens.eos.size() > 1 ? nlohmann::ordered_json(tokens.eos)
                                                 : id(tokens.eos.empty() ? std::nullopt : std::optional(tokens.eos[0]));
  config["pad_token_id"] = id(tokens.pad);
  if (c.window > 0) config["gptlite_window"] = c.window;
  return config;
}

/// What config.json says beyond the shapes of the weights.
inline std::string config_fingerprint(const GPTConfig& c) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << name_of(c.norm_order) << " norm, n_head " << c.n_head << ", window " << c.window << ", layer_norm_epsilon "
       << c.layer_norm_epsilon;
  // Where they are not the usual ones: what version 0.1 saved says nothing of them.
  if (c.activation != Activation::gelu_tanh) text << ", activation " << name_of(c.activation);
  if (!c.scale_attn_weights) text << ", unscaled attention";
  if (c.scale_attn_by_inverse_layer_idx) text << ", attention scaled by layer";
  return text.str();
}

}  // namespace detail

/// Throws ConfigError if save_gpt cannot write a model of this configuration, for transformers has none that computes
/// the same. A training program asks before it trains.
inline void check_saveable(const GPTConfig& config) { detail::config_json(config, "LMHeadModel"); }

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
