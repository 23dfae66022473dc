// The graph: order, accumulation, freeing, retaining, NoGrad, long chains, and what bad calls say.

#include "gptlite/autograd/backward.hpp"

#include <doctest/doctest.h>

#include "gptlite/autograd/ops/activations.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/autograd/ops/reduce.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {
Tensor<double> leaf(std::vector<double> values) { return Tensor<double>::from(values).set_requires_grad(); }
}  // namespace

TEST_CASE("a tensor that is used twice collects both gradients") {
  Tensor<double> x = leaf({3});
  sum(x * x + x).backward();
  CHECK(x.grad().item() == 7);  // 2x + 1
}

TEST_CASE("a diamond is visited once for each node, not for each path") {
  Tensor<double> x = leaf({1});
  Tensor<double> y = x;
  for (int i = 0; i < 60; ++i) y = (y + y) * 0.5;  // 2^60 paths
  sum(y).backward();
  CHECK(x.grad().item() == 1);
}

TEST_CASE("gradients accumulate over calls until they are cleared") {
  Tensor<double> x = leaf({2});
  for (int i = 1; i <= 3; ++i) {
    sum(x * 5).backward();
    CHECK(x.grad().item() == 5 * i);
  }
  x.zero_grad();
  CHECK_FALSE(x.has_grad());
}

TEST_CASE("inputs of one operation do not share the storage of its gradient") {
  Tensor<double> a = leaf({1, 2}), b = leaf({3, 4});
  sum(a + b).backward();
  sum(a * 10).backward();
  CHECK(a.grad().to_vector() == std::vector<double>{11, 11});
  CHECK(b.grad().to_vector() == std::vector<double>{1, 1});
}

TEST_CASE("a gradient given to backward is not taken over") {
  Tensor<double> x = leaf({1, 2}), given = Tensor<double>::from({5, 6});
  reshape(x, {2}).backward(given);
  sum(x).backward();
  CHECK(given.to_vector() == std::vector<double>{5, 6});
  CHECK(x.grad().to_vector() == std::vector<double>{6, 7});
}

TEST_CASE("a gradient given to backward is not written to, and writing to it later changes nothing") {
  Tensor<double> x = leaf({1, 2}), other = leaf({5, 6});
  Tensor<double> dy = Tensor<double>::from({10, 20});
  const Tensor<double> y = x + other;  // adds dy itself to both gradients
  y.backward(dy, {.retain_graph = true});
  dy.data()[0] = 99;
  CHECK(x.grad().to_vector() == std::vector<double>{10, 20});
  y.backward(dy);
  CHECK(dy.to_vector() == std::vector<double>{99, 20});
  CHECK(x.grad().to_vector() == std::vector<double>{109, 40});
  CHECK(other.grad().to_vector() == std::vector<double>{109, 40});
}

TEST_CASE("a chain of 100,000 operations runs backward and is freed without recursion") {
  Tensor<double> x = leaf({1});
  Tensor<double> y = x;
  for (int i = 0; i < 100000; ++i) y = y + 1;
  SUBCASE("after backward") {
    sum(y).backward();
    CHECK(x.grad().item() == 1);
  }
  SUBCASE("without backward") { y = {}; }
}

TEST_CASE("backward frees what the graph saved") {
  Tensor<double> x = leaf({1, 2});
  Tensor<double> y = gelu_tanh(x);
  const Tensor<double> loss = sum(y * y);
  const Storage<double> saved = y.storage();
  y = {};
  CHECK_FALSE(saved.unique());  // the graph holds it
  loss.backward();
  CHECK(saved.unique());
}

TEST_CASE("a retained graph can run again, and gives the same gradient") {
  Tensor<double> x = leaf({3});
  const Tensor<double> loss = sum(x * x * x);
  loss.backward({.retain_graph = true});
  CHECK(x.grad().item() == 27);
  loss.backward();
  CHECK(x.grad().item() == 54);
}

TEST_CASE("a second backward without retaining says what to do") {
  Tensor<double> x = leaf({3});
  const Tensor<double> loss = sum(x * x);
  loss.backward();
  CHECK(message_of<GraphError>([&] { loss.backward(); }) ==
        "[backward] the graph was freed by an earlier backward() (at \"sum_all\"); to run it twice call "
        "backward({.retain_graph = true}) the first time");
  CHECK(x.grad().item() == 6);  // unchanged
}

TEST_CASE("two losses over a shared part need it retained") {
  Tensor<double> x = leaf({3});
  const Tensor<double> shared = x * x, first = sum(shared), second = sum(shared * 2);
  first.backward();
  CHECK(message_of<GraphError>([&] { second.backward(); }).find("(at \"mul\")") != std::string::npos);
}

TEST_CASE("backward without a graph says so") {
  const Tensor<double> x = Tensor<double>::scalar(1);
  CHECK(
      message_of<GraphError>([&] { x.backward(); }) ==
      "[backward] this tensor has no graph: nothing it was computed from requires a gradient, or it was computed under "
      "NoGrad");
}

TEST_CASE("backward of more than one number needs a gradient of that shape") {
  Tensor<double> x = leaf({1, 2});
  CHECK(message_of<ShapeError>([&] { (x * 2).backward(); }) ==
        "[backward] needs a scalar, got shape (2): sum or average it first, or pass its gradient");
  CHECK(message_of<ShapeError>([&] { (x * 2).backward(Tensor<double>::ones({3})); }) ==
        "[backward] gradient (3) for a tensor (2)");
}

TEST_CASE("nothing is recorded under NoGrad, for detached tensors, or without a leaf that wants a gradient") {
  Tensor<double> x = leaf({1});
  {
    const NoGrad no_grad;
    CHECK_FALSE((x * 2).requires_grad());
    { const NoGrad nested; }
    CHECK_FALSE(grad_enabled());
  }
  CHECK(grad_enabled());
  CHECK((x * 2).requires_grad());
  CHECK_FALSE((x.detach() * 2).requires_grad());
  CHECK(x.detach().data() == x.data());
}

TEST_CASE("only leaves keep their gradient") {
  Tensor<double> x = leaf({1});
  const Tensor<double> y = x * 2;
  sum(y).backward();
  CHECK(x.has_grad());
  CHECK_FALSE(y.has_grad());
  CHECK(message_of<GraphError>([&] { y.grad(); }) ==
        "[grad] no gradient has arrived at this tensor of shape (1): call backward() first (only leaves keep theirs)");
  CHECK(message_of<GraphError>([] { Tensor<double>::scalar(1).grad(); }) ==
        "[grad] no gradient has arrived at this tensor of shape (): it does not require one");
  CHECK(message_of<GraphError>([&] { Tensor<double>(y).set_requires_grad(); }) ==
        "[set_requires_grad] this tensor was computed, it is no leaf: call detach() first");
}

TEST_CASE("an input that wants no gradient gets none") {
  Tensor<double> x = leaf({2});
  const Tensor<double> constant = Tensor<double>::from({5});
  sum(x * constant).backward();
  CHECK(x.grad().item() == 5);
  CHECK_FALSE(constant.requires_grad());
}
