#pragma once
// bfloat16: a float without its lower 16 bits. The same range, 8 bits of precision.

#include <bit>
#include <cmath>
#include <cstdint>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// The bits of the bfloat16 nearest to x, ties to even. NaN stays NaN; what rounds beyond the largest becomes infinite.
inline std::uint16_t bfloat16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  return static_cast<std::uint16_t>(x != x ? bits >> 16 | 0x40u : rounded >> 16);
}
/// The float that a bfloat16 stands for.
inline float from_bfloat16_bits(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// x rounded to the nearest bfloat16.
inline float round_to_bfloat16(float x) { return from_bfloat16_bits(bfloat16_bits(x)); }

}  // namespace gptlite::inline GPTLITE_ABI
