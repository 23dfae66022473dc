#pragma once
// TokenizerLike: the members that every tokenizer has, the library's and a user's own.

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// A tokenizer: CharTokenizer, ByteBpe, Gpt1Bpe, WordPiece, Tokenizer, or a class of your own with these members.
///
///   vocab_size()        number of tokens; their ids are 0 .. vocab_size() - 1
///   encode(text)        the tokens of a text. Throws DataError for a text that it cannot express
///   decode(tokens)      the text of tokens
///   id_to_bytes(id)     the bytes that a token adds to a text, which need not be whole code points
///   id_to_token(id)     the token as the vocabulary spells it: "\u0120low" where id_to_bytes gives " low"
///   token_to_id(token)  the id of a token as the vocabulary spells it, if there is one
///   special_tokens()    ids of the tokens that are no text, such as <|endoftext|>, ascending
///   end_of_text()       the token between two texts, if there is one: a text ends with it and may start with it
///
/// decode, id_to_bytes and id_to_token throw IndexError for an id outside the vocabulary. All are const and may be
/// called by several threads at once.
template <class T>
concept TokenizerLike = requires(const T& tokenizer, std::string_view text, TokenId id, std::vector<TokenId> tokens) {
  { tokenizer.vocab_size() } -> std::same_as<Index>;
  { tokenizer.encode(text) } -> std::same_as<std::vector<TokenId>>;
  { tokenizer.decode(tokens) } -> std::same_as<std::string>;
  { tokenizer.id_to_bytes(id) } -> std::convertible_to<std::string>;
  { tokenizer.id_to_token(id) } -> std::convertible_to<std::string>;
  { tokenizer.token_to_id(text) } -> std::same_as<std::optional<TokenId>>;
  { tokenizer.special_tokens() } -> std::convertible_to<std::vector<TokenId>>;
  { tokenizer.end_of_text() } -> std::same_as<std::optional<TokenId>>;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
