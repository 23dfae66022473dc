#pragma once
// is_finite and is_nan by bit pattern. Programs that include the library may be compiled with -ffast-math, which makes
// the standard functions constant.

#include <algorithm>
#include <bit>
#include <cstdint>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

inline bool is_finite(double x) { return (std::bit_cast<std::uint64_t>(x) >> 52 & 0x7FF) != 0x7FF; }
inline bool is_finite(float x) { return (std::bit_cast<std::uint32_t>(x) >> 23 & 0xFF) != 0xFF; }
inline bool is_nan(double x) { return !is_finite(x) && (std::bit_cast<std::uint64_t>(x) << 12) != 0; }
inline bool is_nan(float x) { return !is_finite(x) && (std::bit_cast<std::uint32_t>(x) << 9) != 0; }

/// True if every number of a range of floats or doubles is finite.
template <class Numbers>
bool all_finite(const Numbers& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](auto x) { return is_finite(x); });
}

}  // namespace gptlite::inline GPTLITE_ABI
