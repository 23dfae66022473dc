#pragma once
// Visibility: which keys a query of attention sees. Whatever attends asks it, so that a new kind of mask is written
// once.

#include <algorithm>

#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The keys that the queries of one sequence see: query i those from first(i) to end(i) - 1, none if end(i) is not
/// behind first(i). Keys and queries are positions of the sequence.
struct Visibility {
  bool causal = true;  ///< no query sees a key behind it
  Index window = 0;    ///< a key is less than this many positions away; at least the sequence's length for no limit
  Index keys = 0;      ///< keys there are; those from here on are padding

  Index first(Index query) const { return std::max<Index>(0, query - window + 1); }
  Index end(Index query) const { return std::min(keys, query + (causal ? 1 : window)); }

  /// The same from the key's side: the queries that see `key`, which is below `keys`.
  Index first_query(Index key) const { return causal ? key : std::max<Index>(0, key - window + 1); }
  Index end_query(Index key) const { return key + window; }
  /// Queries from here on see no key at all.
  Index end_query() const { return keys == 0 ? 0 : end_query(keys - 1); }
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
