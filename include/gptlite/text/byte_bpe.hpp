#pragma once
// ByteBpe: the tokenizer of GPT-2. Byte-pair encoding of bytes, so that every text has tokens.

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/text/bpe_vocabulary.hpp"
#include "gptlite/text/byte_alphabet.hpp"
#include "gptlite/text/gpt2_words.hpp"
#include "gptlite/text/word_cache.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Tokenizer of GPT-2: byte-pair encoding of bytes.
class ByteBpe {
 public:
  /// Takes tokens in the order of their ids, spelled in GPT-2's alphabet of bytes (special tokens as they are), and
  /// merges in the order they were learned. Special tokens are recognized in texts. Throws DataError as BpeVocabulary
  /// does, for a token that is not spelled in the alphabet, for a byte without a token, and for a special token that is
  /// also the token of other bytes: it could not be decoded.
  ByteBpe(std::vector<std::string> tokens, const BpeVocabulary::Merges& merges,
          const std::vector<std::string>& special_tokens = {}, const std::vector<std::string>& ordinary_tokens = {})
      : vocabulary_(std::move(tokens), merges, special_tokens, ordinary_tokens), bytes_(vocabulary_.tokens()) {
    const auto& special = vocabulary_.special_tokens();
    for (TokenId id = 0; id < vocab_size(); ++id) {
      if (std::binary_search(special.begin(), special.end(), id)) continue;
      std::string& bytes = bytes_[static_cast<std::size_t>(id)];
      auto meant = from_byte_alphabet(bytes);
      check<DataError>(meant.has_value(), "ByteBpe", "token ", id, ", \"", bytes,
                       "\", has a character that stands for no byte");
      bytes = *std::move(meant);
    }
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::string spelt = to_byte_alphabet(std::string(1, static_cast<char>(byte)));
      const auto id = vocabulary_.token_to_id(spelt);
      check<DataError>(id.has_value(), "ByteBpe", "byte ", byte, " has no token, \"", spelt, '"');
      byte_ids_[byte] = *id;
      check_plain(*id);
    }
    for (const BpeMerge& merge : vocabulary_.merges().merges()) check_plain(merge.merged);
  }

  Index vocab_size() const { return vocabulary_.size(); }

  /// Returns the tokens of a text. Throws DataError for a text that is not UTF-8, with the byte offset.
  std::vector<TokenId> encode(std::string_view text) const {
    std::vector<TokenId> tokens;
    WordCache cache(text.size());
    const auto encode_word = [&](std::string_view word) {
      const std::size_t begin = tokens.size();
      memory::reserve(tokens, begin + word.size());
      for (const char byte : word) tokens.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      vocabulary_.merges().apply(tokens, begin);
    };
    vocabulary_.split(
        text,
        [&](std::size_t begin, std::size_t end) {
          for_each_gpt2_word(text, begin, end, [&](std::string_view word) { cache.append(word, tokens, encode_word); });
        },
        [&](TokenId id) { memory::append(tokens, id); });
    return tokens;
  }

  /// Returns the bytes of any tokens, which need not be whole code points; decode(encode(text)) is text. Throws
  /// IndexError for a token outside the vocabulary.
  std::string decode(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (const TokenId token : tokens) text += id_to_bytes(token);
    return text;
  }

  /// The bytes that a token adds to a text. Throws IndexError for a token outside the vocabulary.
  const std::string& id_to_bytes(TokenId id) const {
    vocabulary_.id_to_token(id);
    return bytes_[static_cast<std::size_t>(id)];
  }
  /// A token in GPT-2's alphabet of bytes, special tokens as they are. Throws IndexError outside the vocabulary.
  const std::string& id_to_token(TokenId id) const { return vocabulary_.id_to_token(id); }
  /// The id of a token as the vocabulary spells it, if there is one.
  std::optional<TokenId> token_to_id(std::string_view token) const { return vocabulary_.token_to_id(token); }
  /// The ids of the special tokens, ascending.
  const std::vector<TokenId>& special_tokens() const { return vocabulary_.special_tokens(); }
  /// The id of <|endoftext|>, if the vocabulary has it.
  std::optional<TokenId> end_of_text() const { return vocabulary_.end_of_text(); }
  const BpeVocabulary& vocabulary() const { return vocabulary_; }

 private:
  // Throws for a special token that text without it may be encoded to: it decodes to its own spelling, and text with
  // U+0120 in its alphabet spells a space.
  void check_plain(TokenId id) const {
    const auto& special = vocabulary_.special_tokens();
    if (!std::binary_search(special.begin(), special.end(), id)) return;
    const std::string& token = id_to_token(id);
    check<DataError>(from_byte_alphabet(token) == token, "ByteBpe", "token ", id, ", \"", token,
                     "\", is special, but also what other text is encoded to");
  }

  BpeVocabulary vocabulary_;
  std::vector<std::string> bytes_;  // of each token
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
