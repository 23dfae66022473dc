#pragma once
// BpeMerges: the core of byte-pair encoding. Knows which two tokens merge into which one, and merges the tokens of a
// word.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <unordered_map>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// One merge: the neighbors `left` and `right` become `merged`.
struct BpeMerge {
  TokenId left, right, merged;
};

/// Key of a pair; keys sort as the pairs do.
inline std::uint64_t pair_key(TokenId left, TokenId right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

/// The merges of a byte-pair encoding, by rank.
class BpeMerges {
 public:
  BpeMerges() = default;
  /// Takes merges in the order of their ranks: the first is applied first. If a pair occurs twice, the last one counts.
  explicit BpeMerges(std::vector<BpeMerge> merges) : merges_(std::move(merges)) {
    ranks_.reserve(merges_.size());
    for (std::size_t rank = 0; rank < merges_.size(); ++rank)
      ranks_[pair_key(merges_[rank].left, merges_[rank].right)] = static_cast<std::uint32_t>(rank);
  }

  const std::vector<BpeMerge>& merges() const { return merges_; }

  /// Merges tokens[begin...] in place: always the pair of the lowest rank, the leftmost of equals, until none is left.
  /// Takes O(n log n) time for n tokens.
  void apply(std::vector<TokenId>& tokens, std::size_t begin) const {
    const auto size = static_cast<std::uint32_t>(tokens.size() - begin);
    if (size < 2) return;
    TokenId* const ids = tokens.data() + begin;
    struct Symbol {
      std::uint32_t previous, next, rank;  // remaining neighbors; rank of the pair with the next
    };
    LargeVector<Symbol> symbols(size);
    LargeVector<std::uint64_t> queue;  // a heap of rank and position, the smallest on top; entries go stale
    const auto rank_pair = [&](std::uint32_t i) {
      Symbol& symbol = symbols[i];
      symbol.rank = symbol.next < size ? rank(ids[i], ids[symbol.next]) : none;
      if (symbol.rank != none) queue.push_back(std::uint64_t{symbol.rank} << 32 | i);
      return symbol.rank != none;
    };
    for (std::uint32_t i = 0; i < size; ++i) {
      symbols[i].previous = i - 1;
      symbols[i].next = i + 1;
      rank_pair(i);
    }
    std::make_heap(queue.begin(), queue.end(), std::greater<>());
    while (!queue.empty()) {
      std::pop_heap(queue.begin(), queue.end(), std::greater<>());
      const auto i = static_cast<std::uint32_t>(queue.back());
      const TokenId merged = merges_[queue.back() >> 32].merged;
      queue.pop_back();
      Symbol& symbol = symbols[i];
      if (symbol.rank == none || merges_[symbol.rank].merged != merged) continue;  // stale
      ids[i] = merged;
      symbols[symbol.next].rank = none;
      symbol.next = symbols[symbol.next].next;
      if (symbol.next < size) symbols[symbol.next].previous = i;
      if (i > 0 && rank_pair(symbol.previous)) std::push_heap(queue.begin(), queue.end(), std::greater<>());
      if (rank_pair(i)) std::push_heap(queue.begin(), queue.end(), std::greater<>());
    }
    std::size_t kept = begin;
    for (std::uint32_t i = 0; i < size; i = symbols[i].next) tokens[kept++] = ids[i];
    tokens.resize(kept);
  }

 private:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t rank(TokenId left, TokenId right) const {
    const auto found = ranks_.find(pair_key(left, right));
    return found == ranks_.end() ? none : found->second;
  }

  std::vector<BpeMerge> merges_;
  std::unordered_map<std::uint64_t, std::uint32_t> ranks_;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
