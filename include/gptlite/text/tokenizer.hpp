#pragma once
// Tokenizer: any of the library's tokenizers, for programs that open whatever a folder holds.

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/text/byte_bpe.hpp"
#include "gptlite/text/char_tokenizer.hpp"
#include "gptlite/text/gpt1_bpe.hpp"
#include "gptlite/text/tokenizer_concept.hpp"
#include "gptlite/text/word_piece.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Any of the library's tokenizers. Members do what those of the tokenizer inside do.
class Tokenizer {
 public:
  using Variant = std::variant<CharTokenizer, ByteBpe, Gpt1Bpe, WordPiece>;

  // Not explicit: any of them may be passed as a Tokenizer.
  Tokenizer(CharTokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  Tokenizer(ByteBpe tokenizer) : tokenizer_(std::move(tokenizer)) {}
  Tokenizer(Gpt1Bpe tokenizer) : tokenizer_(std::move(tokenizer)) {}
  Tokenizer(WordPiece tokenizer) : tokenizer_(std::move(tokenizer)) {}

  Index vocab_size() const {
    return std::visit([](const auto& own) { return own.vocab_size(); }, tokenizer_);
  }
  /// Returns the tokens of a text. Throws DataError for a text that is not UTF-8 or has a character that the tokenizer
  /// cannot express.
  std::vector<TokenId> encode(std::string_view text) const {
    return std::visit([&](const auto& own) { return own.encode(text); }, tokenizer_);
  }
  /// Returns the text of tokens. Ids from vocab_size() to padded_size() - 1 add nothing to it. Throws IndexError for an
  /// id outside 0..padded_size() - 1.
  std::string decode(const std::vector<TokenId>& tokens) const {
    std::vector<TokenId> known;
    std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(known), [&](TokenId id) { return !is_padding(id); });
    return std::visit([&](const auto& own) { return own.decode(known); }, tokenizer_);
  }
  /// The bytes that a token adds to a text; none from vocab_size() to padded_size() - 1. Throws IndexError for an id
  /// outside 0..padded_size() - 1.
  std::string id_to_bytes(TokenId id) const {
    if (is_padding(id)) return {};
    return std::visit([&](const auto& own) { return std::string(own.id_to_bytes(id)); }, tokenizer_);
  }
  /// A token as the vocabulary spells it. Throws IndexError for a token outside the vocabulary.
  std::string id_to_token(TokenId id) const {
    return std::visit([&](const auto& own) { return std::string(own.id_to_token(id)); }, tokenizer_);
  }
  /// The id of a token as the vocabulary spells it, if there is one.
  std::optional<TokenId> token_to_id(std::string_view token) const {
    return std::visit([&](const auto& own) { return own.token_to_id(token); }, tokenizer_);
  }
  /// The ids of the tokens that are no text, such as <|endoftext|>, ascending.
  std::vector<TokenId> special_tokens() const {
    return std::visit([](const auto& own) -> std::vector<TokenId> { return own.special_tokens(); }, tokenizer_);
  }
  /// The id of the token between two texts, if there is one.
  std::optional<TokenId> end_of_text() const {
    return std::visit([](const auto& own) { return own.end_of_text(); }, tokenizer_);
  }

  /// Number of embedding rows of the tokenizer's model, vocab_size() or more. Published models often have more rows
  /// than tokens, and may generate such an id.
  Index padded_size() const { return std::max(padded_size_, vocab_size()); }
  void set_padded_size(Index rows) { padded_size_ = rows; }

  /// The concrete tokenizer: std::get_if<text::ByteBpe>(&tokenizer.variant()).
  const Variant& variant() const { return tokenizer_; }

 private:
  bool is_padding(TokenId id) const { return id >= vocab_size() && id < padded_size_; }

  Variant tokenizer_;
  Index padded_size_ = 0;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
