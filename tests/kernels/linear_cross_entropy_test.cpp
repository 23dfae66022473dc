// The fused head: the same losses and gradients however many rows have their logits in memory.

#include "gptlite/kernels/linear_cross_entropy.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "gptlite/core/random.hpp"

using namespace gptlite;

namespace {

template <class T>
std::vector<T> numbers(Index size, std::uint64_t stream) {
  std::vector<T> values(static_cast<std::size_t>(size));
  fill_normal(values.data(), size, 0, 1, {1, stream});
  return values;
}

}  // namespace

TEST_CASE("blocks of rows give the losses and gradients of the whole") {
  const Index rows = 23, C = 9, V = 37;
  const std::vector<double> h = numbers<double>(rows * C, 1), weight = numbers<double>(V * C, 2);
  std::vector<std::int32_t> targets;
  for (Index i = 0; i < rows; ++i) targets.push_back(i % 7 == 3 ? -100 : static_cast<std::int32_t>(i * 5 % V));
  std::vector<double> losses[2], dh[2], dweight[2];
  for (const std::size_t i : {0u, 1u}) {
    kernels::LinearCrossEntropyShape shape{rows, C, V, -100};
    shape.most_logits = i == 0 ? 1 << 20 : 4 * V;
    CHECK(shape.block() == (i == 0 ? rows : 4));
    losses[i].assign(static_cast<std::size_t>(rows), -1);
    dh[i].assign(h.size(), -1);
    dweight[i].assign(weight.size(), -1);
    kernels::linear_cross_entropy(losses[i].data(), dh[i].data(), dweight[i].data(), 0.5, h.data(), weight.data(),
                                  targets.data(), shape);
  }
  const auto largest_difference = [](const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference = std::max(difference, std::abs(a[i] - b[i]));
    return difference;
  };
  CHECK((losses[0] == losses[1]));
  CHECK((dh[0] == dh[1]));
  CHECK(largest_difference(dweight[0], dweight[1]) < 1e-13);
  CHECK(losses[0][3] == 0);
  CHECK(dh[0][3 * 9] == 0);
}

TEST_CASE("a row may have more logits than are held at once") {
  kernels::LinearCrossEntropyShape shape{5, 1, 100, -100};
  shape.most_logits = 10;
  CHECK(shape.block() == 1);
  shape.rows = 0;
  CHECK(shape.block() == 1);
}
