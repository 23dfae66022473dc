#pragma once
// Vocabulary: tokens by id, and the special ones that are recognized in texts. Every tokenizer of words has one.

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gptlite/core/tensor.hpp"
#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Tokens by id, with special tokens.
class Vocabulary {
 public:
  /// Takes tokens in the order of their ids, and the special tokens, such as <|endoftext|>, which are recognized in
  /// texts. ordinary_tokens: those among them that are words, not signs. Throws DataError for a token that occurs twice
  /// or is not UTF-8, and for a special or ordinary token outside the vocabulary.
  Vocabulary(std::vector<std::string> tokens, const std::vector<std::string>& special_tokens,
             const std::vector<std::string>& ordinary_tokens = {})
      : tokens_(std::move(tokens)) {
    ids_.reserve(tokens_.size());
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      decode_utf8(tokens_[i]);
      const auto [known, added] = ids_.try_emplace(tokens_[i], static_cast<TokenId>(i));
      check<DataError>(added, "Vocabulary", "token \"", tokens_[i], "\" has two ids, ", known->second, " and ", i);
    }
    for (const std::string& token : special_tokens) {
      check<DataError>(!token.empty(), "Vocabulary", "a special token is empty");
      special_.push_back(required_id(token));
    }
    std::sort(special_.begin(), special_.end());
    special_.erase(std::unique(special_.begin(), special_.end()), special_.end());
    for (const std::string& token : ordinary_tokens) ordinary_.push_back(required_id(token));
    std::sort(ordinary_.begin(), ordinary_.end());
  }

  Index size() const { return static_cast<Index>(tokens_.size()); }
  /// A token as the vocabulary spells it. Throws IndexError for an id outside the vocabulary.
  const std::string& id_to_token(TokenId id) const {
    check<IndexError>(id >= 0 && id < size(), "Vocabulary", "token ", id, " is outside the vocabulary of ", size());
    return tokens_[static_cast<std::size_t>(id)];
  }
  /// The id of a token as the vocabulary spells it, if there is one.
  std::optional<TokenId> token_to_id(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  /// The id of a token. Throws DataError if the vocabulary does not have it.
  TokenId required_id(std::string_view token) const {
    const auto found = token_to_id(token);
    check<DataError>(found.has_value(), "Vocabulary", '"', token, "\" is not in the vocabulary of ", size());
    return *found;
  }
  const std::vector<std::string>& tokens() const { return tokens_; }
  /// The ids of the special tokens, ascending.
  const std::vector<TokenId>& special_tokens() const { return special_; }
  /// The ids of those special tokens that are words which were added to a vocabulary, ascending. Texts are cut at them
  /// too; what shows a text without its signs keeps them.
  const std::vector<TokenId>& ordinary_tokens() const { return ordinary_; }
  bool is_ordinary(TokenId id) const { return std::binary_search(ordinary_.begin(), ordinary_.end(), id); }

  /// Cuts a text at its special tokens, from left to right, the longest of several at one position. Calls plain(begin,
  /// end) with byte positions for the text between them, and special(id) for each of them.
  template <class Plain, class Special>
  void split(std::string_view text, Plain&& plain, Special&& special) const {
    std::vector<std::size_t> places(special_.size(), 0);  // where each occurs next; npos: nowhere
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = text.npos, length = 0, which = 0;
      for (std::size_t i = 0; i < places.size(); ++i) {
        const std::string& token = tokens_[static_cast<std::size_t>(special_[i])];
        if (places[i] <= at) places[i] = text.find(token, at);
        if (places[i] < end || (places[i] == end && end != text.npos && token.size() > length))
          end = places[i], length = token.size(), which = i;
      }
      if (end != at) plain(at, std::min(end, text.size()));
      if (end == text.npos) break;
      special(special_[which]);
      at = end + length;
    }
  }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
  std::vector<TokenId> special_, ordinary_;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
