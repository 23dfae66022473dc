#pragma once
// Every key of the files of BERT and of sentence-transformers, as known_keys.hpp lists those of GPT.

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "gptlite/io/known_keys.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

// config.json of bert. What changes nothing in a GPT's configuration changes nothing here, unless it is in a list
// below.

inline constexpr KnownKey bert_used[] = {
    {"model_type", "bert"},
    {"vocab_size", ""},
    {"hidden_size", ""},
    {"num_hidden_layers", ""},
    {"num_attention_heads", ""},
    {"intermediate_size", ""},
    {"hidden_act", "gelu, gelu_python, gelu_new, gelu_pytorch_tanh, gelu_fast, silu, swish, relu, relu2, tanh"},
    {"max_position_embeddings", "longest sequence"},
    {"type_vocab_size", "kinds of segments"},
    {"layer_norm_eps", ""},
    {"hidden_dropout_prob", "dropout everywhere, in training"},
    {"initializer_range", "of new weights"},
    {"sep_token_id", "ends a segment; without it the tokenizer's [SEP] does"},
};
inline constexpr KnownKey bert_without_effect[] = {
    {"attention_probs_dropout_prob", "hidden_dropout_prob counts"},
    {"classifier_dropout", "of a head for a task"},
    {"pooler_fc_size", "the weights tell"},
    {"pooler_num_attention_heads", ""},
    {"pooler_num_fc_layers", ""},
    {"pooler_size_per_head", ""},
    {"pooler_type", ""},
    {"directionality", ""},
};
inline constexpr RefusedKey bert_refused[] = {
    {"position_embedding_type", R"(["absolute", null])", "save a model with absolute positions"},
    {"is_decoder", "[false, null]", "a decoder is causal, Bert is not"},
    {"add_cross_attention", "[false, null]", "Bert has no cross-attention: save a model without it"},
    {"tie_word_embeddings", "[true, null]", "the head of the masked language model is the token embedding"},
    {"pruned_heads", "[{}, null]", "heads were removed: save the model whole"},
    {"quantization_config", "[null]", "dequantize the model in transformers, and save it"},
    {"auto_map", "[null]", "the folder has code of its own, which may compute anything"},
};
inline constexpr KnownKeys bert_keys{bert_used, bert_without_effect, bert_refused};

/// Throws DataError for a key of BERT's config.json that is not known or is refused.
inline void check_bert_keys(const nlohmann::json& config, std::string_view where, const std::string& path) {
  nlohmann::json own = config;
  const auto refused = [](std::string_view name) {
    return std::any_of(std::begin(bert_refused), std::end(bert_refused),
                       [&](const RefusedKey& key) { return key.name == name; });
  };
  if (own.is_object())
    for (const auto& list :
         {std::span<const KnownKey>(config_without_effect), std::span<const KnownKey>(generation_without_effect)})
      for (const KnownKey& key : list)
        if (!refused(key.name) && key.name != "sep_token_id") own.erase(std::string(key.name));
  for (const char* token : {"bos_token_id", "eos_token_id", "pad_token_id"}) own.erase(token);
  check_keys(own, bert_keys, where, path);
}

// sentence-transformers: modules.json, sentence_bert_config.json and the configurations of its modules.
// ----------------------------------------------------------------------------------------------------

inline constexpr KnownKey sentence_used[] = {
    {"max_seq_length", "longest sequence, with [CLS] and [SEP]; without it model_max_length of tokenizer_config.json"},
};
inline constexpr KnownKey sentence_without_effect[] = {{"unpad_inputs", "the same numbers"}};
inline constexpr std::string_view other_vectors = "the library would give other vectors";
inline constexpr RefusedKey sentence_refused[] = {
    {"do_lower_case", "[false, null]", "write the texts in lower case, and set it to false"},
    {"transformer_task", R"(["feature-extraction", null])", other_vectors},
    {"module_output_name", R"(["token_embeddings", null])", other_vectors},
    {"modality_config", R"([{"text": {"method": "forward", "method_output_name": "last_hidden_state"}}, null])",
     other_vectors},
    {"processing_kwargs", "[{}, null]", other_vectors},
    {"query_length", "[null]", other_vectors},
    {"document_length", "[null]", other_vectors},
    {"query_expansion", "[false, null]", other_vectors},
    {"model_args", "[{}, null]", other_vectors},
    {"tokenizer_args", "[{}, null]", other_vectors},
    {"config_args", "[{}, null]", other_vectors},
};
inline constexpr KnownKeys sentence_keys{sentence_used, sentence_without_effect, sentence_refused};

inline constexpr KnownKey encoder_without_effect[] = {
    {"__version__", ""},
    {"prompts", "write the prompt into the text"},
    {"similarity_fn_name", "nearest() takes the dot product"},
};
inline constexpr RefusedKey encoder_refused[] = {
    {"model_type", R"(["SentenceTransformer", null])", other_vectors},
    {"default_prompt_name", "[null]", "write the prompt into the text, and set it to null"},
    {"truncate_dim", "[null]", other_vectors},
};
inline constexpr KnownKeys encoder_keys{{}, encoder_without_effect, encoder_refused};

inline constexpr KnownKey pooling_used[] = {
    {"pooling_mode_mean_tokens", "the mean of the tokens' states"},
    {"pooling_mode_cls_token", "the first token's state"},
    {"pooling_mode_max_tokens", "the largest state of each channel"},
    {"pooling_mode", "of newer folders: mean, cls or max"},
};
inline constexpr KnownKey pooling_without_effect[] = {
    {"word_embedding_dimension", "the weights tell"},
    {"embedding_dimension", "the weights tell"},
};
inline constexpr std::string_view other_pooling = "only mean, cls and max pooling are";
inline constexpr RefusedKey pooling_refused[] = {
    {"pooling_mode_mean_sqrt_len_tokens", "[false, null]", other_pooling},
    {"pooling_mode_weightedmean_tokens", "[false, null]", other_pooling},
    {"pooling_mode_lasttoken", "[false, null]", other_pooling},
    {"include_prompt", "[true, null]", "prompts are part of the text here"},
};
inline constexpr KnownKeys pooling_keys{pooling_used, pooling_without_effect, pooling_refused};

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
