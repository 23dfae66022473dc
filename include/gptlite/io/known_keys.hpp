#pragma once
// Every key of the files that others write: what the library uses, what changes nothing here, and what it refuses.
// docs/compatibility.md is written from these lists by scripts/make_compatibility.

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "gptlite/core/error.hpp"
#include "gptlite/io/json.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

/// A key that is used, or that changes nothing.
struct KnownKey {
  std::string_view name, note;
};
/// A key that would change what is computed. `harmless`: a JSON list of the values that do not.
struct RefusedKey {
  std::string_view name, harmless, advice;
};
/// The keys of one kind of object.
struct KnownKeys {
  std::span<const KnownKey> used, without_effect;
  std::span<const RefusedKey> refused = {};
};

/// Throws DataError, with `path`, for a key of `object` that has a refused value, and for one that is in no list. An
/// object that is none is left to its reader.
inline void check_keys(const nlohmann::json& object, const KnownKeys& known, std::string_view where,
                       const std::string& path) {
  if (!object.is_object()) return;
  const auto named = [](const std::string& name) { return [&](const auto& key) { return key.name == name; }; };
  for (const auto& [name, value] : object.items()) {
    const auto refused = std::find_if(known.refused.begin(), known.refused.end(), named(name));
    if (refused != known.refused.end()) {
      const nlohmann::json harmless = nlohmann::json::parse(refused->harmless);
      check<DataError>(std::find(harmless.begin(), harmless.end(), value) != harmless.end(), where, path, ": \"", name,
                       "\" is ", value.dump(), ", which is not supported: ", refused->advice);
      continue;
    }
    const bool found = std::any_of(known.used.begin(), known.used.end(), named(name)) ||
                       std::any_of(known.without_effect.begin(), known.without_effect.end(), named(name));
    check<DataError>(found, where, path, ": ", json_string(name),
                     " is not known, so that the model might compute something else: remove it if it changes nothing");
  }
}

// config.json of gpt2 and openai-gpt.
// ----------------------------------------------------------------------------------

inline constexpr KnownKey config_used[] = {
    {"model_type", "gpt2, openai-gpt, or gptlite for what transformers has no class for"},
    {"vocab_size", ""},
    {"n_positions", "longest sequence"},
    {"n_embd", ""},
    {"n_layer", ""},
    {"n_head", ""},
    {"n_inner", "of gpt2; null: 4 n_embd"},
    {"activation_function",
     "of gpt2: gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, gelu_python, silu, swish, relu, relu2, tanh"},
    {"afn", "of openai-gpt: gelu, silu, swish, relu"},
    {"layer_norm_epsilon", ""},
    {"scale_attn_weights", "of gpt2"},
    {"scale_attn_by_inverse_layer_idx", "of gpt2"},
    {"tie_word_embeddings", "false: an output head of its own, lm_head.weight"},
    {"resid_pdrop", "dropout everywhere, in training"},
    {"initializer_range", "of new weights"},
    {"bos_token_id", "begins a text without a prompt"},
    {"eos_token_id", "ends generation; one or a list"},
    {"pad_token_id", "kept"},
    {"gptlite_window", "context window"},
    {"gptlite_norm_order", "of gptlite: pre or post"},
    {"gptlite_rotary", "of gptlite: rotary positions"},
    {"gptlite_rope_theta", "of gptlite: base of their angles"},
    {"gptlite_norm_type", "of gptlite: layer_norm or rms_norm"},
    {"gptlite_qk_norm", "of gptlite: q and k normalized"},
    {"gptlite_n_kv_head", "of gptlite: heads of k and v; 0: n_head"},
    {"gptlite_gated_mlp", "of gptlite: SwiGLU with silu"},
    {"gptlite_bias", "of gptlite: false without biases"},
    {"gptlite_logit_softcap", "of gptlite: c tanh(logits / c); 0: none"},
    {"gptlite_task", "of a fine-tuned folder: task, labels, max_part_length"},
};
inline constexpr KnownKey config_without_effect[] = {
    {"reorder_and_upcast_attn", "the same numbers in fp32"},
    {"embd_pdrop", "resid_pdrop counts"},
    {"attn_pdrop", "resid_pdrop counts"},
    {"architectures", "the weights tell which heads there are"},
    {"id2label", "gptlite_task has the labels"},
    {"label2id", "gptlite_task has the labels"},
    {"num_labels", "the weights tell"},
    {"_num_labels", "the weights tell"},
    {"problem_type", ""},
    {"dtype", "each tensor of the weights has its own"},
    {"torch_dtype", "each tensor of the weights has its own"},
    {"n_ctx", "n_positions counts"},
    {"n_special", "rows of vocab_size count"},
    {"use_cache", "of transformers' generate()"},
    {"is_decoder", "a GPT is one"},
    {"is_encoder_decoder", ""},
    {"cross_attention_hidden_size", ""},
    {"tie_encoder_decoder", ""},
    {"chunk_size_feed_forward", "the same numbers"},
    {"gradient_checkpointing", "the same numbers"},
    {"output_attentions", ""},
    {"output_hidden_states", ""},
    {"output_past", ""},
    {"return_dict", ""},
    {"predict_special_tokens", ""},
    {"torchscript", ""},
    {"use_bfloat16", ""},
    {"tf_legacy_loss", ""},
    {"xla_device", ""},
    {"summary_type", "of heads for several choices"},
    {"summary_use_proj", "of heads for several choices"},
    {"summary_activation", "of heads for several choices"},
    {"summary_proj_to_labels", "of heads for several choices"},
    {"summary_first_dropout", "of heads for several choices"},
    {"task_specific_params", "of transformers' pipelines"},
    {"finetuning_task", ""},
    {"prefix", "of transformers' pipelines"},
    {"tokenizer_class", "the tokenizer's own files count"},
    {"sep_token_id", ""},
    {"decoder_start_token_id", ""},
    {"name_or_path", ""},
    {"_name_or_path", ""},
    {"_commit_hash", ""},
    {"_attn_implementation", "the same numbers"},
    {"_attn_implementation_autoset", "the same numbers"},
    {"attn_implementation", "the same numbers"},
    {"transformers_version", ""},
    {"author", ""},
    {"created_date", ""},
    {"description", ""},
    {"language", ""},
    {"license", ""},
};
inline constexpr RefusedKey config_refused[] = {
    {"add_cross_attention", "[false, null]", "GPT has no cross-attention: save a model without it"},
    {"pruned_heads", "[{}, null]", "heads were removed: save the model whole"},
    {"quantization_config", "[null]", "dequantize the model in transformers, and save it"},
    {"auto_map", "[null]", "the folder has code of its own, which may compute anything"},
};

// Of transformers' generate(): in config.json of older folders, and in generation_config.json.
inline constexpr KnownKey generation_used[] = {
    {"bos_token_id", "begins a text without a prompt"},
    {"eos_token_id", "ends generation; one or a list; before that of config.json"},
    {"pad_token_id", "kept"},
};
inline constexpr KnownKey generation_without_effect[] = {
    {"max_length", "GenerateOptions count, here and below"},
    {"max_new_tokens", ""},
    {"min_length", ""},
    {"min_new_tokens", ""},
    {"max_time", ""},
    {"stop_strings", ""},
    {"do_sample", ""},
    {"temperature", ""},
    {"top_k", ""},
    {"top_p", ""},
    {"top_h", ""},
    {"min_p", ""},
    {"typical_p", ""},
    {"epsilon_cutoff", ""},
    {"eta_cutoff", ""},
    {"repetition_penalty", ""},
    {"encoder_repetition_penalty", ""},
    {"length_penalty", ""},
    {"diversity_penalty", ""},
    {"penalty_alpha", ""},
    {"no_repeat_ngram_size", ""},
    {"encoder_no_repeat_ngram_size", ""},
    {"bad_words_ids", ""},
    {"force_words_ids", ""},
    {"sequence_bias", ""},
    {"suppress_tokens", ""},
    {"begin_suppress_tokens", ""},
    {"forced_bos_token_id", ""},
    {"forced_eos_token_id", ""},
    {"forced_decoder_ids", ""},
    {"constraints", ""},
    {"remove_invalid_values", ""},
    {"renormalize_logits", ""},
    {"exponential_decay_length_penalty", ""},
    {"guidance_scale", ""},
    {"watermarking_config", ""},
    {"token_healing", ""},
    {"dola_layers", ""},
    {"early_stopping", ""},
    {"num_beams", ""},
    {"num_beam_groups", ""},
    {"num_return_sequences", ""},
    {"low_memory", ""},
    {"output_attentions", ""},
    {"output_hidden_states", ""},
    {"output_scores", ""},
    {"output_logits", ""},
    {"return_dict_in_generate", ""},
    {"decoder_start_token_id", ""},
    {"use_cache", ""},
    {"cache_config", ""},
    {"cache_implementation", ""},
    {"max_cache_len", ""},
    {"compile_config", ""},
    {"disable_compile", ""},
    {"continuous_batching_config", ""},
    {"prefill_chunk_size", ""},
    {"return_legacy_cache", ""},
    {"generation_kwargs", ""},
    {"is_assistant", ""},
    {"num_assistant_tokens", ""},
    {"num_assistant_tokens_schedule", ""},
    {"assistant_confidence_threshold", ""},
    {"assistant_early_exit", ""},
    {"assistant_ensemble_weight", ""},
    {"assistant_lookbehind", ""},
    {"target_lookbehind", ""},
    {"prompt_lookup_num_tokens", ""},
    {"max_matching_ngram_size", ""},
    {"speculation_type", ""},
    {"use_mtp", ""},
    {"trust_remote_code", ""},
    {"_from_model_config", ""},
    {"transformers_version", ""},
};
inline constexpr KnownKeys generation_keys{generation_used, generation_without_effect};

/// Throws DataError for a key of config.json that check_keys would refuse.
inline void check_config_keys(const nlohmann::json& config, std::string_view where, const std::string& path) {
  nlohmann::json of_model = config;  // but what older folders say of generation
  if (of_model.is_object())
    for (const KnownKey& key : generation_without_effect) of_model.erase(std::string(key.name));
  check_keys(of_model, {config_used, config_without_effect, config_refused}, where, path);
}

// adapter_config.json of PEFT.
// -----------------------------------------------------------------------------------------

inline constexpr KnownKey adapter_used[] = {
    {"peft_type", "LORA"},
    {"r", ""},
    {"lora_alpha", ""},
    {"use_rslora", "scale alpha / sqrt(r)"},
    {"rank_pattern", "by names of modules"},
    {"alpha_pattern", "by names of modules"},
    {"target_modules", "the file's tensors must be there for all of them"},
    {"exclude_modules", "with it, the file's tensors count alone"},
    {"layers_to_transform", "with it, the file's tensors count alone"},
    {"modules_to_save", "loaded; a new token embedding or output head alone unties the model"},
};
inline constexpr KnownKey adapter_without_effect[] = {
    {"lora_dropout", "in training; here adapters have none"},
    {"fan_in_fan_out", "PEFT's own layout of the base model"},
    {"inference_mode", ""},
    {"task_type", ""},
    {"base_model_name_or_path", "load the base model yourself"},
    {"revision", ""},
    {"auto_mapping", ""},
    {"peft_version", ""},
    {"layers_pattern", "the file's tensors count"},
    {"ensure_weight_tying", "the file's tensors count"},
    {"eva_config", "how the adapters began"},
    {"runtime_config", ""},
    {"megatron_config", ""},
    {"megatron_core", ""},
    {"merge_weights", "of PEFT before 0.4"},
    {"qalora_group_size", ""},
    {"loftq_config", "init_lora_weights counts"},
    {"corda_config", "init_lora_weights counts"},
    {"lora_ga_config", "init_lora_weights counts"},
    {"target_parameters", "their tensors are refused by name"},
};
inline constexpr std::string_view merge_first =
    "merge the adapters in peft (merge_and_unload) and load the whole model";
inline constexpr RefusedKey adapter_refused[] = {
    {"init_lora_weights", R"([true, false, null, "gaussian", "orthogonal", "eva"])",
     "it may have changed the weights of the model that the adapters are for: convert them in peft with "
     "save_pretrained(folder, path_initial_model_for_weight_conversion=...)"},
    {"bias", R"(["none", null])", merge_first},
    {"use_dora", "[false, null]", merge_first},
    {"lora_bias", "[false, null]", merge_first},
    {"use_qalora", "[false, null]", merge_first},
    {"use_bdlora", "[false, null]", merge_first},
    {"velora_config", "[null]", merge_first},
    {"kasa_config", "[null]", merge_first},
    {"monteclora_config", "[null]", merge_first},
    {"arrow_config", "[null]", merge_first},
    {"alora_invocation_tokens", "[null]", "the adapters are for some tokens alone, which GPT does not have"},
    {"alora_invocation_string", "[null]", "the adapters are for some tokens alone, which GPT does not have"},
    {"enable_lora", "[null]", merge_first},
    {"layer_replication", "[null]", merge_first},
    {"trainable_token_indices", "[null]", merge_first},
};
inline constexpr KnownKeys adapter_keys{adapter_used, adapter_without_effect, adapter_refused};

// model.safetensors.index.json.
// ----------------------------------------------------------------------------------------

inline constexpr KnownKey index_used[] = {{"weight_map", "the file of each tensor"}};
inline constexpr KnownKey index_without_effect[] = {{"metadata", "sizes"}};
inline constexpr KnownKeys index_keys{index_used, index_without_effect};

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
