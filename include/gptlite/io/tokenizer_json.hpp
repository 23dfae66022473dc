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

/// Makes the contents that the files of both kinds of byte-pair encoding share.
inline TokenizerFiles bpe_files(const text::BpeVocabulary& vocabulary) {
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

inline TokenizerFiles files_of(const text::Gpt1Bpe& tokenizer) {
  TokenizerFiles files = bpe_files(tokenizer.vocabulary());
  Json& json = files.tokenizer;
  json["normalizer"] = {{"type", "BertNormalizer"},
                        {"clean_text", true},
                        {"handle_chinese_chars", true},
                        {"strip_accents", nullptr},
                        {"lowercase", true}};
  json["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  json["decoder"] = {{"type", "BPEDecoder"}, {"suffix", "</w>"}};
  json["model"]["unk_token"] = files.config["unk_token"] = "<unk>";
  json["model"]["end_of_word_suffix"] = "</w>";
  files.config["tokenizer_class"] = "OpenAIGPTTokenizer";
  return files;
}

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
