// is_finite and is_nan, by bit pattern.

#include "gptlite/core/finite.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>

using namespace gptlite;

TEST_CASE_TEMPLATE("finite numbers, infinities and NaN are told apart", T, float, double) {
  using Limits = std::numeric_limits<T>;
  for (const T x : {T(0), T(-0.0), T(1), Limits::max(), Limits::lowest(), Limits::denorm_min()}) {
    CHECK(is_finite(x));
    CHECK_FALSE(is_nan(x));
  }
  for (const T x : {Limits::infinity(), -Limits::infinity()}) {
    CHECK_FALSE(is_finite(x));
    CHECK_FALSE(is_nan(x));
  }
  for (const T x : {Limits::quiet_NaN(), Limits::signaling_NaN(), -Limits::quiet_NaN()}) {
    CHECK_FALSE(is_finite(x));
    CHECK(is_nan(x));
  }
}
