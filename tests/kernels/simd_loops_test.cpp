// The loops over vectors, with every length of tail, against scalar loops.

#include <doctest/doctest.h>

#include <vector>

#include "gptlite/core/random.hpp"
#include "gptlite/kernels/simd/vec.hpp"

using namespace gptlite;
namespace simd = gptlite::kernels::simd;

namespace {

template <class T>
std::vector<T> numbers(std::size_t size, std::uint64_t seed) {
  std::vector<T> values(size);
  fill_uniform(values.data(), static_cast<Index>(size), -1, 1, {.seed = seed, .stream = 0});
  return values;
}

}  // namespace

TEST_CASE_TEMPLATE("transform handles every length and may write to its input", T, float, double) {
  using V = simd::Vec<T>;
  for (std::size_t n = 0; n < static_cast<std::size_t>(4 * V::width + 3); ++n) {
    std::vector<T> a = numbers<T>(n + 1, 1), b = numbers<T>(n + 1, 2);
    std::vector<T> expected = a;
    for (std::size_t i = 0; i < n; ++i) expected[i] = a[i] - b[i];
    const T *first = a.data(), *second = b.data();
    simd::transform(
        a.data(), static_cast<Index>(n), [](V x, V y) { return x - y; }, first, second);
    CHECK(a == expected);  // the last element is beyond the end and unchanged
  }
}

TEST_CASE_TEMPLATE("sum_of adds up exactly n values of the function", T, float, double) {
  using V = simd::Vec<T>;
  for (std::size_t n = 0; n < static_cast<std::size_t>(10 * V::width + 3); ++n) {
    std::vector<T> a(n), b(n);
    T expected = 0;
    for (std::size_t i = 0; i < n; ++i) {
      a[i] = static_cast<T>(i % 7);
      b[i] = static_cast<T>(i % 3);
      expected += a[i] * b[i] + 1;  // small whole numbers: every order of adding is exact
    }
    CHECK(simd::sum_of(
              static_cast<Index>(n), [](V x, V y) { return x * y + T(1); }, static_cast<const T*>(a.data()),
              static_cast<const T*>(b.data())) == expected);
  }
}

TEST_CASE_TEMPLATE("max_of finds the largest wherever it is", T, float, double) {
  CHECK(simd::max_of<T>(0, nullptr) == -std::numeric_limits<T>::infinity());
  for (std::size_t n = 1; n < static_cast<std::size_t>(4 * simd::Vec<T>::width + 3); ++n)
    for (std::size_t position = 0; position < n; ++position) {
      std::vector<T> a(n, T(-3));
      a[position] = -2;
      REQUIRE(simd::max_of(static_cast<Index>(n), static_cast<const T*>(a.data())) == -2);
    }
}
