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
/// The model_type of GPTs that transformers has no class for: those with GPTConfig's later inventions.
inline constexpr std::string_view own_model_type = "gptlite";

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

inline std::span<const PublishedActivation> published_activations(bool openai_gpt) {
  if (openai_gpt) return gpt1_activations;
  return gpt2_activations;
}

/// Value of an enum that a key names.
template <class Enum>
Enum enum_or(const ModelConfigFile& file, const char* key, Enum otherwise) {
  if (!file.has(key)) return otherwise;
  const std::string name = file.text(key);
  std::string known;
  for (const std::string& each : names_of<Enum>()) known.append(known.empty() ? "" : ", ").append(each);
  file.expect(try_parse<Enum>(name).has_value(), '"', key, "\" is \"", name, "\", which is not supported, only ",
              known);
  return *try_parse<Enum>(name);
}

inline constexpr const char* own_keys[] = {"gptlite_norm_order", "gptlite_rotary",  "gptlite_rope_theta",
                                           "gptlite_norm_type",  "gptlite_qk_norm", "gptlite_n_kv_head",
                                           "gptlite_gated_mlp",  "gptlite_bias",    "gptlite_logit_softcap"};

/// Reads the later inventions of GPTConfig from a config.json of own_model_type.
inline void read_own_options(const ModelConfigFile& file, GPTConfig& config) {
  config.norm_order = enum_or(file, "gptlite_norm_order", NormOrder::pre);
  config.rotary = file.flag_or("gptlite_rotary", false);
  config.rope_theta = file.number_or("gptlite_rope_theta", 10000);
  config.norm_type = enum_or(file, "gptlite_norm_type", NormType::layer_norm);
  config.qk_norm = file.flag_or("gptlite_qk_norm", false);
  config.n_kv_head = file.has("gptlite_n_kv_head") ? file.required_size("gptlite_n_kv_head") : 0;
  config.gated_mlp = file.flag_or("gptlite_gated_mlp", false);
  config.bias = file.flag_or("gptlite_bias", true);
  config.logit_softcap = file.number_or("gptlite_logit_softcap", 0);
}

/// Adds what read_own_options() reads.
inline void add_own_options(nlohmann::ordered_json& config, const GPTConfig& c) {
  config["gptlite_norm_order"] = name_of(c.norm_order);
  config["gptlite_rotary"] = c.rotary;
  config["gptlite_rope_theta"] = c.rope_theta;
  config["gptlite_norm_type"] = name_of(c.norm_type);
  config["gptlite_qk_norm"] = c.qk_norm;
  config["gptlite_n_kv_head"] = c.n_kv_head;
  config["gptlite_gated_mlp"] = c.gated_mlp;
  config["gptlite_bias"] = c.bias;
  config["gptlite_logit_softcap"] = c.logit_softcap;
}

inline GPTConfig read_config(const ModelConfigFile& file) {
  const std::string type = file.text("model_type");
  const bool own = type == own_model_type, openai_gpt = type == "openai-gpt";
  file.expect(openai_gpt || type == "gpt2" || own, "\"model_type\" is \"", type,
              "\", which is not supported, only openai-gpt, gpt2 and ", own_model_type);
  file.check_known_config();
  GPTConfig config;
  config.norm_order = openai_gpt ? NormOrder::post : NormOrder::pre;
  if (own) read_own_options(file, config);
  for (const char* key : own_keys)
    file.expect(own || !file.has(key), '"', key, "\" is for model_type ", own_model_type, " alone, this is ", type);
  config.vocab_size = file.required_size("vocab_size");
  config.block_size = file.required_size("n_positions");
  config.n_layer = file.required_size("n_layer");
  config.n_head = file.required_size("n_head");
  config.n_embd = file.required_size("n_embd");
  config.window = file.has("gptlite_window") ? file.required_size("gptlite_window") : 0;
  config.dropout = file.number_or("resid_pdrop", 0.1);
  config.layer_norm_epsilon = file.number_or("layer_norm_epsilon", 1e-5);
  config.initializer_range = file.number_or("initializer_range", 0.02);
  config.activation = file.activation_or(openai_gpt ? "afn" : "activation_function", published_activations(openai_gpt),
                                         config.activation);
  config.tie_word_embeddings = file.flag_or("tie_word_embeddings", true);
  if (!openai_gpt) {
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
  const bool own = !c.is_published(), gpt2 = c.norm_order == NormOrder::pre && !own, openai_gpt = !gpt2 && !own;
  const std::string type = own ? std::string(own_model_type) : gpt2 ? "gpt2" : "openai-gpt";
  const std::span<const PublishedActivation> names = published_activations(openai_gpt);
  const auto activation =
      std::find_if(names.begin(), names.end(), [&](const auto& each) { return each.activation == c.activation; });
  check<ConfigError>(activation != names.end(), "save_gpt", own ? "" : "transformers' ", type, " has no activation ",
                     name_of(c.activation));
  check<ConfigError>(
      !openai_gpt || (c.inner() == 4 * c.n_embd && c.scale_attn_weights && !c.scale_attn_by_inverse_layer_idx),
      "save_gpt", "transformers' openai-gpt has n_inner 4 n_embd and scaled attention alone");
  nlohmann::ordered_json config = {{"model_type", type},
                                   {"architectures",
                                    {(own    ? "Gptlite"
                                      : gpt2 ? "GPT2"
                                             : "OpenAIGPT") +
                                     head}},
                                   {"vocab_size", c.vocab_size},
                                   {"n_positions", c.block_size},
                                   {"n_embd", c.n_embd},
                                   {"n_layer", c.n_layer},
                                   {"n_head", c.n_head},
                                   {openai_gpt ? "afn" : "activation_function", activation->name},
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
  if (own) add_own_options(config, c);
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
  if (!c.is_published()) text << ", " << c.unpublished_options();
  if (c.rotary && c.rope_theta != 10000) text << ", rope_theta " << c.rope_theta;
  if (c.kv_heads() != c.n_head) text << ", n_kv_head " << c.kv_heads();
  if (c.logit_softcap != 0) text << ", logit_softcap " << c.logit_softcap;
  return text.str();
}

}  // namespace detail

/// Throws ConfigError if save_gpt cannot write a model of this configuration, for transformers has none that computes
/// the same. A training program asks before it trains.
inline void check_saveable(const GPTConfig& config) { detail::config_json(config, "LMHeadModel"); }

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
