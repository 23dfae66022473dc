// Functions of vectors against the standard library's, and rounding to bfloat16 against the scalar.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "gptlite/kernels/simd/bfloat16.hpp"
#include "gptlite/kernels/simd/math.hpp"
#include "support/vectors.hpp"

using namespace gptlite;
namespace simd = gptlite::kernels::simd;

namespace {

// Largest relative error of a vector function against a scalar one.
template <class T, class F, class G>
double relative_error(F f, G g, double low, double high) {
  std::vector<T> x = numbers<T>(20000, low, high), y(x.size());
  simd::transform(y.data(), static_cast<Index>(x.size()), f, static_cast<const T*>(x.data()));
  double error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double exact = g(static_cast<double>(x[i]));
    const double difference = std::abs(static_cast<double>(y[i]) - exact) / std::abs(exact);
    if (std::isnan(difference)) return difference;  // std::max would pass over it
    error = std::max(error, difference);
  }
  return error / static_cast<double>(std::numeric_limits<T>::epsilon());
}

}  // namespace

TEST_CASE_TEMPLATE("exp and log and sigmoid and tanh are exact to a few roundings", T, float, double) {
  using V = simd::Vec<T>;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  CHECK(relative_error<T>([](V v) { return simd::exp(v); }, [](double x) { return std::exp(x); }, -80, 80) < 4);
  CHECK(relative_error<T>([](V v) { return simd::log(v); }, [](double x) { return std::log(x); }, 2, 1e6) < 4);
  CHECK(relative_error<T>([](V v) { return simd::sigmoid(v); }, sigmoid, -30, 30) < 4);
  const auto tanh = [](double x) { return std::tanh(x); };
  CHECK(relative_error<T>([](V v) { return simd::tanh(v); }, tanh, -20, 20) < 4);
  CHECK(relative_error<T>([](V v) { return simd::tanh(v); }, tanh, -1, 1) < 4);
  CHECK(relative_error<T>([](V v) { return simd::tanh(v); }, tanh, -1e-5, 1e-5) < 4);
}

TEST_CASE_TEMPLATE("the normal distribution is exact to a few roundings, and so is its left tail", T, float, double) {
  using V = simd::Vec<T>;
  const auto cdf = [](V v) { return simd::normal_distribution(v).cdf; };
  const auto density = [](V v) { return simd::normal_distribution(v).density; };
  const auto exact_cdf = [](double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; };
  const auto exact_density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); };
  CHECK(relative_error<T>(cdf, exact_cdf, -1, 9) < 4);
  CHECK(relative_error<T>(cdf, exact_cdf, -5, -1) < 32);  // x^2 / 2 is rounded, and exp of it
  CHECK(relative_error<T>(cdf, exact_cdf, -9, -5) < 90);
  CHECK(relative_error<T>(density, exact_density, -1, 1) < 4);
  const T infinity = std::numeric_limits<T>::infinity();
  CHECK(lanes<T>(cdf(V::broadcast(-infinity)))[0] == 0);
  CHECK(lanes<T>(cdf(V::broadcast(infinity)))[0] == 1);
  CHECK(lanes<T>(density(V::broadcast(infinity)))[0] == 0);
  CHECK(std::isnan(lanes<T>(cdf(V::broadcast(std::numeric_limits<T>::quiet_NaN())))[0]));
}

TEST_CASE_TEMPLATE("functions saturate far from zero", T, float, double) {
  using V = simd::Vec<T>;
  const T infinity = std::numeric_limits<T>::infinity();
  for (const T x : {T(1000), infinity}) {
    CHECK(lanes<T>(simd::exp(V::broadcast(-x)))[0] <= std::numeric_limits<T>::min());
    CHECK(lanes<T>(simd::exp(V::broadcast(x)))[0] == infinity);
    CHECK(lanes<T>(simd::sigmoid(V::broadcast(-x)))[0] == 0);
    CHECK(lanes<T>(simd::sigmoid(V::broadcast(x)))[0] == 1);
    CHECK(lanes<T>(simd::tanh(V::broadcast(-x)))[0] == -1);
    CHECK(lanes<T>(simd::tanh(V::broadcast(x)))[0] == 1);
  }
  CHECK(lanes<T>(simd::tanh(V::zero()))[0] == 0);
}

TEST_CASE_TEMPLATE("exp_nonpositive is exact to a few roundings, one at zero and zero far below", T, float, double) {
  using V = simd::Vec<T>;
  const auto exp = [](double x) { return std::exp(x); };
  CHECK(relative_error<T>([](V v) { return simd::exp_nonpositive(v); }, exp, -1, 0) < 3);
  CHECK(relative_error<T>([](V v) { return simd::exp_nonpositive(v); }, exp, -86, 0) < 5);
  const auto first = [](T x) { return lanes<T>(simd::exp_nonpositive(V::broadcast(x)))[0]; };
  CHECK(first(0) == 1);
  CHECK(first(T(-0.0)) == 1);
  CHECK(first(-88) == 0);
  CHECK(first(-std::numeric_limits<T>::infinity()) == 0);
  CHECK(std::isnan(first(std::numeric_limits<T>::quiet_NaN())));
}

TEST_CASE("vectors round to bfloat16 as scalars do") {
  using V = simd::Vec<float>;
  std::vector<float> x = numbers<float>(4000, -3, 3);
  for (const float special : {0.0f, -0.0f, 1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 3.3e38f, 3.4e38f, -3.4e38f, 1e-40f,
                              std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
    x.push_back(special);
  std::vector<float> y(x.size()), expected(x.size());
  simd::transform(
      y.data(), static_cast<Index>(x.size()), [](V v) { return simd::round_to_bfloat16(v); },
      static_cast<const float*>(x.data()));
  std::transform(x.begin(), x.end(), expected.begin(), round_to_bfloat16);
  CHECK((y == expected));
  CHECK(std::isnan(lanes<float>(simd::round_to_bfloat16(V::broadcast(std::nanf(""))))[0]));
}
