#pragma once
// bfloat16: a float without its lower 16 bits. It has the range of a float and 8 bits of precision.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// The bits of the bfloat16 nearest to x, ties to even. NaN stays NaN; a value that rounds beyond the largest bfloat16
/// becomes infinite.
inline std::uint16_t bfloat16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  return static_cast<std::uint16_t>(x != x ? bits >> 16 | 0x40u : rounded >> 16);
}
/// The float with the value of a bfloat16.
inline float from_bfloat16_bits(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// x rounded to the nearest bfloat16.
inline float round_to_bfloat16(float x) { return from_bfloat16_bits(bfloat16_bits(x)); }

namespace detail {
/// The bits of the 16-bit float nearest to x, ties to even, with `mantissa` bits after the exponent. Rounds once, also
/// from double. NaN stays NaN; a value that rounds beyond the largest number becomes infinite.
template <int mantissa>
std::uint16_t nearest_bits16(double x) {
  constexpr int bias = (1 << (14 - mantissa)) - 1;
  constexpr std::uint64_t infinity = 0x7fffu >> mantissa << mantissa, one = std::uint64_t{1} << 52;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t sign = bits >> 63 << 15, magnitude = bits << 1 >> 1, fraction = bits & (one - 1);
  if (magnitude > 0x7ff * one) {  // NaN: quiet, with the part of its payload that fits
    const std::uint64_t payload = fraction >> (52 - mantissa) | std::uint64_t{1} << (mantissa - 1);
    return static_cast<std::uint16_t>(sign | infinity | payload);
  }
  const int exponent = static_cast<int>(magnitude >> 52) - 1023 + bias;
  const int dropped = 52 - mantissa + std::max(0, 1 - exponent);  // numbers with an exponent below 1 are subnormal
  if (dropped > 53) return static_cast<std::uint16_t>(sign);      // less than half the smallest number
  const std::uint64_t significand = fraction | one, half = std::uint64_t{1} << (dropped - 1);
  std::uint64_t rounded = significand >> dropped;
  const std::uint64_t rest = significand - (rounded << dropped);
  rounded += rest > half || (rest == half && rounded % 2 == 1) ? 1 : 0;
  // The leading one of `rounded` carries into the exponent, and so does a carry from rounding up.
  rounded += static_cast<std::uint64_t>(std::max(0, exponent - 1)) << mantissa;
  return static_cast<std::uint16_t>(sign | std::min(rounded, infinity));
}
}  // namespace detail

/// A bfloat16 number: a float without its lower 16 bits.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float x) : bits(bfloat16_bits(x)) {}
  explicit BFloat16(double x) : bits(detail::nearest_bits16<7>(x)) {}
  operator float() const { return from_bfloat16_bits(bits); }
};

}  // namespace gptlite::inline GPTLITE_ABI
