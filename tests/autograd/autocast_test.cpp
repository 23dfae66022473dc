// Autocast: which products are rounded, for how long, and that backward follows forward.

#include "gptlite/autograd/autocast.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/attention.hpp"
#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "gptlite/autograd/ops/linear.hpp"
#include "gptlite/autograd/ops/matmul.hpp"

using namespace gptlite;

namespace {

const float fine = 1 + 0x1p-10f;  // rounds to 1 in bfloat16

template <class T>
Tensor<T> one_by_one(T value) {
  return Tensor<T>::full({1, 1}, value).set_requires_grad();
}

}  // namespace

TEST_CASE("Autocast holds in its scope and on its thread alone") {
  CHECK(autocast_precision() == Precision::fp32);
  {
    const Autocast outer(Precision::bf16);
    CHECK(autocast_precision() == Precision::bf16);
    {
      const Autocast inner(Precision::fp32);
      CHECK(autocast_precision() == Precision::fp32);
    }
    CHECK(autocast_precision() == Precision::bf16);
    Precision elsewhere = Precision::bf16;
    std::thread([&] { elsewhere = autocast_precision(); }).join();
    CHECK(elsewhere == Precision::fp32);
  }
  CHECK(autocast_precision() == Precision::fp32);
}

TEST_CASE("products round their operands, and backward uses the precision of forward") {
  const auto check_product = [](auto f) {
    Tensor<float> a = one_by_one(fine), b = one_by_one(fine);
    CHECK(f(a, b).item() == fine * fine);
    Tensor<float> y;
    {
      const Autocast bf16(Precision::bf16);
      y = f(a, b);
      CHECK(y.item() == 1);
    }
    y.backward(Tensor<float>::full(y.shape(), fine));  // outside the scope
    CHECK(a.grad().item() == 1);
    CHECK(b.grad().item() == 1);
    a.zero_grad();
    y = f(a, b);
    const Autocast bf16(Precision::bf16);
    y.backward(Tensor<float>::full(y.shape(), fine));
    CHECK(a.grad().item() == fine * fine);
  };
  check_product([](const Tensor<float>& a, const Tensor<float>& b) { return matmul(a, b); });
  check_product([](const Tensor<float>& a, const Tensor<float>& b) { return linear(a, b); });
}

TEST_CASE_TEMPLATE("attention with its projection has the bits of linear and attention", T, float, double) {
  const auto results = [](bool joined, bool with_bias) {
    Generator generator(3), masks(4);
    const auto random = [&](Shape shape) {
      Tensor<T> t = Tensor<T>::normal(std::move(shape), 0, 1, generator.fork());
      t.set_requires_grad();
      return t;
    };
    Tensor<T> x = random({2, 70, 33}), weight = random({33, 3 * 42}), bias = random({3 * 42});
    const Tensor<T> b = with_bias ? bias : Tensor<T>();
    const AttentionOptions options{.n_head = 3, .window = 50, .dropout = 0.2, .generator = &masks};
    const Tensor<T> y = joined ? attention(x, weight, b, options) : attention(linear(x, weight, b), options);
    for (int times = 0; times < 2; ++times)
      y.backward(Tensor<T>::normal(y.shape(), 0, 1, Generator(5).fork()), {.retain_graph = true});
    std::vector<std::vector<T>> all{y.to_vector(), x.grad().to_vector(), weight.grad().to_vector()};
    if (with_bias) all.push_back(bias.grad().to_vector());
    return all;
  };
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const Autocast scope(precision);
    for (const bool with_bias : {true, false}) CHECK(results(true, with_bias) == results(false, with_bias));
  }
}

TEST_CASE("attention and the fused head round too; double never does") {
  const Tensor<float> qkv = Tensor<float>::full({1, 1, 3}, fine), h = Tensor<float>::full({1, 1}, fine);
  const Tensor<float> weight = Tensor<float>::from({fine, 0}, {2, 1});
  const auto targets = Tensor<TokenId>::from({0}, {1});
  const float exact = linear_cross_entropy(h, weight, targets).item();
  const Autocast bf16(Precision::bf16);
  CHECK(attention(qkv, {.n_head = 1}).item() == 1);
  CHECK(linear_cross_entropy(h, weight, targets).item() > exact);  // a logit of 1 instead of 1.002
  const double value = 1 + 0x1p-10;
  CHECK(matmul(one_by_one(value), one_by_one(value)).item() == value * value);
}
