// Float16 and BFloat16: all 65,536 values, and the rounding between each two neighbours.

#include "gptlite/io/float16.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

using namespace gptlite;
using gptlite::BFloat16;
using io::Float16;

namespace {

template <class Half>
Half of_bits(std::uint32_t bits) {
  Half half;
  half.bits = static_cast<std::uint16_t>(bits);
  return half;
}

// Counts, over all finite positive values, those whose neighbourhood is not rounded to the nearest, ties to even.
template <class Half>
int wrong_roundings(std::uint32_t infinity) {
  int wrong = 0;
  const auto rounds_to = [&](double x, std::uint32_t bits) {
    wrong += Half(x).bits != bits;
    wrong += Half(-x).bits != (bits | 0x8000u);
  };
  for (std::uint32_t bits = 0; bits < infinity; ++bits) {
    const double low = of_bits<Half>(bits);
    // Beyond the largest number the next one would be as far as the one before.
    const double high = bits + 1 < infinity ? double{of_bits<Half>(bits + 1)} : 2 * low - of_bits<Half>(bits - 1);
    const double middle = low + (high - low) / 2;
    rounds_to(low, bits);
    rounds_to(middle, bits % 2 == 0 ? bits : bits + 1);
    rounds_to(std::nextafter(middle, 0.0), bits);
    rounds_to(std::nextafter(middle, HUGE_VAL), bits + 1);
  }
  return wrong;
}

}  // namespace

TEST_CASE("every half is the float that Eigen says, and back") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float ours = of_bits<Float16>(bits);
    const float theirs = static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(static_cast<std::uint16_t>(bits)));
    const bool nan = (bits & 0x7FFF) > 0x7C00;
    wrong += nan ? ours == ours || theirs == theirs
                 : std::bit_cast<std::uint32_t>(ours) != std::bit_cast<std::uint32_t>(theirs);
    wrong += Float16(ours).bits != (nan ? bits | 0x200 : bits);
  }
  CHECK(wrong == 0);
}

TEST_CASE("every bfloat16 is the upper half of a float, and back") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float ours = of_bits<BFloat16>(bits);
    const bool nan = (bits & 0x7FFF) > 0x7F80;
    wrong += std::bit_cast<std::uint32_t>(ours) != bits << 16;
    wrong += BFloat16(ours).bits != (nan ? bits | 0x40 : bits);
    wrong += BFloat16(double{ours}).bits != (nan ? bits | 0x40 : bits);
  }
  CHECK(wrong == 0);
}

TEST_CASE("doubles are rounded once to the nearest, ties to even, from the smallest to beyond the largest") {
  CHECK(wrong_roundings<Float16>(0x7C00) == 0);
  CHECK(wrong_roundings<BFloat16>(0x7F80) == 0);
}

TEST_CASE("known values") {
  CHECK(Float16(65504.0).bits == 0x7BFF);
  CHECK(Float16(65519.999).bits == 0x7BFF);
  CHECK(Float16(65520.0).bits == 0x7C00);
  CHECK(Float16(1e300).bits == 0x7C00);
  CHECK(Float16(0x1p-24).bits == 1);
  CHECK(Float16(0x1p-25).bits == 0);
  CHECK(Float16(-0x1p-30).bits == 0x8000);
  CHECK(Float16(5e-324).bits == 0);
  CHECK(BFloat16(5e-324).bits == 0);
  CHECK(BFloat16(-HUGE_VAL).bits == 0xFF80);
  CHECK(BFloat16(-1e300).bits == 0xFF80);
  CHECK(Float16(std::numeric_limits<double>::quiet_NaN()).bits == 0x7E00);
}
