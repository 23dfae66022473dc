// Element-wise kernels against plain loops: every length around a job's, broadcasting, and output over an input.

#include "gptlite/kernels/elementwise.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "gptlite/core/random.hpp"

using namespace gptlite;

namespace {

template <class T>
std::vector<T> numbers(Index size, std::uint64_t seed) {
  std::vector<T> values(static_cast<std::size_t>(size));
  fill_uniform(values.data(), size, -1, 1, {.seed = seed, .stream = 0});
  return values;
}

// The element of an operand that belongs to a position of the output, by the definition of broadcasting.
Index source(const Shape& out, const Shape& operand, Index position) {
  Index offset = 0, stride = 1;
  for (Index axis = 1; axis <= out.rank(); ++axis) {
    const Index i = position % out[-axis];
    position /= out[-axis];
    if (axis > operand.rank()) continue;
    if (operand[-axis] > 1) offset += i * stride;
    stride *= operand[-axis];
  }
  return offset;
}

const auto function = [](auto a, auto b) { return a - b - b; };  // tells its arguments apart

template <class T>
void check_broadcast(const Shape& shape_a, const Shape& shape_b) {
  INFO(shape_a, " and ", shape_b);
  const Shape out = broadcast_shape(shape_a, shape_b, "test");
  const std::vector<T> a = numbers<T>(shape_a.numel(), 1), b = numbers<T>(shape_b.numel(), 2);
  std::vector<T> expected, result(static_cast<std::size_t>(out.numel() + 1), T(99));
  for (Index i = 0; i < out.numel(); ++i)
    expected.push_back(function(a[static_cast<std::size_t>(source(out, shape_a, i))],
                                b[static_cast<std::size_t>(source(out, shape_b, i))]));
  expected.push_back(T(99));  // nothing is written beyond the end
  kernels::broadcast<T>(result.data(), out, {a.data(), shape_a}, {b.data(), shape_b}, function);
  CHECK((result == expected));
}

}  // namespace

TEST_CASE_TEMPLATE("transform runs over every element for any number of threads", T, float, double) {
  using V = kernels::simd::Vec<T>;
  constexpr Index grain = kernels::elementwise_grain;
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    for (const Index n : {Index{0}, Index{1}, Index{17}, grain - 1, grain, grain + 1, 3 * grain + 5}) {
      const std::vector<T> a = numbers<T>(n, 1), b = numbers<T>(n, 2);
      std::vector<T> expected, result(static_cast<std::size_t>(n + 1), T(99));
      for (std::size_t i = 0; i < a.size(); ++i) expected.push_back(a[i] - b[i]);
      expected.push_back(T(99));
      kernels::transform(
          result.data(), n, [](V x, V y) { return x - y; }, a.data(), b.data());
      CHECK((result == expected));
    }
  }
  set_num_threads(0);
}

TEST_CASE_TEMPLATE("accumulate adds to what is there", T, float, double) {
  for (const Index n : {0, 1, 7, 20001}) {
    std::vector<T> sum = numbers<T>(n, 1), expected = sum;
    const std::vector<T> x = numbers<T>(n, 2);
    for (std::size_t i = 0; i < x.size(); ++i) expected[i] += x[i];
    kernels::accumulate(sum.data(), x.data(), n);
    CHECK((sum == expected));
  }
}

TEST_CASE_TEMPLATE("broadcast follows the rule of NumPy", T, float, double) {
  const std::vector<std::pair<Shape, Shape>> pairs = {
      {{}, {}},
      {{1}, {1, 1}},
      {{7}, {7}},
      {{3, 5}, {3, 5}},
      {{3, 5}, {5}},
      {{3, 5}, {3, 1}},
      {{3, 5}, {}},
      {{3, 1}, {1, 5}},
      {{2, 3, 5}, {3, 1}},
      {{2, 1, 5}, {1, 3, 5}},
      {{2, 3, 1, 5}, {3, 4, 1}},
      {{2, 1, 3, 1, 2}, {1, 4, 1, 5, 2}},
      {{2, 3, 4, 5}, {4, 5}},
      {{2, 3, 4, 5}, {2, 3, 1, 1}},
      {{1, 3, 1, 17}, {2, 1, 9, 1}},
      {{0}, {1}},
      {{2, 0, 3}, {3}},
      {{0, 1}, {1, 4}},
      {{2, 20001}, {20001}},  // rows longer than one job
      {{2, 20001}, {2, 1}},
      {{5000, 7}, {7}},  // rows so short that a job takes many
      {{5000, 7}, {5000, 1}},
  };
  for (const auto& [a, b] : pairs) {
    check_broadcast<T>(a, b);
    check_broadcast<T>(b, a);
  }
}

TEST_CASE_TEMPLATE("broadcast may write over an operand of the output's shape", T, float, double) {
  const Shape matrix{3, 5}, row{5};
  const std::vector<T> a = numbers<T>(15, 1), b = numbers<T>(5, 2);
  std::vector<T> first = a, second = a, expected_first, expected_second;
  for (std::size_t i = 0; i < 15; ++i) {
    expected_first.push_back(function(a[i], b[i % 5]));
    expected_second.push_back(function(b[i % 5], a[i]));
  }
  kernels::broadcast<T>(first.data(), matrix, {first.data(), matrix}, {b.data(), row}, function);
  kernels::broadcast<T>(second.data(), matrix, {b.data(), row}, {second.data(), matrix}, function);
  CHECK((first == expected_first));
  CHECK((second == expected_second));
}

TEST_CASE("broadcast has the same bits for any number of threads") {
  const Shape shape_a{300, 1, 70}, shape_b{3, 1}, out{300, 3, 70};
  const std::vector<float> a = numbers<float>(shape_a.numel(), 1), b = numbers<float>(3, 2);
  std::vector<float> serial;
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    std::vector<float> result(static_cast<std::size_t>(out.numel()), 99);
    kernels::broadcast<float>(result.data(), out, {a.data(), shape_a}, {b.data(), shape_b}, function);
    if (threads == 1) serial = result;
    CHECK((result == serial));
  }
  set_num_threads(0);
}
