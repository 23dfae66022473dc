#pragma once
// Visibility: which keys a query of attention sees. All attention passes use it, so a new kind of mask is written once.

#include <algorithm>

#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The keys that the queries of one sequence see: query i sees the keys first(i) .. end(i) - 1, and none if end(i) <=
/// first(i). Keys and queries are positions of the sequence.
struct Visibility {
  bool causal = true;  ///< no query sees a later key
  Index window = 0;  ///< a query sees keys less than this many positions away; the sequence's length or more: no limit
  Index keys = 0;    ///< number of keys; later positions are padding

  Index first(Index query) const { return std::max<Index>(0, query - window + 1); }
  Index end(Index query) const { return std::min(keys, query + (causal ? 1 : window)); }

  /// The queries that see `key` (below `keys`) are first_query(key) .. end_query(key) - 1.
  Index first_query(Index key) const { return causal ? key : std::max<Index>(0, key - window + 1); }
  Index end_query(Index key) const { return key + window; }
  /// Queries from here on see no key at all.
  Index end_query() const { return keys == 0 ? 0 : end_query(keys - 1); }
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
