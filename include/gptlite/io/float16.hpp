#pragma once
// The two 16-bit floats of files: IEEE half precision (5 bits of exponent) and bfloat16 (8).

#include <algorithm>
#include <bit>
#include <cstdint>

#include "gptlite/core/bfloat16.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {
/// The bits of the 16-bit float nearest to x, ties to even, of which `mantissa` bits follow the exponent. Rounds once,
/// also from double. NaN stays NaN; what rounds beyond the largest becomes infinite.
template <int mantissa>
std::uint16_t nearest_bits16(double x) {
  constexpr int bias = (1 << (14 - mantissa)) - 1;
  constexpr std::uint64_t infinity = 0x7fffu >> mantissa << mantissa, one = std::uint64_t{1} << 52;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t sign = bits >> 63 << 15, magnitude = bits << 1 >> 1, fraction = bits & (one - 1);
  if (magnitude > 0x7ff * one) {  // NaN: quiet, with what fits of its payload
    const std::uint64_t payload = fraction >> (52 - mantissa) | std::uint64_t{1} << (mantissa - 1);
    return static_cast<std::uint16_t>(sign | infinity | payload);
  }
  const int exponent = static_cast<int>(magnitude >> 52) - 1023 + bias;
  const int dropped = 52 - mantissa + std::max(0, 1 - exponent);  // below the exponent 1, numbers are subnormal
  if (dropped > 53) return static_cast<std::uint16_t>(sign);      // less than half the smallest number
  const std::uint64_t significand = fraction | one, half = std::uint64_t{1} << (dropped - 1);
  std::uint64_t rounded = significand >> dropped;
  const std::uint64_t rest = significand - (rounded << dropped);
  rounded += rest > half || (rest == half && rounded % 2 == 1) ? 1 : 0;
  // The leading one of `rounded` carries into the exponent, and so does what was rounded up.
  rounded += static_cast<std::uint64_t>(std::max(0, exponent - 1)) << mantissa;
  return static_cast<std::uint16_t>(sign | std::min(rounded, infinity));
}
}  // namespace detail

/// IEEE half precision: 11 bits of precision, from 2^-24 to 65504.
struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  explicit Float16(double x) : bits(detail::nearest_bits16<10>(x)) {}
  operator float() const {
    const std::uint32_t sign = bits >> 15, exponent = bits >> 10 & 0x1fu, fraction = bits & 0x3ffu;
    if (exponent == 0) return (sign != 0 ? -0x1p-24f : 0x1p-24f) * static_cast<float>(fraction);
    return std::bit_cast<float>(sign << 31 | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
  }
};

/// A float without its lower 16 bits.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float x) : bits(bfloat16_bits(x)) {}
  explicit BFloat16(double x) : bits(detail::nearest_bits16<7>(x)) {}
  operator float() const { return from_bfloat16_bits(bits); }
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
