// Every registered operation gives PyTorch's values and gradients (tests/fixtures/make_operations.py), in float and
// double.

#include <doctest/doctest.h>

#include "support/fixture.hpp"
#include "support/operations.hpp"

using namespace gptlite;

namespace {

// `floor`: what the inputs, of size 1, leave of numbers that cancel to almost nothing (a norm over two features, say).
template <class T>
void compare_with_pytorch(double tolerance, double floor) {
  const nlohmann::json fixture = read_fixture("operations.json");
  std::size_t compared = 0;
  for (auto& c : operations::cases<T>()) {
    CAPTURE(c.label);
    if (c.label.find("dropout") != std::string::npos) continue;  // another mask; see dropout_test.cpp
    REQUIRE(fixture.contains(c.label));
    const nlohmann::json& expected = fixture[c.label];
    const Tensor<T> y = c.f(c.inputs);
    CHECK(y.shape() == Shape(expected["shape"].template get<std::vector<Index>>()));
    CHECK(relative_error(y, expected["y"], floor) <= tolerance);
    y.backward(operations::wave<T>(y.shape(), 5).detach());
    std::size_t n = 0;
    for (Tensor<T>& input : c.inputs) {
      if (!input.requires_grad()) continue;
      const Tensor<T> grad = input.has_grad() ? input.grad() : Tensor<T>::zeros(input.shape());
      CHECK_MESSAGE(relative_error(grad, expected["grads"][n], floor) <= tolerance,
                    c.label << ": gradient of input " << n);
      ++n;
    }
    ++compared;
  }
  CHECK(compared > 120);
}

}  // namespace

TEST_CASE("values and gradients of every operation are PyTorch's in double") {
  compare_with_pytorch<double>(1e-9, 1e-3);
}
TEST_CASE("values and gradients of every operation are PyTorch's in float") { compare_with_pytorch<float>(1e-5, 0.1); }
