#pragma once
// BERT's tokenizer from tokenizer.json or from vocab.txt.

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/core/text_file.hpp"
#include "gptlite/io/tokenizer_file.hpp"
#include "gptlite/text/word_piece.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

/// Throws DataError unless a post-processor adds nothing but [CLS] in front of a text and [SEP] after each one, which
/// the library does where it lays out BERT's input.
inline void check_bert_template(const JsonFile& file, const Json& ids) {
  const std::string type = file.type_of(file.json, "post_processor");
  file.expect(type.empty() || type == "TemplateProcessing" || type == "BertProcessing", "post_processor ", type,
              " is not supported with WordPiece, only TemplateProcessing and BertProcessing");
  if (type != "TemplateProcessing") return;
  const Json& added = file.json.at("post_processor");
  file.check_known(added, template_keys);
  std::string names;
  for (const Json& part : file.member(added, "single", "array")) {
    file.expect(part.is_object() && part.size() == 1 && part.front().is_object(), "\"single\" has a malformed part");
    names += file.member(part.front(), "id", "string").get<std::string>() + ' ';
  }
  for (const auto& [token, entry] : file.member(added, "special_tokens", "object").items()) {
    const bool same =
        ids.contains(token) && entry.is_object() && entry.value("ids", Json()) == Json::array({ids[token]});
    file.expect(same, "\"special_tokens\" gives ", json_string(token), " another id than the vocabulary");
  }
  file.expect(names == "[CLS] A [SEP] ", "\"single\" is \"", names, "\", which is not supported, only [CLS] A [SEP]");
}

inline text::Tokenizer read_word_piece(const JsonFile& file) {
  const Json& model = file.member(file.json, "model", "object");
  file.check_known(model, word_piece_model_keys);
  file.expect(file.type_of(file.json, "pre_tokenizer") == "BertPreTokenizer", "pre_tokenizer ",
              file.type_of(file.json, "pre_tokenizer"), " is not supported with WordPiece, only BertPreTokenizer");
  file.expect(file.type_of(file.json, "normalizer") == "BertNormalizer", "normalizer ",
              file.type_of(file.json, "normalizer"), " is not supported with WordPiece, only BertNormalizer");
  const Json& normalizer = file.json.at("normalizer");
  file.check_known(normalizer, word_piece_normalizer_keys);
  const Json lowercase = normalizer.value("lowercase", Json(true));
  file.expect(lowercase.is_boolean(), "\"lowercase\" must be true or false, not ", lowercase.dump());
  file.require_one_of(normalizer, "strip_accents", {nullptr, lowercase});
  const std::string decoder = file.type_of(file.json, "decoder");
  file.expect(decoder.empty() || decoder == "WordPiece", "decoder ", decoder, " is not supported with WordPiece");
  ReadTokens read = read_tokens(file);
  check_bert_template(file, read.ids);
  return made<text::WordPiece>(file, std::move(read.tokens), lowercase.get<bool>(), read.special, read.ordinary);
}

/// Reads vocab.txt, one token per line. Beside it tokenizer_config.json says whether letters become lower case.
inline text::Tokenizer read_vocabulary_lines(const std::string& folder) {
  const JsonFile file{{}, folder + "/vocab.txt"};
  std::vector<std::string> tokens, special;
  std::istringstream lines(io::read_text(file.path));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    tokens.push_back(line);
    for (const char* name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})
      if (line == name) special.push_back(line);
  }
  if (const std::string path = folder + "/added_tokens.json"; path_exists(path)) {
    const JsonFile added{read_json(path), path};
    added.expect(added.json.is_object(), "an object of ids by token is expected");
    Json ids = Json::object();
    for (std::size_t id = 0; id < tokens.size(); ++id) ids[tokens[id]] = id;
    file.expect(ids.size() == tokens.size(), "a token occurs twice");
    for (const auto& [token, id] : added.json.items()) special.push_back(token);
    ids.update(added.json);
    tokens = tokens_by_id(ids, added);
  }
  JsonFile config{Json::object(), folder + "/tokenizer_config.json"};
  if (path_exists(config.path)) config.json = read_json(config.path);
  config.expect(config.json.is_object(), "an object is expected");
  const Json lowercase = config.json.value("do_lower_case", Json(true));
  config.expect(lowercase.is_boolean(), "\"do_lower_case\" must be true or false, not ", lowercase.dump());
  return made<text::WordPiece>(file, std::move(tokens), lowercase.get<bool>(), special);
}

/// Throws DataError for a setting of tokenizer_config.json with which transformers would cut words otherwise: it counts
/// even beside tokenizer.json.
inline void check_beside_word_piece(const JsonFile& config, const text::WordPiece& tokenizer) {
  config.require_one_of(config.json, "do_lower_case", {tokenizer.lowercase()});
  config.require_one_of(config.json, "strip_accents", {nullptr, tokenizer.lowercase()});
  config.require_one_of(config.json, "tokenize_chinese_chars", {true});
}

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
