#pragma once
// Tokenizers from and to Hugging Face folders: tokenizer.json, or vocab.json and merges.txt, or vocab.txt.

#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/core/crc32c.hpp"
#include "gptlite/core/text_file.hpp"
#include "gptlite/io/folder_update.hpp"
#include "gptlite/io/tokenizer_file.hpp"
#include "gptlite/io/tokenizer_json.hpp"
#include "gptlite/io/word_piece_file.hpp"
#include "gptlite/text/tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {

/// Adds a line of merges.txt, or a merge of tokenizer.json written like one.
inline void add_merge(text::BpeVocabulary::Merges& merges, const std::string& line, const JsonFile& file) {
  const std::size_t space = line.find(' ');
  file.expect(space != line.npos && space > 0 && space + 1 < line.size() && line.find(' ', space + 1) == line.npos,
              "merge ", merges.size(), ", \"", line, "\", is not two tokens");
  merges.emplace_back(line.substr(0, space), line.substr(space + 1));
}

inline text::Tokenizer read_tokenizer_json(const std::string& path) {
  const JsonFile file{read_json(path), path};
  const Json& model = file.member(file.json, "model", "object");
  file.require_one_of(model, "type", {"BPE", "WordPiece"});
  file.check_known(file.json, tokenizer_keys);
  if (model.value("type", Json()) == "WordPiece") return read_word_piece(file);
  file.check_known(model, tokenizer_model_keys);

  text::BpeVocabulary::Merges merges;
  for (const Json& merge : file.member(model, "merges", "array")) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {  // older files
      add_merge(merges, merge.is_string() ? merge.get<std::string>() : "", file);
    }
  }
  const std::string words = file.type_of(file.json, "pre_tokenizer");
  auto [tokens, special, ordinary, ids] = read_tokens(file);
  const std::string normalizer = file.type_of(file.json, "normalizer");
  const std::string post_processor = file.type_of(file.json, "post_processor");
  file.expect(post_processor.empty() || post_processor == "ByteLevel" || post_processor == "TemplateProcessing",
              "post_processor ", post_processor, " is not supported");
  const auto expect_decoder = [&](const char* usual) {
    const std::string decoder = file.type_of(file.json, "decoder");
    file.expect(decoder.empty() || decoder == usual, "decoder ", decoder, " is not supported, only ", usual);
  };
  if (post_processor == "TemplateProcessing") {  // it adds tokens; here a TaskLayout adds those of a task
    const Json& added = file.json.at("post_processor");
    file.check_known(added, template_keys);
    const bool of_task = added.value("special_tokens", Json()) == task_template(ids)["special_tokens"];
    if (!of_task) file.require_one_of(added, "special_tokens", {Json::object()});
  }
  file.expect(normalizer == (words == "BertPreTokenizer" ? "BertNormalizer" : ""), "normalizer ", normalizer,
              " is not supported with this pre_tokenizer");
  if (words == "BertPreTokenizer") {
    file.check_known(file.json.at("normalizer"), bert_normalizer_keys);
    expect_decoder("BPEDecoder");
    file.require_one_of(model, "end_of_word_suffix", {"</w>"});
    file.require_one_of(model, "unk_token", {"<unk>"});
    return made<text::Gpt1Bpe>(file, std::move(tokens), merges, special, ordinary);
  }
  file.require_one_of(model, "end_of_word_suffix", {nullptr, ""});
  if (words == "ByteLevel") {
    file.check_known(file.json.at("pre_tokenizer"), byte_level_keys);
    expect_decoder("ByteLevel");
    return made<text::ByteBpe>(file, std::move(tokens), merges, special, ordinary);
  }
  file.expect(words.empty() && merges.empty(), "pre_tokenizer ", words.empty() ? "null" : words,
              " is not supported, only ByteLevel, BertPreTokenizer, or none for single characters");
  expect_decoder("Fuse");
  std::string characters;
  for (const std::string& token : tokens) characters += token;
  auto tokenizer = made<text::CharTokenizer>(file, characters);
  for (TokenId id = 0; id < static_cast<TokenId>(tokens.size()); ++id)
    file.expect(id < tokenizer.vocab_size() && tokenizer.id_to_token(id) == tokens[static_cast<std::size_t>(id)],
                "tokens without merges must be single characters in ascending order");
  return tokenizer;
}

inline text::Tokenizer read_vocabulary_and_merges(const std::string& folder) {
  JsonFile file{read_json(folder + "/vocab.json"), folder + "/vocab.json"};
  file.expect(file.json.is_object(), "an object of ids by token is expected");
  const JsonFile merges_file{{}, folder + "/merges.txt"};
  text::BpeVocabulary::Merges merges;
  std::istringstream lines(io::read_file(merges_file.path));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && !line.starts_with("#version")) add_merge(merges, line, merges_file);
  }
  bool gpt1 = false;  // GPT-1's words end in </w>
  for (const auto& [token, id] : file.json.items()) gpt1 = gpt1 || token.ends_with("</w>");
  std::vector<std::string> special;
  if (const char* usual = gpt1 ? "<unk>" : "<|endoftext|>"; file.json.contains(usual)) special.push_back(usual);
  if (const std::string path = folder + "/added_tokens.json"; path_exists(path)) {
    const JsonFile added{read_json(path), path};
    added.expect(added.json.is_object(), "an object of ids by token is expected");
    for (const auto& [token, id] : added.json.items()) special.push_back(token);
    file.json.update(added.json);
  }
  std::vector<std::string> tokens = tokens_by_id(file.json, file);
  if (gpt1) return made<text::Gpt1Bpe>(file, std::move(tokens), merges, special);
  return made<text::ByteBpe>(file, std::move(tokens), merges, special);
}

/// Names of the files of a tokenizer, in the order in which a FolderUpdate puts them in place.
inline std::vector<std::string> tokenizer_file_names() {
  return {"added_tokens.json", "special_tokens_map.json", "vocab.json",    "vocab.txt",
          "merges.txt",        "tokenizer_config.json",   "tokenizer.json"};
}

/// Writes the files of a tokenizer to a folder that exists.
inline void write_tokenizer(const std::string& folder, const TokenizerFiles& files) {
  if (!files.merges.empty()) {
    write_text(folder + "/vocab.json", files.tokenizer["model"]["vocab"].dump());
    write_text(folder + "/merges.txt", files.merges);
  }
  write_text(folder + "/tokenizer_config.json", files.config.dump(2));
  write_text(folder + "/tokenizer.json", files.tokenizer.dump());
}
inline TokenizerFiles tokenizer_files(const text::Tokenizer& tokenizer) {
  return std::visit([](const auto& own) { return files_of(own); }, tokenizer.variant());
}

/// Checksum of all tokens of a tokenizer, by which the weights know the one they were saved with.
inline std::string tokens_checksum(const text::Tokenizer& tokenizer) {
  std::uint32_t sum = 0;
  for (TokenId id = 0; id < static_cast<TokenId>(tokenizer.vocab_size()); ++id) {
    const std::string token = tokenizer.id_to_token(id) + '\n';
    sum = crc32c(token.data(), token.size(), sum);
  }
  return std::to_string(sum);
}

}  // namespace detail

/// Loads the tokenizer in a folder, from its tokenizer.json, or else from vocab.json, merges.txt and added_tokens.json,
/// or from BERT's vocab.txt.
/// Throws DataError, with the path, for files that are missing or malformed, and for a kind of tokenizer or a setting,
/// also of tokenizer_config.json and special_tokens_map.json, with which it would give other tokens.
inline text::Tokenizer load_tokenizer(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  const bool bpe = path_exists(folder + "/vocab.json");
  check<DataError>(path_exists(path) || bpe || path_exists(folder + "/vocab.txt"), "load_tokenizer", folder,
                   ": holds no tokenizer: neither tokenizer.json nor vocab.json and merges.txt nor vocab.txt");
  text::Tokenizer tokenizer = path_exists(path) ? detail::read_tokenizer_json(path)
                              : bpe             ? detail::read_vocabulary_and_merges(folder)
                                                : detail::read_vocabulary_lines(folder);
  detail::check_beside_tokenizer(folder, tokenizer);
  const std::string config = folder + "/tokenizer_config.json";
  if (const auto* pieces = std::get_if<text::WordPiece>(&tokenizer.variant()); pieces != nullptr && path_exists(config))
    detail::check_beside_word_piece({read_json(config), config}, *pieces);
  return tokenizer;
}

/// Writes tokenizer.json and tokenizer_config.json, which the Python packages `tokenizers` and `transformers` open to
/// the same tokens, and vocab.json and merges.txt where there are merges. The folder is made if it is not there; a
/// tokenizer in it is replaced whole or not at all (FolderUpdate). Throws IoError if a file cannot be written.
inline void save_tokenizer(const std::string& folder, const text::Tokenizer& tokenizer) {
  const detail::TokenizerFiles files = detail::tokenizer_files(tokenizer);
  FolderUpdate update(folder, detail::tokenizer_file_names());
  detail::write_tokenizer(update.staging(), files);
  update.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
