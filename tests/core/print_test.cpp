// How tensors print: brackets, alignment of rows, shortened axes and precision.

#include "gptlite/core/print.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <iomanip>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace gptlite;

namespace {

template <class T>
std::string printed(const Tensor<T>& tensor) {
  std::ostringstream out;
  out << tensor;
  return out.str();
}

Tensor<int> counting(Shape shape) {
  std::vector<int> values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0);
  return Tensor<int>::from(values, std::move(shape));
}

}  // namespace

TEST_CASE("an undefined tensor says so") { CHECK(printed(Tensor<float>()) == "Tensor(undefined)"); }

TEST_CASE("a scalar and a vector print on one line with their shape") {
  CHECK(printed(Tensor<float>::scalar(1.5F)) == "Tensor(1.5, shape ())");
  CHECK(printed(Tensor<double>::from({1, -2.5, 3})) == "Tensor([1, -2.5, 3], shape (3))");
}

TEST_CASE("rows of matrices stand below each other") {
  CHECK(printed(counting({2, 3})) ==
        "Tensor([[0, 1, 2],\n"
        "        [3, 4, 5]], shape (2, 3))");
  CHECK(printed(counting({2, 2, 1})) ==
        "Tensor([[[0],\n"
        "         [1]],\n"
        "        [[2],\n"
        "         [3]]], shape (2, 2, 1))");
}

TEST_CASE("axes without elements print as empty brackets") {
  CHECK(printed(counting({0})) == "Tensor([], shape (0))");
  CHECK(printed(counting({2, 0})) == "Tensor([[],\n        []], shape (2, 0))");
  CHECK(printed(counting({0, 2})) == "Tensor([], shape (0, 2))");
}

TEST_CASE("axes of up to eight print whole and longer ones show three at each end") {
  CHECK(printed(counting({8})) == "Tensor([0, 1, 2, 3, 4, 5, 6, 7], shape (8))");
  CHECK(printed(counting({9})) == "Tensor([0, 1, 2, ..., 6, 7, 8], shape (9))");
  CHECK(printed(counting({1000})) == "Tensor([0, 1, 2, ..., 997, 998, 999], shape (1000))");
  CHECK(printed(counting({10, 1})) ==
        "Tensor([[0],\n        [1],\n        [2],\n        ...,\n        [7],\n        [8],\n        [9]], shape (10, "
        "1))");
}

TEST_CASE("four significant digits are shown unless the stream asks for others") {
  const Tensor<double> tensor = Tensor<double>::from({3.14159265, 1234567, 1e-10});
  CHECK(printed(tensor) == "Tensor([3.142, 1.235e+06, 1e-10], shape (3))");
  std::ostringstream out;
  out << std::setprecision(8) << tensor << ' ' << 3.14159265;
  CHECK(out.str() == "Tensor([3.1415927, 1234567, 1e-10], shape (3)) 3.1415927");
}

TEST_CASE("printing leaves the precision of the stream as it was") {
  std::ostringstream out;
  out << Tensor<float>::zeros({1}) << ' ' << 3.14159265;
  CHECK(out.str() == "Tensor([0], shape (1)) 3.14159");
}

TEST_CASE("small integers print as numbers") {
  CHECK(printed(Tensor<std::int8_t>::from({65, -1})) == "Tensor([65, -1], shape (2))");
  CHECK(printed(Tensor<std::uint8_t>::scalar(200)) == "Tensor(200, shape ())");
}
