// Sums along an axis against plain loops, in small whole numbers so that every order of adding is exact.

#include "gptlite/kernels/reduce.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "gptlite/core/random.hpp"

using namespace gptlite;

namespace {

template <class T>
std::vector<T> whole_numbers(Index size) {
  std::vector<T> values(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(static_cast<int>(i * 31 % 17) - 8);
  return values;
}

// y[o][i] = start + sum over n of x[o][n][i], and a last number that must not be touched.
template <class T>
std::vector<T> plain_sums(const std::vector<T>& x, Index outer, Index n, Index inner, T start = 0) {
  std::vector<T> y(static_cast<std::size_t>(outer * inner), start);
  for (Index o = 0; o < outer; ++o)
    for (Index j = 0; j < n; ++j)
      for (Index i = 0; i < inner; ++i)
        y[static_cast<std::size_t>(o * inner + i)] += x[static_cast<std::size_t>((o * n + j) * inner + i)];
  y.push_back(T(99));
  return y;
}

template <class T>
std::vector<T> untouched(Index size, T start = T(7)) {
  std::vector<T> y(static_cast<std::size_t>(size), start);
  y.push_back(T(99));
  return y;
}

constexpr Index grain = kernels::elementwise_grain;

}  // namespace

TEST_CASE_TEMPLATE("row_sums adds up each row", T, float, double) {
  const std::vector<std::pair<Index, Index>> sizes = {{0, 5},
                                                      {1, 0},
                                                      {3, 0},
                                                      {1, 1},
                                                      {5, 1},
                                                      {7, 33},
                                                      {1, grain},
                                                      {1, 1000},
                                                      {1, grain + 1},
                                                      {2, grain + 1},
                                                      {1, 3 * grain + 5},
                                                      {40000, 3}};
  for (const auto& size : sizes) {
    const Index rows = size.first, n = size.second;
    INFO("rows ", rows, ", n ", n);
    const std::vector<T> x = whole_numbers<T>(rows * n);
    std::vector<T> y = untouched<T>(rows);
    kernels::row_sums(y.data(), x.data(), rows, n);
    CHECK((y == plain_sums(x, rows, n, 1)));
  }
}

TEST_CASE("row_sums of no rows writes nothing whatever their length") {
  const std::vector<float> memory(static_cast<std::size_t>(grain + 1), 1);
  std::vector<float> y{99};
  kernels::row_sums(y.data(), memory.data(), 0, grain + 1);
  CHECK(y[0] == 99);
}

TEST_CASE_TEMPLATE("column_sums replaces or adds to what is there", T, float, double) {
  const std::vector<std::pair<Index, Index>> sizes = {{0, 5},  {5, 0},   {1, 1},   {7, 33},   {63, 3},
                                                      {64, 3}, {65, 17}, {300, 1}, {1000, 37}};
  for (const auto& size : sizes)
    for (const bool accumulate : {false, true}) {
      const Index rows = size.first, n = size.second;
      INFO("rows ", rows, ", n ", n, ", accumulate ", accumulate);
      const std::vector<T> x = whole_numbers<T>(rows * n);
      std::vector<T> y = untouched<T>(n);
      kernels::column_sums(y.data(), x.data(), rows, n, accumulate);
      CHECK((y == plain_sums(x, 1, rows, n, accumulate ? T(7) : T(0))));
    }
}

TEST_CASE_TEMPLATE("sum_axis adds up the middle axis", T, float, double) {
  for (const Index outer : {0, 1, 3, 70})
    for (const Index n : {0, 1, 5, 130})
      for (const Index inner : {0, 1, 2, 19}) {
        INFO("outer ", outer, ", n ", n, ", inner ", inner);
        const std::vector<T> x = whole_numbers<T>(outer * n * inner);
        std::vector<T> y = untouched<T>(outer * inner);
        kernels::sum_axis(y.data(), x.data(), outer, n, inner);
        CHECK((y == plain_sums(x, outer, n, inner)));
      }
}

TEST_CASE_TEMPLATE("sums have the same bits for any number of threads", T, float, double) {
  const Index size = 5 * grain + 15;
  std::vector<T> x(static_cast<std::size_t>(size));
  fill_normal(x.data(), size, 0, 1, {.seed = 1, .stream = 1});
  const std::vector<std::vector<Index>> shapes = {{1, size, 1}, {5, size / 5, 1}, {1, size / 5, 5}, {5, size / 25, 5}};
  for (const auto& shape : shapes) {
    std::vector<T> serial;
    for (const int threads : {1, 2, 3, 4}) {
      set_num_threads(threads);
      std::vector<T> y = untouched<T>(shape[0] * shape[2]);
      kernels::sum_axis(y.data(), x.data(), shape[0], shape[1], shape[2]);
      if (threads == 1) serial = y;
      CHECK((y == serial));
    }
  }
  set_num_threads(0);
}

TEST_CASE("sums of many floats keep their precision") {
  // One running float would be off by a percent: pieces and several running vectors are not.
  const std::vector<float> tenths(1000003, 0.1F);
  float sum = 0;
  kernels::row_sums(&sum, tenths.data(), 1, static_cast<Index>(tenths.size()));
  CHECK(static_cast<double>(sum) == doctest::Approx(1000003 * static_cast<double>(0.1F)).epsilon(1e-4));
}
