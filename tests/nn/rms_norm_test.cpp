// RmsNorm is rms_norm with the layer's weight and eps, and the weight is its parameter.

#include "gptlite/nn/rms_norm.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/reduce.hpp"
#include "gptlite/nn/visit.hpp"

using namespace gptlite;

TEST_CASE("RmsNorm gives what rms_norm gives with its weight and eps") {
  RmsNorm<double> norm(6, 0.25);
  norm.weight = Tensor<double>::normal({6}, 1, 0.5, {1, 1}).set_requires_grad();
  const Tensor<double> x = Tensor<double>::normal({2, 3, 6}, 0, 1, {1, 2});
  CHECK(norm(x).shape() == x.shape());
  CHECK(norm(x).to_vector() == rms_norm(x, norm.weight, 0.25).to_vector());
  CHECK(norm(x).to_vector() != rms_norm(x, norm.weight).to_vector());
}

TEST_CASE("a new RmsNorm has weight 1, which trains, and the eps of rms_norm") {
  RmsNorm<double> norm(6);
  std::vector<std::string> names;
  visit_parameters(norm, [&](const std::string& name, auto& tensor) {
    names.push_back(name);
    CHECK(tensor.requires_grad());
  });
  CHECK(names == std::vector<std::string>{"weight"});
  CHECK(norm.weight.to_vector() == std::vector<double>(6, 1));
  const Tensor<double> x = Tensor<double>::normal({4, 6}, 0, 1e-3, {1, 2});  // so small that eps matters
  const Tensor<double> y = norm(x);
  CHECK(y.to_vector() == rms_norm(x, Tensor<double>::ones({6})).to_vector());
  sum(y).backward();
  CHECK(norm.weight.grad().to_vector() == sum(y, 0).to_vector());
}
