// Init: what each kind fills with, and that the kind changes nothing for the layers after it.

#include "gptlite/nn/init.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gptlite/nn/linear.hpp"
#include "support/throws.hpp"

using namespace gptlite;

TEST_CASE("normal, uniform and zeros have their spread, and the weights train") {
  Generator generator(3);
  const auto weights = [&](Init init) {
    const Tensor<double> weight = init.parameter<double>({100, 100}, generator);
    CHECK(weight.requires_grad());
    return weight.to_vector();
  };
  const auto deviation = [](const std::vector<double>& x) {
    return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size()));
  };
  CHECK(deviation(weights(Init::normal(0.3))) == doctest::Approx(0.3).epsilon(0.03));
  const std::vector<double> uniform = weights(Init::uniform(0.5));
  CHECK(deviation(uniform) == doctest::Approx(0.5 / std::sqrt(3.0)).epsilon(0.03));
  CHECK(*std::min_element(uniform.begin(), uniform.end()) >= -0.5);
  CHECK(*std::max_element(uniform.begin(), uniform.end()) < 0.5);
  CHECK(deviation(weights(Init::zeros())) == 0);
}

TEST_CASE("a layer's weights do not depend on how the layers before it began") {
  const auto second = [](Init first) {
    Generator generator(3);
    const Linear<float> before(4, 5, first, generator), after(3, 2, Init::normal(1), generator);
    CHECK(before.weight.shape() == Shape{4, 5});
    CHECK(before.bias.to_vector() == std::vector<float>(5, 0.0f));
    return after.weight.to_vector();
  };
  const auto expected = second(Init::normal(0.02));
  for (const Init first : {Init::uniform(1), Init::zeros(), Init::none()}) CHECK(second(first) == expected);
}

TEST_CASE("a spread that cannot be is refused") {
  CHECK(message_of<ConfigError>([] { Init::normal(-1); }) ==
        "[Init] the spread must be 0 or positive and finite, got -1");
  CHECK_THROWS_AS(Init::uniform(std::nan("")), ConfigError);
}
