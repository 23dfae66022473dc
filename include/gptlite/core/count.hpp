#pragma once
// is_count: whether a number read from a file can be counted on from.

#include <cstdint>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// True if a counter may be set to n: n is 0 or more, and below 2^62, so that counting on from it never overflows.
inline bool is_count(std::int64_t n) { return n >= 0 && n < std::int64_t{1} << 62; }

}  // namespace gptlite::inline GPTLITE_ABI
