#pragma once
// BpeVocabulary: a vocabulary with merges, which all tokenizers of byte-pair encoding share.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/text/bpe_merges.hpp"
#include "gptlite/text/vocabulary.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Vocabulary of a byte-pair encoding: tokens by id, merges and special tokens.
class BpeVocabulary : public Vocabulary {
 public:
  using Merges = std::vector<std::pair<std::string, std::string>>;

  /// Takes tokens in the order of their ids, merges in the order they were learned, and special and ordinary tokens as
  /// Vocabulary does. Throws DataError as Vocabulary does, and for a merge that needs a token outside the vocabulary.
  BpeVocabulary(std::vector<std::string> tokens, const Merges& merges, const std::vector<std::string>& special_tokens,
                const std::vector<std::string>& ordinary_tokens = {})
      : Vocabulary(std::move(tokens), special_tokens, ordinary_tokens) {
    std::vector<BpeMerge> by_id;
    by_id.reserve(merges.size());
    for (const auto& merge : merges) {
      const auto part = [&](const std::string& token) {
        const auto found = token_to_id(token);
        if (!found) {
          raise<DataError>("BpeVocabulary", "merge ", by_id.size(), ", \"", merge.first, ' ', merge.second, "\": \"",
                           token, "\" is not in the vocabulary");
        }
        return *found;
      };
      by_id.push_back({part(merge.first), part(merge.second), part(merge.first + merge.second)});
    }
    merges_ = BpeMerges(std::move(by_id));
  }

  const BpeMerges& merges() const { return merges_; }
  /// The id of <|endoftext|>, which separates GPT-2's texts, if the vocabulary has it.
  std::optional<TokenId> end_of_text() const { return token_to_id("<|endoftext|>"); }

 private:
  BpeMerges merges_;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
