#pragma once
// WordCache: texts repeat their words, so most of them need not be merged again.

#include <algorithm>
#include <bit>
#include <functional>
#include <string_view>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Cache of the tokens of words. It lives for one call of encode, so tokenizers have no state and threads may share
/// one. It copies nothing: a slot refers to a word in the text and to its tokens in the output. A later word of the
/// same slot replaces it, which bounds the memory (2.1 MB).
class WordCache {
 public:
  explicit WordCache(std::size_t text_bytes)
      : slots_(std::bit_ceil(std::clamp<std::size_t>(text_bytes / 8, 1, 65536))) {}

  /// Appends the tokens of `word` to `tokens`: from the cache, or by encode(word), which must append them. The word
  /// must outlive the cache and not be empty, and `tokens` must always be the same vector.
  template <class Encode>
  void append(std::string_view word, std::vector<TokenId>& tokens, Encode&& encode) {
    Slot& slot = slots_[std::hash<std::string_view>{}(word) & (slots_.size() - 1)];
    const std::size_t begin = tokens.size();
    if (slot.word == word) {
      memory::reserve(tokens, begin + slot.count);
      tokens.resize(begin + slot.count);
      std::copy_n(tokens.data() + slot.begin, slot.count, tokens.data() + begin);
    } else {
      encode(word);
      slot = {word, begin, tokens.size() - begin};
    }
  }

 private:
  struct Slot {
    std::string_view word;
    std::size_t begin, count;
  };
  LargeVector<Slot> slots_;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
