// dropout keeps the expected share, scales it, and draws the same mask in forward and backward.

#include "gptlite/autograd/ops/dropout.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/attention.hpp"

using namespace gptlite;

TEST_CASE("dropout keeps 1 - p of the numbers and scales them by 1 / (1 - p)") {
  Generator generator(3);
  const Tensor<double> x = Tensor<double>::ones({100000});
  for (const double p : {0.1, 0.5, 0.9}) {
    const std::vector<double> y = dropout(x, p, generator).to_vector();
    Index kept = 0;
    for (const double v : y) {
      CHECK_UNARY((v == 0 || v == doctest::Approx(1 / (1 - p)).epsilon(1e-12)));
      kept += v != 0;
    }
    CHECK(static_cast<double>(kept) / 1e5 == doctest::Approx(1 - p).epsilon(0.02));
  }
}

TEST_CASE("p = 0 changes nothing and p = 1 leaves nothing") {
  Generator generator(3);
  const Tensor<float> x = Tensor<float>::normal({1000}, 0, 1, {1, 1});
  CHECK(dropout(x, 0, generator).to_vector() == x.to_vector());
  CHECK(dropout(x, 1, generator).to_vector() == std::vector<float>(1000, 0.0f));
}

TEST_CASE("backward uses the mask of forward, and every call draws another") {
  Generator generator(3);
  Tensor<double> x = Tensor<double>::ones({1000}).set_requires_grad();
  const Tensor<double> y = dropout(x, 0.5, generator), z = dropout(x, 0.5, generator);
  CHECK(y.to_vector() != z.to_vector());
  y.backward(Tensor<double>::ones({1000}));
  CHECK(x.grad().to_vector() == y.to_vector());
}

TEST_CASE("a generator put back to its position draws the same mask") {
  Generator generator(3);
  const Tensor<float> x = Tensor<float>::ones({1000});
  const auto position = generator.position();
  const Tensor<float> y = dropout(x, 0.5, generator);
  generator.set_position(position);
  CHECK(dropout(x, 0.5, generator).to_vector() == y.to_vector());
}

TEST_CASE("every number has a random word of its own, that of its position") {
  constexpr Index n = 40000;  // several jobs
  Generator generator(3), same(3);
  const Tensor<float> y = dropout(Tensor<float>::ones({n}), 0.25, generator);
  std::vector<std::uint32_t> words(n);
  random_bits(same.fork(), 0, n, words.data());
  Index differing = 0;
  for (Index i = 0; i < n; ++i)
    differing += (y.data()[i] != 0) != (words[static_cast<std::size_t>(i)] < 0xC0000000U);  // 3/4 of all words
  CHECK(differing == 0);
}

TEST_CASE("attention with dropout averages to attention without") {
  Generator generator(5);
  const Tensor<double> qkv = Tensor<double>::normal({1, 7, 3 * 4}, 0, 1, {1, 1});
  const Tensor<double> expected = attention(qkv, {.n_head = 2});
  std::vector<double> mean(static_cast<std::size_t>(expected.numel()), 0.0);
  const int draws = 4000;
  for (int i = 0; i < draws; ++i) {
    const std::vector<double> y = attention(qkv, {.n_head = 2, .dropout = 0.2, .generator = &generator}).to_vector();
    for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += y[j] / draws;
  }
  for (std::size_t j = 0; j < mean.size(); ++j)
    CHECK(std::abs(mean[j] - expected.data()[j]) < 0.06);  // four standard errors of the roughest entry
}
