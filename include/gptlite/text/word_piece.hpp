#pragma once
// WordPiece: the tokenizer of BERT. Each word is cut into the longest pieces that the vocabulary has, from the left.

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/utf8.hpp"
#include "gptlite/text/bert_words.hpp"
#include "gptlite/text/vocabulary.hpp"
#include "gptlite/text/word_cache.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Tokenizer of BERT, as in the Python package `tokenizers`: BERT's normalizer and pre-tokenizer, then the longest
/// piece that fits, again and again (Devlin et al. 2019; Wu et al. 2016). Pieces within a word begin with ##. A word
/// with a part that no piece fits, or of more than 100 characters, is [UNK].
class WordPiece {
 public:
  static constexpr std::size_t most_characters = 100;  ///< of a word

  /// Takes tokens in the order of their ids. Special tokens are recognized in texts. lowercase: letters become lower
  /// case and lose their accents. Throws DataError as Vocabulary does, and for a vocabulary without [UNK].
  explicit WordPiece(std::vector<std::string> tokens, bool lowercase = true,
                     const std::vector<std::string>& special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
                     const std::vector<std::string>& ordinary_tokens = {})
      : vocabulary_(std::move(tokens), special_tokens, ordinary_tokens),
        unknown_(vocabulary_.required_id("[UNK]")),
        lowercase_(lowercase) {
    for (const std::string& token : vocabulary_.tokens()) longest_ = std::max(longest_, token.size());
  }

  Index vocab_size() const { return vocabulary_.size(); }
  bool lowercase() const { return lowercase_; }

  /// Returns the tokens of a text, without [CLS] and [SEP]. Throws DataError for a text that is not UTF-8, with the
  /// byte offset.
  std::vector<TokenId> encode(std::string_view text) const {
    std::vector<TokenId> tokens;
    WordCache cache(text.size());
    const auto encode_run = [&](std::string_view run) { append_words(text, run, tokens); };
    vocabulary_.split(
        text,
        [&](std::size_t begin, std::size_t end) {
          for_bert_runs(text, begin, end, [&](std::size_t first, std::size_t last) {
            cache.append(text.substr(first, last - first), tokens, encode_run);
          });
        },
        [&](TokenId id) { memory::append(tokens, id); });
    return tokens;
  }

  /// Returns the words of tokens, separated by spaces but for those before punctuation, as `tokenizers` does. encode()
  /// keeps neither other white space nor, if lowercase(), case and accents. Throws IndexError for a token outside the
  /// vocabulary.
  std::string decode(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      text += i == 0 ? joined(id_to_token(tokens[0])) : id_to_bytes(tokens[i]);
    return text;
  }
  /// The text that a token adds after another one. Throws IndexError for a token outside the vocabulary.
  std::string id_to_bytes(TokenId id) const {
    const std::string& token = id_to_token(id);
    return joined(token.starts_with(inside_word) ? token.substr(inside_word.size()) : ' ' + token);
  }
  /// The spelling of a token, with ## if it continues a word. Throws IndexError for a token outside the vocabulary.
  const std::string& id_to_token(TokenId id) const { return vocabulary_.id_to_token(id); }
  /// The id of a token as the vocabulary spells it, if there is one.
  std::optional<TokenId> token_to_id(std::string_view token) const { return vocabulary_.token_to_id(token); }
  /// The ids of the special tokens, ascending.
  const std::vector<TokenId>& special_tokens() const { return vocabulary_.special_tokens(); }
  /// The id of [SEP], which ends BERT's texts, if the vocabulary has it.
  std::optional<TokenId> end_of_text() const { return token_to_id("[SEP]"); }
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  static constexpr std::string_view inside_word = "##";

  // Appends the tokens of `run`, which is a part of `text`.
  void append_words(std::string_view text, std::string_view run, std::vector<TokenId>& tokens) const {
    const std::size_t first = static_cast<std::size_t>(run.data() - text.data());
    std::string spelled;
    for_bert_words(text, first, first + run.size(), lowercase_, [&](const std::u32string& word) {
      if (word.size() > most_characters) return memory::append(tokens, unknown_);
      spelled.clear();
      for (const char32_t point : word) append_utf8(spelled, point);
      append_pieces(spelled, tokens);
    });
  }
  void append_pieces(const std::string& word, std::vector<TokenId>& tokens) const {
    const std::size_t before = tokens.size();
    std::string piece;
    for (std::size_t begin = 0; begin < word.size();) {
      piece = begin == 0 ? "" : inside_word;
      const std::size_t prefix = piece.size();
      piece.append(word, begin, longest_ - std::min(prefix, longest_));
      std::optional<TokenId> id;
      while (piece.size() > prefix && !(id = token_to_id(piece))) {
        do piece.pop_back();
        while (piece.size() > prefix && is_continuation(word[begin + piece.size() - prefix]));
      }
      if (!id) {
        tokens.resize(before);
        return memory::append(tokens, unknown_);
      }
      memory::append(tokens, *id);
      begin += piece.size() - prefix;
    }
  }
  static bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

  // Takes out the spaces that no one writes, before punctuation and in short forms.
  static std::string joined(std::string text) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> forms{{{" .", "."},
                                                                                          {" ?", "?"},
                                                                                          {" !", "!"},
                                                                                          {" ,", ","},
                                                                                          {" ' ", "'"},
                                                                                          {" n't", "n't"},
                                                                                          {" 'm", "'m"},
                                                                                          {" do not", " don't"},
                                                                                          {" 's", "'s"},
                                                                                          {" 've", "'ve"},
                                                                                          {" 're", "'re"}}};
    for (const auto& [from, to] : forms)
      for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
  }

  Vocabulary vocabulary_;
  TokenId unknown_;
  bool lowercase_;
  std::size_t longest_ = 0;  // bytes of the longest token
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
