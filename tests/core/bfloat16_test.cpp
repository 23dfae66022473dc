// bfloat16: which number each float becomes.

#include "gptlite/core/bfloat16.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace gptlite;

TEST_CASE("every bfloat16 is itself, and there and back are the same bits") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = from_bfloat16_bits(static_cast<std::uint16_t>(bits));
    if (std::isnan(value))
      CHECK(std::isnan(round_to_bfloat16(value)));
    else
      CHECK(bfloat16_bits(value) == bits);
  }
}

TEST_CASE("floats round to the nearest bfloat16, ties to the even one") {
  CHECK(round_to_bfloat16(1 + 0x1p-9f) == 1);
  CHECK(round_to_bfloat16(1 + 0x1p-8f) == 1);                       // a tie
  CHECK(round_to_bfloat16(1 + 3 * 0x1p-8f) == 1 + 0x1p-6f);         // a tie
  CHECK(round_to_bfloat16(1 + 0x1p-8f + 0x1p-20f) == 1 + 0x1p-7f);  // just above one
  CHECK(round_to_bfloat16(-1 - 3 * 0x1p-8f) == -1 - 0x1p-6f);
  CHECK(std::signbit(round_to_bfloat16(-0.0f)));
}

TEST_CASE("what is too large becomes infinite, NaN stays NaN") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(round_to_bfloat16(std::numeric_limits<float>::max()) == infinity);
  CHECK(round_to_bfloat16(-std::numeric_limits<float>::max()) == -infinity);
  CHECK(round_to_bfloat16(infinity) == infinity);
  CHECK(std::isnan(round_to_bfloat16(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(round_to_bfloat16(-std::numeric_limits<float>::quiet_NaN())));
}
