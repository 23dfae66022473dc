#pragma once
// The 16-bit float of IEEE, half precision: 5 bits of exponent, 10 of fraction.

#include <bit>
#include <cstdint>

#include "gptlite/core/bfloat16.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// IEEE half precision: 11 bits of precision, from 2^-24 to 65504.
struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  explicit Float16(double x) : bits(gptlite::detail::nearest_bits16<10>(x)) {}
  operator float() const {
    const std::uint32_t sign = bits >> 15, exponent = bits >> 10 & 0x1fu, fraction = bits & 0x3ffu;
    if (exponent == 0) return (sign != 0 ? -0x1p-24f : 0x1p-24f) * static_cast<float>(fraction);
    return std::bit_cast<float>(sign << 31 | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
  }
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
