// Operations with several outputs: one node, whose backward runs once, with the gradients that reached it.

#include <doctest/doctest.h>

#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/gradcheck.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/layer_norm.hpp"
#include "gptlite/autograd/ops/reduce.hpp"

using namespace gptlite;

namespace {

int calls = 0;  // of backward

// What an LSTM gives: y, h and c of one input, here x^2, 3x and x^3.
std::vector<Tensor<double>> three(const Tensor<double>& x) {
  Tensor<double> y = Tensor<double>::empty(x.shape()), h = y.clone(), c = y.clone();
  for (Index i = 0; i < x.numel(); ++i) {
    const double v = x.data()[i];
    y.data()[i] = v * v;
    h.data()[i] = 3 * v;
    c.data()[i] = v * v * v;
  }
  return record("three", std::vector<Tensor<double>>{y, h, c}, {x},
                [](Inputs<double> in, std::span<const Tensor<double>> dy) {
                  ++calls;
                  const auto [dx, accumulate] = in[0].grad_target();
                  for (Index i = 0; i < in[0].numel(); ++i) {
                    const double v = in[0].data()[i], slopes[] = {2 * v, 3, 3 * v * v};
                    double sum = accumulate ? dx[i] : 0;
                    for (std::size_t k = 0; k < 3; ++k)
                      if (dy[k].defined()) sum += dy[k].data()[i] * slopes[k];
                    dx[i] = sum;
                  }
                });
}

Tensor<double> input() { return Tensor<double>::from({0.5, -2, 3}).set_requires_grad(); }

}  // namespace

TEST_CASE("the gradients of all outputs reach the input in one call of backward") {
  Tensor<double> x = input();
  const auto out = three(x);
  calls = 0;
  sum(out[0] + out[1] * out[2] + out[1]).backward();
  CHECK(calls == 1);
  // d/dx of x^2 + 3x x^3 + 3x
  for (Index i = 0; i < 3; ++i) {
    const double v = x.data()[i];
    CHECK(x.grad().data()[i] == doctest::Approx(2 * v + 12 * v * v * v + 3));
  }
}

TEST_CASE("an output that has no part in the result has no gradient") {
  for (std::size_t used = 0; used < 3; ++used) {
    Tensor<double> x = input();
    sum(three(x)[used]).backward();  // the other outputs are gone by now
    const double v = x.data()[1], expected[] = {2 * v, 3, 3 * v * v};
    CHECK(x.grad().data()[1] == doctest::Approx(expected[used]));
  }
}

TEST_CASE("outputs may be used one after the other, and one by the other's results") {
  const auto chained = [](const std::vector<Tensor<double>>& in) {
    const auto first = three(in[0]), second = three(first[2] + first[0]);
    return sum(second[1] * first[1] + second[0]);
  };
  CHECK(gradcheck(chained, {Tensor<double>::from({0.5, -0.7}).set_requires_grad()}).ok);
  Tensor<double> x = input();
  const auto out = three(x);
  sum(out[0]).backward({.retain_graph = true});
  sum(out[2]).backward();
  const double v = x.data()[2];
  CHECK(x.grad().data()[2] == doctest::Approx(2 * v + 3 * v * v));
  CHECK_THROWS_AS(sum(out[1]).backward(), GraphError);
}

TEST_CASE("add_layer_norm does not write to a gradient that it shares with an older tensor") {
  const auto f = [](const std::vector<Tensor<double>>& in) {
    const Tensor<double> older = in[0] * 2;
    const auto [total, norm] = add_layer_norm(in[0], in[1], in[2], in[3]);
    return total + older + norm;  // one gradient for all three
  };
  const auto row = [](std::vector<double> values) { return Tensor<double>::from(values).set_requires_grad(); };
  const GradcheckResult result = gradcheck(f, {row({1, 3, -2}), row({0.5, -1, 1}), row({1, 2, 1.5}), row({0, 1, 2})});
  CHECK_MESSAGE(result.ok, result.message);
}

TEST_CASE("without a graph the outputs are plain tensors") {
  const NoGrad no_grad;
  for (const Tensor<double>& y : three(input())) CHECK_FALSE(y.requires_grad());
}

TEST_CASE("a backward that threw leaves nothing behind for the next one") {
  Tensor<double> x = Tensor<double>::scalar(2).set_requires_grad();
  bool fails = true;
  const Tensor<double> doubled = x * 2;
  const auto fragile = record("fragile", doubled.clone(), {doubled},
                              [fails = &fails, calls = 0](Inputs<double> in, const Tensor<double>& dy) mutable {
                                ++calls;  // a backward may have a state of its own
                                if (*fails) raise<Error>("fragile", "fails");
                                in[0].accumulate_grad(dy);
                              });
  const Tensor<double> y = fragile + doubled;
  CHECK_THROWS_AS(y.backward({.retain_graph = true}), Error);
  fails = false;
  x.zero_grad();
  y.backward();
  CHECK(x.grad().item() == 4);
}
