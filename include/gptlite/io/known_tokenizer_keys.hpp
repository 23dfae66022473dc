#pragma once
// Every key of tokenizers' files, as known_keys.hpp lists those of models.

#include <string>
#include <string_view>
#include <vector>

#include "gptlite/core/files.hpp"
#include "gptlite/io/known_keys.hpp"
#include "gptlite/text/tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

// tokenizer.json.
// ------------------------------------------------------------------------------------------------------

inline constexpr KnownKey tokenizer_used[] = {
    {"model", ""},
    {"added_tokens", ""},
    {"pre_tokenizer", "ByteLevel, BertPreTokenizer, or none for single characters"},
    {"normalizer", "BertNormalizer with BertPreTokenizer, else none"},
    {"post_processor", "none, ByteLevel, BertProcessing, or TemplateProcessing with a task's tokens or BERT's or none"},
    {"decoder", "none, or the one of the pre_tokenizer"},
};
inline constexpr KnownKey tokenizer_without_effect[] = {
    {"version", ""},
    {"truncation", "transformers sets it for each call"},
    {"padding", "transformers sets it for each call"},
};
inline constexpr KnownKeys tokenizer_keys{tokenizer_used, tokenizer_without_effect};

inline constexpr std::string_view other_ids = "the library would give other ids";

inline constexpr KnownKey tokenizer_model_used[] = {
    {"type", "BPE"},
    {"vocab", ""},
    {"merges", "pairs, or texts with a space"},
    {"unk_token", "<unk> with BertPreTokenizer"},
    {"end_of_word_suffix", "</w> with BertPreTokenizer"},
};
inline constexpr RefusedKey tokenizer_model_refused[] = {
    {"dropout", "[null, 0, 0.0]", "ids would be random: set it to null"},
    {"continuing_subword_prefix", R"([null, ""])", other_ids},
    {"fuse_unk", "[false, null]", other_ids},
    {"byte_fallback", "[false, null]", other_ids},
    {"ignore_merges", "[false, null]", other_ids},
};
inline constexpr KnownKeys tokenizer_model_keys{tokenizer_model_used, {}, tokenizer_model_refused};

inline constexpr KnownKey word_piece_model_used[] = {{"type", "WordPiece"}, {"vocab", ""}};
inline constexpr RefusedKey word_piece_model_refused[] = {
    {"unk_token", R"(["[UNK]"])", other_ids},
    {"continuing_subword_prefix", R"(["##"])", other_ids},
    {"max_input_chars_per_word", "[100]", other_ids},
};
inline constexpr KnownKeys word_piece_model_keys{word_piece_model_used, {}, word_piece_model_refused};

inline constexpr KnownKey added_token_used[] = {
    {"id", ""},
    {"content", ""},
    {"special", "false: a word that was added, not a sign"},
    {"normalized", "must be false with BertNormalizer"},
};
inline constexpr RefusedKey added_token_refused[] = {
    {"single_word", "[false]", other_ids},
    {"lstrip", "[false]", other_ids},
    {"rstrip", "[false]", other_ids},
};
inline constexpr KnownKeys added_token_keys{added_token_used, {}, added_token_refused};

inline constexpr KnownKey byte_level_used[] = {{"type", ""}};
inline constexpr KnownKey byte_level_without_effect[] = {{"trim_offsets", "of positions in the text"}};
inline constexpr RefusedKey byte_level_refused[] = {
    {"add_prefix_space", "[false]", "put the space in front of the text, and set it to false"},
    {"use_regex", "[true, null]", other_ids},
};
inline constexpr KnownKeys byte_level_keys{byte_level_used, byte_level_without_effect, byte_level_refused};

inline constexpr KnownKey bert_normalizer_used[] = {{"type", ""}};
inline constexpr RefusedKey bert_normalizer_refused[] = {
    {"clean_text", "[true]", other_ids},
    {"handle_chinese_chars", "[true]", other_ids},
    {"strip_accents", "[null, true]", other_ids},
    {"lowercase", "[true]", other_ids},
};
inline constexpr KnownKeys bert_normalizer_keys{bert_normalizer_used, {}, bert_normalizer_refused};

inline constexpr KnownKey word_piece_normalizer_used[] = {
    {"type", ""},
    {"lowercase", ""},
    {"strip_accents", "null or the value of lowercase"},
};
inline constexpr RefusedKey word_piece_normalizer_refused[] = {
    {"clean_text", "[true]", other_ids},
    {"handle_chinese_chars", "[true]", other_ids},
};
inline constexpr KnownKeys word_piece_normalizer_keys{word_piece_normalizer_used, {}, word_piece_normalizer_refused};

inline constexpr KnownKey template_used[] = {
    {"type", ""},
    {"special_tokens", "those of a task, which text::TaskLayout adds, [CLS] and [SEP] with WordPiece, or none"},
    {"single", ""},
    {"pair", ""},
};
inline constexpr KnownKeys template_keys{template_used, {}};

// tokenizer_config.json and special_tokens_map.json.
// -------------------------------------------------------------------

inline constexpr KnownKey tokenizer_config_used[] = {
    {"bos_token", "must be a token of tokenizer.json, as those below"},
    {"eos_token", ""},
    {"unk_token", ""},
    {"sep_token", ""},
    {"pad_token", ""},
    {"cls_token", ""},
    {"mask_token", ""},
    {"additional_special_tokens", ""},
    {"extra_special_tokens", ""},
    {"model_specific_special_tokens", ""},
    {"added_tokens_decoder", ""},
    {"add_prefix_space", "must be false for GPT2Tokenizer"},
    {"add_bos_token", "must be false where there is no tokenizer.json, which else says what is added"},
    {"add_eos_token", "likewise"},
    {"tokenizer_class", "tells whether add_prefix_space acts"},
    {"do_lower_case", "with WordPiece; it must agree with tokenizer.json"},
    {"strip_accents", "with WordPiece; null or the value of do_lower_case"},
    {"tokenize_chinese_chars", "must be true with WordPiece"},
};
inline constexpr KnownKey tokenizer_config_without_effect[] = {
    {"split_special_tokens", "transformers' fast tokenizers do not read it"},
    {"do_basic_tokenize", ""},
    {"clean_up_tokenization_spaces", "of transformers' decoding"},
    {"spaces_between_special_tokens", "of transformers' decoding"},
    {"errors", "of transformers' decoding"},
    {"trim_offsets", "of positions in the text"},
    {"return_offsets_mapping", ""},
    {"model_max_length", "block_size counts"},
    {"max_len", "block_size counts"},
    {"max_length", ""},
    {"stride", ""},
    {"truncation", ""},
    {"truncation_side", ""},
    {"truncation_strategy", ""},
    {"padding", ""},
    {"padding_side", ""},
    {"pad_to_multiple_of", ""},
    {"pad_token_type_id", ""},
    {"model_input_names", ""},
    {"chat_template", "the caller lays out conversations"},
    {"use_default_system_prompt", ""},
    {"tokenizer_file", ""},
    {"vocab_file", ""},
    {"merges_file", ""},
    {"special_tokens_map_file", ""},
    {"name_or_path", ""},
    {"_name_or_path", ""},
    {"_commit_hash", ""},
    {"backend", ""},
    {"is_local", ""},
    {"local_files_only", ""},
    {"use_fast", ""},
    {"legacy", ""},
    {"verbose", ""},
    {"processor_class", ""},
    {"transformers_version", ""},
};
inline constexpr RefusedKey tokenizer_config_refused[] = {
    {"never_split", "[null, []]", other_ids},
    {"auto_map", "[null]", "the folder has code of its own, which may compute anything"},
};
inline constexpr KnownKeys tokenizer_config_keys{tokenizer_config_used, tokenizer_config_without_effect,
                                                 tokenizer_config_refused};

/// The tokens that tokenizer_config.json, special_tokens_map.json or a part of them names: a text, an object with
/// "content", a list or an object of these.
inline void add_named_tokens(const nlohmann::json& value, std::vector<std::string>& tokens) {
  if (value.is_string())
    tokens.push_back(value.get<std::string>());
  else if (value.is_object() && value.contains("content"))
    add_named_tokens(value.at("content"), tokens);
  else if (value.is_structured())
    for (const nlohmann::json& each : value) add_named_tokens(each, tokens);
}

/// Throws DataError for a setting beside tokenizer.json or vocab.json that would give other ids than `tokenizer` does.
inline void check_beside_tokenizer(const std::string& folder, const text::Tokenizer& tokenizer) {
  constexpr std::string_view where = "load_tokenizer";
  for (const char* name : {"/tokenizer_config.json", "/special_tokens_map.json"}) {
    const std::string path = folder + name;
    if (!path_exists(path)) continue;
    const nlohmann::json config = read_json(path);
    check<DataError>(config.is_object(), where, path, ": an object is expected");
    check_keys(config, tokenizer_config_keys, where, path);
    // Of other classes transformers takes tokenizer.json's own.
    const std::string kind = config.contains("tokenizer_class") && config.at("tokenizer_class").is_string()
                                 ? config.at("tokenizer_class").get<std::string>()
                                 : "";
    check<DataError>(!kind.starts_with("GPT2Tokenizer") || config.value("add_prefix_space", nlohmann::json()) != true,
                     where, path, ": \"add_prefix_space\" is true, which is not supported: put the space in front of ",
                     "the text, and set it to false");
    for (const char* key : {"add_bos_token", "add_eos_token"})
      check<DataError>(path_exists(folder + "/tokenizer.json") || config.value(key, nlohmann::json()) != true, where,
                       path, ": \"", key, "\" is true, which is not supported: write the token into the text, and set ",
                       "it to false");
    for (const KnownKey& key : tokenizer_config_used) {
      const std::string setting(key.name);
      std::vector<std::string> tokens;
      const bool names_tokens =
          setting.ends_with("_token") || setting.ends_with("_tokens") || setting == "added_tokens_decoder";
      if (names_tokens && config.contains(setting)) add_named_tokens(config.at(setting), tokens);
      for (const std::string& token : tokens)
        check<DataError>(tokenizer.token_to_id(token).has_value(), where, path, ": \"", setting, "\" names ",
                         json_string(token),
                         ", which is no token of the vocabulary: open the tokenizer in transformers and save it, which "
                         "adds the token");
    }
  }
}

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
