#pragma once
// Tokenizer: any of the library's tokenizers, for programs that open whatever a folder holds.

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/text/byte_bpe.hpp"
#include "gptlite/text/char_tokenizer.hpp"
#include "gptlite/text/gpt1_bpe.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

class Tokenizer {
 public:
  using Variant = std::variant<text::CharTokenizer, text::ByteBpe, text::Gpt1Bpe>;

  // Where a Tokenizer is expected, any of them will do.
  Tokenizer(text::CharTokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  Tokenizer(text::ByteBpe tokenizer) : tokenizer_(std::move(tokenizer)) {}
  Tokenizer(text::Gpt1Bpe tokenizer) : tokenizer_(std::move(tokenizer)) {}

  Index vocab_size() const {
    return std::visit([](const auto& tokenizer) { return tokenizer.vocab_size(); }, tokenizer_);
  }
  /// Throws DataError for a text that is not UTF-8 or has a character that the tokenizer cannot express.
  std::vector<TokenId> encode(std::string_view text) const {
    return std::visit([&](const auto& tokenizer) { return tokenizer.encode(text); }, tokenizer_);
  }
  /// Throws IndexError for a token outside the vocabulary.
  std::string decode(const std::vector<TokenId>& tokens) const {
    return std::visit([&](const auto& tokenizer) { return tokenizer.decode(tokens); }, tokenizer_);
  }
  /// What a token adds to a text. Throws IndexError for a token outside the vocabulary.
  std::string bytes(TokenId token) const {
    return std::visit([&](const auto& tokenizer) { return std::string(tokenizer.bytes(token)); }, tokenizer_);
  }
  /// Tokens that are no text, as <|endoftext|>.
  std::vector<TokenId> special_tokens() const {
    return std::visit(
        [](const auto& tokenizer) -> std::vector<TokenId> {
          if constexpr (requires { tokenizer.vocabulary(); })
            return tokenizer.vocabulary().special_tokens();
          else
            return {};
        },
        tokenizer_);
  }
  /// The one that it is: std::get_if<text::ByteBpe>(&tokenizer.variant()).
  const Variant& variant() const { return tokenizer_; }

 private:
  Variant tokenizer_;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
