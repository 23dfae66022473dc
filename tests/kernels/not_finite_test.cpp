// NaN of every payload, infinities and denormals in the functions of a softmax: what comes in as NaN comes out as NaN.

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gptlite/gptlite.hpp"

using namespace gptlite;

namespace {

const std::uint32_t nans[] = {0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff,
                              0xffffffff, 0x7f801000, 0x7fa5a5a5, 0xff8000ff, 0x7fc00101};
constexpr float infinity = std::numeric_limits<float>::infinity();

bool all_nan(const Tensor<float>& x) {
  for (const float number : x.to_vector())
    if (!is_nan(number)) return false;
  return true;
}
Tensor<float> row_with(float number, Index n, Index at) {
  Tensor<float> x = Tensor<float>::zeros({1, n});
  for (Index i = 0; i < n; ++i) x.data()[i] = 0.25f * static_cast<float>(i % 5);
  x.data()[at] = number;
  return x;
}

struct Weights {
  Tensor<float> w = Tensor<float>::zeros({3}).set_requires_grad();
  void visit(auto&& f) { f("w", w); }
};

}  // namespace

TEST_CASE("a NaN makes NaNs of its row's softmax, its logarithm and the loss, whatever its payload") {
  for (const std::uint32_t bits : nans)
    for (const Index n : {1, 3, 8, 16, 37, 64})
      for (const Index at : {Index{0}, n / 2, n - 1}) {
        INFO(bits, " at ", at, " of ", n);
        const Tensor<float> x = row_with(std::bit_cast<float>(bits), n, at);
        CHECK(all_nan(softmax(x)));
        CHECK(all_nan(log_softmax(x)));
        CHECK(is_nan(cross_entropy(x, Tensor<std::int32_t>::zeros({1})).item()));
        Tensor<float> minus_infinities = Tensor<float>::full({1, n}, -infinity);
        minus_infinities.data()[at] = std::bit_cast<float>(bits);
        CHECK(all_nan(softmax(minus_infinities)));
      }
}

TEST_CASE("a NaN in q, k or v reaches every position that sees it") {
  for (const std::uint32_t bits : nans)
    for (const Index column : {0, 8, 16}) {  // q, k, v
      INFO(bits, " in column ", column);
      Tensor<float> qkv = Tensor<float>::normal({1, 20, 24}, 0, 1, {1, 1});
      qkv.data()[5 * 24 + column] = std::bit_cast<float>(bits);
      const Tensor<float> y = attention(qkv, {.n_head = 1});
      CHECK(is_nan(y.to_vector()[5 * 8]));
      CHECK(is_nan(y.to_vector()[19 * 8]) == (column > 0));
      // Positions before see it as 0 * v, which is NaN, as in PyTorch.
      CHECK(is_nan(y.to_vector()[4 * 8]) == (column == 16));
    }
}

TEST_CASE("a NaN stays one in every activation, and an infinity is what PyTorch makes of it") {
  for (const std::uint32_t bits : nans) {
    const Tensor<float> x = Tensor<float>::full({1, 33}, std::bit_cast<float>(bits));
    for (const auto& y : {gelu_tanh(x), gelu_erf(x), silu(x), tanh(x), sigmoid(x), exp(x), log(x)}) CHECK(all_nan(y));
  }
  const Tensor<float> large = Tensor<float>::full({1, 33}, infinity);
  for (const auto& y : {gelu_tanh(large), gelu_erf(large), silu(large), relu(large), relu_squared(large)})
    CHECK(y.to_vector()[0] == infinity);
  CHECK(is_nan(gelu_erf(-large).to_vector()[0]));  // -infinity times 0
  CHECK(relu(-large).to_vector()[0] == 0);
}

TEST_CASE("infinite logits are what PyTorch makes of them") {
  CHECK(all_nan(softmax(row_with(infinity, 20, 3))));
  const std::vector<float> p = softmax(row_with(-infinity, 20, 3)).to_vector();
  CHECK(p[3] == 0);
  CHECK(p[4] > 0);
  CHECK(all_nan(softmax(Tensor<float>::full({1, 20}, -infinity))));
}

TEST_CASE("denormals are numbers like any others") {
  const float tiny = std::numeric_limits<float>::denorm_min();
  for (const float p : softmax(row_with(tiny, 1, 0)).to_vector()) CHECK(p == 1);
  for (const float p : softmax(Tensor<float>::full({1, 8}, tiny)).to_vector()) CHECK(p == 0.125f);
}

TEST_CASE("attention is exact for scores of any size, and its gradient is a number") {
  for (const double size : {1.0, 1e3, 1e4, 1e5, 1e7}) {  // of q and k: scores go with the square
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      INFO(size, precision == Precision::bf16 ? " bf16" : " fp32");
      const Autocast autocast(precision);
      Tensor<float> qkv = Tensor<float>::zeros({1, 40, 3 * 9});  // a scale of 1/3, no power of two
      for (Index t = 0; t < 40; ++t) {
        float* const row = qkv.data() + t * 27;
        for (Index c = 0; c < 9; ++c) {
          row[c] = static_cast<float>(size);
          row[9 + c] = static_cast<float>(size * (t == 7 ? 1.5 : 1.0));  // every query from 7 on picks key 7
          row[18 + c] = static_cast<float>(t);
        }
      }
      qkv.set_requires_grad();
      const Tensor<float> y = attention(qkv, {.n_head = 1});
      if (size >= 1e3)
        for (Index t = 7; t < 40; ++t) CHECK(y.to_vector()[static_cast<std::size_t>(t * 9)] == 7);
      CHECK(y.to_vector()[6 * 9] == doctest::Approx(3).epsilon(1e-5));  // keys 0 to 6 alike
      sum(y).backward();
      for (const float number : qkv.grad().to_vector()) CHECK(is_finite(number));
    }
  }
}

TEST_CASE("the norm of finite gradients is finite, and clips them") {
  Weights weights;
  train::AdamW<float> optimizer(weights, {.learning_rate = 1, .max_grad_norm = 1});
  sum(weights.w * 3e38f).backward();
  const auto result = optimizer.step();
  CHECK_FALSE(result.skipped);
  CHECK(result.grad_norm == doctest::Approx(3e38 * std::sqrt(3.0)));
}
