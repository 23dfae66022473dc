#pragma once
// WordCache: texts repeat their words, so most of them need not be merged again.

#include <algorithm>
#include <bit>
#include <functional>
#include <string_view>
#include <vector>

#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Lives for one call of encode, so that tokenizers have no state and any threads may share one. It copies nothing: a
/// slot holds where in the text a word was seen and where in the output its tokens are. A later word of the same slot
/// takes it over, which bounds the memory (2.5 MB).
class WordCache {
 public:
  explicit WordCache(std::size_t text_bytes)
      : slots_(std::bit_ceil(std::clamp<std::size_t>(text_bytes / 8, 1, 65536))) {}

  /// Appends the tokens of `word`: those it had before, or what encode(word) appends to `tokens`. The word must outlive
  /// the cache and not be empty, and `tokens` must always be the same vector.
  template <class Encode>
  void append(std::string_view word, std::vector<TokenId>& tokens, Encode&& encode) {
    Slot& slot = slots_[std::hash<std::string_view>{}(word) & (slots_.size() - 1)];
    const std::size_t begin = tokens.size();
    if (slot.word == word) {
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
  std::vector<Slot> slots_;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
