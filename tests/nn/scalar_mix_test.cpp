// ScalarMix: the mean at first, then gamma times the softmax of the weights.

#include "gptlite/nn/scalar_mix.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "gptlite/nn/visit.hpp"
#include "support/throws.hpp"

using namespace gptlite;

TEST_CASE("ScalarMix: gamma times the sum of the layers by the softmax of the weights") {
  ScalarMix<double> mix(2);
  const std::vector<Tensor<double>> layers{Tensor<double>::from({1, 2, 3, 4}, {2, 2}),
                                           Tensor<double>::from({5, 8, 9, 0}, {2, 2})};
  CHECK(mix(layers).to_vector() == std::vector<double>{3, 5, 6, 2});
  mix.weight.data()[1] = std::log(3.0);
  mix.gamma.data()[0] = 2;
  const std::vector<double> mixed = mix(layers).to_vector(), expected{8, 13, 15, 2};
  for (std::size_t i = 0; i < 4; ++i) CHECK(mixed[i] == doctest::Approx(expected[i]));
  std::vector<std::string> names;
  visit_parameters(mix, [&](const std::string& name, const Tensor<double>&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"weight", "gamma"});
  CHECK(message_of<ShapeError>([&] { mix({layers[0]}); }) == "[ScalarMix] has 2 weights, got 1 layers");
}
