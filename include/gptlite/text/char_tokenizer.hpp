#pragma once
// CharTokenizer: one token per Unicode code point of a text.

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Tokenizer with one token per Unicode code point.
class CharTokenizer {
 public:
  /// Makes a vocabulary of the code points of `text`, in ascending order. Throws DataError for an empty text or one
  /// that is not UTF-8 (with the byte offset).
  explicit CharTokenizer(std::string_view text) : points_(decode_utf8(text)) {
    check<DataError>(!points_.empty(), "CharTokenizer", "the text is empty: there is no character to learn");
    std::sort(points_.begin(), points_.end());
    points_.erase(std::unique(points_.begin(), points_.end()), points_.end());
  }

  Index vocab_size() const { return static_cast<Index>(points_.size()); }

  /// Returns the tokens of a text. Throws DataError for a text that is not UTF-8, or a character outside the
  /// vocabulary, with its position.
  std::vector<TokenId> encode(std::string_view text) const {
    const std::u32string points = decode_utf8(text);
    std::vector<TokenId> tokens;
    memory::reserve(tokens, points.size());
    for (const char32_t point : points) {
      const std::optional<TokenId> id = find(point);
      if (!id) {
        raise<DataError>("CharTokenizer", "character ", shown(point), " at position ", tokens.size(),
                         " is not in the vocabulary of ", vocab_size());
      }
      tokens.push_back(*id);
    }
    return tokens;
  }

  /// Returns the text of tokens. Throws IndexError for a token outside the vocabulary.
  std::string decode(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (const TokenId token : tokens) text += id_to_bytes(token);
    return text;
  }

  /// The character of a token. Throws IndexError for a token outside the vocabulary.
  std::string id_to_bytes(TokenId id) const {
    check<IndexError>(id >= 0 && id < vocab_size(), "CharTokenizer", "token ", id, " is outside the vocabulary of ",
                      vocab_size());
    std::string character;
    append_utf8(character, points_[static_cast<std::size_t>(id)]);
    return character;
  }
  /// The spelling of a token, which is its character. Throws as id_to_bytes does.
  std::string id_to_token(TokenId id) const { return id_to_bytes(id); }
  /// The id of a text of one character, if the vocabulary has it.
  std::optional<TokenId> token_to_id(std::string_view token) const {
    if (token.empty()) return std::nullopt;
    const Utf8Sequence character = utf8_sequence(token, 0);
    if (!character.well_formed || character.length != token.size()) return std::nullopt;
    return find(character.point);
  }
  /// Empty: every token is a character.
  std::vector<TokenId> special_tokens() const { return {}; }
  /// Always nullopt: every token is a character.
  std::optional<TokenId> end_of_text() const { return std::nullopt; }

 private:
  std::optional<TokenId> find(char32_t point) const {
    const auto found = std::lower_bound(points_.begin(), points_.end(), point);
    if (found == points_.end() || *found != point) return std::nullopt;
    return static_cast<TokenId>(found - points_.begin());
  }

  // A character for messages: "a" in quotes, or U+000A for a control character, which would break the line.
  static std::string shown(char32_t point) {
    const bool control = point < 0x20 || (point >= 0x7F && point < 0xA0);
    std::string character;
    append_utf8(character, point);
    char code[16];
    std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(point));
    return control ? code : '"' + character + '"';
  }

  std::u32string points_;  // sorted: a token is its index
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
