#pragma once
// Contents of tokenizer.json, tokenizer_config.json and merges.txt for each tokenizer, for save_tokenizer.

#include <string>
#include <vector>

#include "gptlite/io/json.hpp"
#include "gptlite/text/task_tokenizer.hpp"
#include "gptlite/text/tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

using Json = nlohmann::json;

/// Makes the post-processor that puts a task's tokens around texts as text::TaskLayout does. ids: object of ids by
/// token; a token that it lacks gets the id null.
inline Json task_template(const Json& ids) {
  const auto [start, delimiter, extract] = text::task_token_names;
  const auto special = [](const char* token) { return Json{{"SpecialToken", {{"id", token}, {"type_id", 0}}}}; };
  const auto sequence = [](const char* name) { return Json{{"Sequence", {{"id", name}, {"type_id", 0}}}}; };
  Json post_processor = {
      {"type", "TemplateProcessing"},
      {"single", {special(start), sequence("A"), special(extract)}},
      {"pair", {special(start), sequence("A"), special(delimiter), sequence("B"), special(extract)}}};
  for (const char* token : text::task_token_names)
    post_processor["special_tokens"][token] = {{"id", token}, {"ids", {ids.value(token, Json())}}, {"tokens", {token}}};
  return post_processor;
}

/// Contents of the files that save_tokenizer writes.
struct TokenizerFiles {
  Json tokenizer;      // tokenizer.json
  Json config;         // tokenizer_config.json
  std::string merges;  // merges.txt, empty for a tokenizer without
};

/// Makes the contents that the files of all tokenizers share.
inline TokenizerFiles common_files(const std::vector<std::string>& tokens) {
  TokenizerFiles files;
  files.config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                  {"clean_up_tokenization_spaces", false},
                  {"model_input_names", {"input_ids", "attention_mask"}}};  // type ids would be embedded as tokens
  files.tokenizer = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"normalizer", nullptr},
                     {"added_tokens", Json::array()},
                     {"pre_tokenizer", nullptr},
                     {"post_processor", nullptr},
                     {"decoder", nullptr}};
  Json& model = files.tokenizer["model"] = {{"type", "BPE"},
                                            {"dropout", nullptr},
                                            {"unk_token", nullptr},
                                            {"fuse_unk", false},
                                            {"byte_fallback", false},
                                            {"ignore_merges", false},
                                            {"merges", Json::array()},
                                            {"vocab", Json::object()},
                                            {"end_of_word_suffix", nullptr},
                                            {"continuing_subword_prefix", nullptr}};
  for (std::size_t id = 0; id < tokens.size(); ++id) model["vocab"][tokens[id]] = id;
  return files;
}

/// Makes the contents that the files of all tokenizers with special tokens share.
inline TokenizerFiles vocabulary_files(const text::Vocabulary& vocabulary) {
  TokenizerFiles files = common_files(vocabulary.tokens());
  for (const TokenId id : vocabulary.special_tokens()) {
    files.tokenizer["added_tokens"].push_back({{"id", id},
                                               {"content", vocabulary.id_to_token(id)},
                                               {"special", !vocabulary.is_ordinary(id)},
                                               {"single_word", false},
                                               {"lstrip", false},
                                               {"rstrip", false},
                                               {"normalized", false}});
  }
  return files;
}

/// Makes the contents that the files of both kinds of byte-pair encoding share.
inline TokenizerFiles bpe_files(const text::BpeVocabulary& vocabulary) {
  TokenizerFiles files = vocabulary_files(vocabulary);
  files.merges = "#version: 0.2\n";
  for (const text::BpeMerge& merge : vocabulary.merges().merges()) {
    const std::string &left = vocabulary.id_to_token(merge.left), &right = vocabulary.id_to_token(merge.right);
    files.tokenizer["model"]["merges"].push_back({left, right});
    files.merges += left + ' ' + right + '\n';
  }
  return files;
}

inline TokenizerFiles files_of(const text::CharTokenizer& tokenizer) {
  std::vector<std::string> tokens;
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) tokens.push_back(tokenizer.id_to_token(id));
  TokenizerFiles files = common_files(tokens);
  files.tokenizer["decoder"] = {{"type", "Fuse"}};
  return files;
}

inline TokenizerFiles files_of(const text::ByteBpe& tokenizer) {
  TokenizerFiles files = bpe_files(tokenizer.vocabulary());
  Json& json = files.tokenizer;
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  json["pre_tokenizer"] = json["post_processor"] = json["decoder"] = byte_level;
  for (const Json& added : json["added_tokens"]) {
    if (added["content"] != "<|endoftext|>") continue;  // GPT2Tokenizer would add it
    files.config["tokenizer_class"] = "GPT2Tokenizer";
    for (const char* key : {"bos_token", "eos_token", "unk_token"}) files.config[key] = "<|endoftext|>";
  }
  return files;
}

/// Sets BERT's normalizer and pre-tokenizer.
inline void add_bert_words(Json& tokenizer, bool lowercase) {
  tokenizer["normalizer"] = {{"type", "BertNormalizer"},
                             {"clean_text", true},
                             {"handle_chinese_chars", true},
                             {"strip_accents", nullptr},
                             {"lowercase", lowercase}};
  tokenizer["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
}

inline TokenizerFiles files_of(const text::Gpt1Bpe& tokenizer) {
  TokenizerFiles files = bpe_files(tokenizer.vocabulary());
  Json& json = files.tokenizer;
  add_bert_words(json, true);
  json["decoder"] = {{"type", "BPEDecoder"}, {"suffix", "</w>"}};
  json["model"]["unk_token"] = files.config["unk_token"] = "<unk>";
  json["model"]["end_of_word_suffix"] = "</w>";
  files.config["tokenizer_class"] = "OpenAIGPTTokenizer";
  return files;
}

inline TokenizerFiles files_of(const text::WordPiece& tokenizer) {
  TokenizerFiles files = vocabulary_files(tokenizer.vocabulary());
  Json& json = files.tokenizer;
  add_bert_words(json, tokenizer.lowercase());
  json["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  json["model"] = {{"type", "WordPiece"},
                   {"unk_token", "[UNK]"},
                   {"continuing_subword_prefix", "##"},
                   {"max_input_chars_per_word", text::WordPiece::most_characters},
                   {"vocab", std::move(json["model"]["vocab"])}};
  const auto special = [](const char* token, int type) {
    return Json{{"SpecialToken", {{"id", token}, {"type_id", type}}}};
  };
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const auto cls = tokenizer.token_to_id("[CLS]"), sep = tokenizer.token_to_id("[SEP]");
  if (cls && sep) {
    json["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single", {special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)}},
        {"pair", {special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0), sequence("B", 1), special("[SEP]", 1)}}};
    Json& added = json["post_processor"]["special_tokens"];
    added["[CLS]"] = {{"id", "[CLS]"}, {"ids", {*cls}}, {"tokens", {"[CLS]"}}};
    added["[SEP]"] = {{"id", "[SEP]"}, {"ids", {*sep}}, {"tokens", {"[SEP]"}}};
  }
  files.config["tokenizer_class"] = "BertTokenizer";
  files.config["do_lower_case"] = tokenizer.lowercase();
  files.config["model_input_names"] = {"input_ids", "token_type_ids", "attention_mask"};
  for (const auto& [key, token] :
       {std::pair("unk_token", "[UNK]"), std::pair("pad_token", "[PAD]"), std::pair("cls_token", "[CLS]"),
        std::pair("sep_token", "[SEP]"), std::pair("mask_token", "[MASK]")})
    if (tokenizer.token_to_id(token)) files.config[key] = token;
  return files;
}

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
