// AdamW: steps by hand, decay, clipping, factors of the learning rate, OpenAI's numbers, and gradients that are not
// finite.

#include "gptlite/train/adamw.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;
using train::AdamW;
using train::AdamWOptions;

namespace {

// Parameters of every rank, each of one number 1: p0, p1 ...
struct Ranks {
  using value_type = double;
  std::vector<Tensor<double>> tensors;

  explicit Ranks(const std::vector<Shape>& shapes = {{1, 1}}) {
    for (const Shape& shape : shapes) tensors.push_back(Tensor<double>::ones(shape).set_requires_grad());
  }
  void visit(auto&& f) {
    for (std::size_t i = 0; i < tensors.size(); ++i) f(('p' + std::to_string(i)).c_str(), tensors[i]);
  }
  void set_grads(const std::vector<double>& grads) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      tensors[i].grad_state()->grad = Storage<double>(1);
      tensors[i].grad().data()[0] = grads[i];
    }
  }
  double value(std::size_t i = 0) const { return tensors[i].data()[0]; }
};

const double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("the first two steps are those computed by hand") {
  Ranks model;
  AdamW optimizer(model, {.learning_rate = 0.1, .eps = 1e-3, .weight_decay = 0.1, .max_grad_norm = 0});
  CHECK(std::is_same_v<decltype(optimizer), AdamW<double>>);
  CHECK(optimizer.step_count() == 0);
  model.set_grads({0.5});
  CHECK(optimizer.step().grad_norm == 0.5);
  // m / (1 - 0.9) = 0.5, v / (1 - 0.999) = 0.25
  double expected = 0.99 - 0.1 * 0.5 / (0.5 + 1e-3);
  CHECK(model.value() == doctest::Approx(expected).epsilon(1e-12));
  CHECK(optimizer.step_count() == 1);
  model.set_grads({-1});
  CHECK_FALSE(optimizer.step().skipped);
  // m = 0.9 0.05 - 0.1, v = 0.999 0.00025 + 0.001
  expected = 0.99 * expected + 0.1 * (0.055 / 0.19) / (std::sqrt(0.00124975 / 0.001999) + 1e-3);
  CHECK(model.value() == doctest::Approx(expected).epsilon(1e-12));
  CHECK(optimizer.step_count() == 2);
}

TEST_CASE("decay shrinks parameters with two or more axes alone") {
  Ranks model({{}, {1}, {1, 1}, {1, 1, 1}});
  AdamW optimizer(model, {.learning_rate = 0.5, .weight_decay = 0.5});
  model.set_grads({0, 0, 0, 0});
  optimizer.step();
  CHECK(model.value(0) == 1);
  CHECK(model.value(1) == 1);
  CHECK(model.value(2) == 0.75);
  CHECK(model.value(3) == 0.75);
}

TEST_CASE("gradients are clipped by their norm over all parameters") {
  const auto stepped = [](double max_grad_norm) {
    Ranks model({{1}, {1, 1}});
    AdamW optimizer(model, {.learning_rate = 1, .eps = 1, .weight_decay = 0, .max_grad_norm = max_grad_norm});
    model.set_grads({3, -4});
    CHECK(optimizer.step().grad_norm == 5);
    return std::vector<double>{model.value(0), model.value(1)};
  };
  const auto after = [](double grad) { return doctest::Approx(1 - grad / (std::abs(grad) + 1)).epsilon(1e-6); };
  for (const double off : {0.0, 5.0, 6.0}) {  // 0 is off, 5 is not exceeded
    CHECK(stepped(off)[0] == after(3));
    CHECK(stepped(off)[1] == after(-4));
  }
  CHECK(stepped(1)[0] == after(0.6));
  CHECK(stepped(1)[1] == after(-0.8));
}

TEST_CASE("gradients that are not finite change nothing but are cleared") {
  for (const double bad : {std::nan(""), infinity, -infinity}) {
    Ranks model({{1}, {1, 1}}), reference({{1}, {1, 1}});
    AdamW optimizer(model), reference_optimizer(reference);
    model.set_grads({0.5, bad});
    const train::StepResult result = optimizer.step();
    CHECK(result.skipped);
    CHECK_FALSE(std::isfinite(result.grad_norm));
    CHECK(model.value(0) == 1);
    CHECK(model.value(1) == 1);
    CHECK(optimizer.step_count() == 0);
    CHECK_FALSE(model.tensors[0].has_grad());
    CHECK_FALSE(model.tensors[1].has_grad());
    // The next step is a first step: the moments have not seen the bad gradient.
    for (Ranks* each : {&model, &reference}) each->set_grads({0.5, -0.25});
    CHECK_FALSE(optimizer.step().skipped);
    reference_optimizer.step();
    CHECK(model.value(0) == reference.value(0));
    CHECK(model.value(1) == reference.value(1));
  }
}

TEST_CASE("only parameters that require and have a gradient are updated") {
  Ranks model({{1}, {1}, {1}});
  model.tensors[1].set_requires_grad(false);
  AdamW optimizer(model);
  model.tensors[0].grad_state()->grad = Storage<double>::zeros(1);
  model.tensors[0].grad().data()[0] = 1;
  CHECK(optimizer.step().grad_norm == 1);
  CHECK(model.value(0) < 1);
  CHECK(model.value(1) == 1);
  CHECK(model.value(2) == 1);
  CHECK_FALSE(model.tensors[0].has_grad());  // a step clears the gradients
  model.tensors[2].grad_state()->grad = Storage<double>::zeros(1);
  optimizer.zero_grad();
  CHECK_FALSE(model.tensors[2].has_grad());
}

TEST_CASE("the learning rate can change from step to step") {
  Ranks model;
  AdamW optimizer(model, {.learning_rate = 0.1, .weight_decay = 0});
  optimizer.set_learning_rate(0.25);
  CHECK(optimizer.options().learning_rate == 0.25);
  CHECK(optimizer.learning_rate() == 0.25);
  CHECK(message_of<ConfigError>([&] { optimizer.set_learning_rate(-1); }) ==
        "[AdamW] learning_rate must be 0 or positive and finite, got -1");
  CHECK(message_of<ConfigError>([&] { optimizer.set_learning_rate(infinity); }) ==
        "[AdamW] learning_rate must be 0 or positive and finite, got inf");
  CHECK(optimizer.options().learning_rate == 0.25);
  model.set_grads({0.5});
  optimizer.step();
  CHECK(model.value() == doctest::Approx(0.75));
}

TEST_CASE("a factor of each parameter's learning rate, by its name, scales its step and its decay") {
  Ranks model({{1}, {1, 1}, {1, 1}});
  std::vector<std::string> asked;
  const auto scale = [&](const std::string& name) {
    asked.push_back(name);
    return name == "p0" ? 0.5 : name == "p1" ? 0 : 2;
  };
  AdamW optimizer(model, {.learning_rate = 0.1, .weight_decay = 0.25, .learning_rate_scale = scale});
  const std::vector<double> gradient{0.25, 0.5, -0.5};
  model.set_grads(gradient);
  CHECK(optimizer.step().grad_norm == 0.75);  // a factor of 0 leaves the gradient in the norm
  // The first step is the learning rate long.
  CHECK(model.value(0) == doctest::Approx(1 - 0.05).epsilon(1e-6));
  CHECK(model.value(1) == 1);
  CHECK(model.value(2) == doctest::Approx(1 - 0.05 + 0.2).epsilon(1e-6));
  optimizer.set_learning_rate(0.2);  // the factors stay
  model.set_grads(gradient);
  optimizer.step();
  CHECK(model.value(0) == doctest::Approx(1 - 0.05 - 0.1).epsilon(1e-6));
  CHECK(model.value(1) == 1);
  CHECK(model.value(2) == doctest::Approx(1.15 * (1 - 0.1) + 0.4).epsilon(1e-6));
  CHECK(asked == std::vector<std::string>{"p0", "p1", "p2"});  // once, at construction
}

TEST_CASE("a factor of 1 leaves every bit as it is without factors") {
  Ranks plain({{1}, {1, 1}}), scaled({{1}, {1, 1}});
  AdamW plain_optimizer(plain, {.learning_rate = 0.0123, .weight_decay = 0.1});
  AdamW scaled_optimizer(
      scaled, {.learning_rate = 0.0123, .weight_decay = 0.1, .learning_rate_scale = [](auto&) { return 1.0; }});
  for (int step = 0; step < 20; ++step) {
    for (Ranks* each : {&plain, &scaled}) each->set_grads({std::sin(step), 3 * std::cos(step)});
    plain_optimizer.step();
    scaled_optimizer.step();
    CHECK(plain.value(0) == scaled.value(0));
    CHECK(plain.value(1) == scaled.value(1));
  }
  CHECK(plain.value(0) != 1);
}

TEST_CASE("a factor that cannot work is refused with its parameter; those of frozen parameters are not asked for") {
  const auto refusal = [](double factor) {
    Ranks model({{1}, {1}, {1}});
    model.tensors[0].set_requires_grad(false);
    const auto scale = [&](const std::string& name) { return name == "p1" ? 1 : factor; };
    return message_of<ConfigError>([&] { AdamW optimizer(model, {.learning_rate_scale = scale}); });
  };
  CHECK(refusal(-0.5) == "[AdamW] learning_rate_scale of p2 must be 0 or positive and finite, got -0.5");
  CHECK(refusal(infinity) == "[AdamW] learning_rate_scale of p2 must be 0 or positive and finite, got inf");
  CHECK(refusal(std::nan("")) == "[AdamW] learning_rate_scale of p2 must be 0 or positive and finite, got nan");
  CHECK(refusal(0) == "no exception");
}

TEST_CASE("openai_exact: the first two steps are those computed by hand") {
  Ranks model({{1, 1}, {1}});
  AdamW optimizer(model,
                  {.learning_rate = 0.1, .eps = 0.01, .weight_decay = 0.1, .max_grad_norm = 0, .openai_exact = true});
  model.set_grads({0.5, 0.5});
  optimizer.step();
  // lr_1 = 0.1 sqrt(0.001) / 0.1 = 0.0316228, m = 0.05, sqrt(v) = sqrt(0.00025) = 0.0158114
  // m / (sqrt(v) + eps) = 0.05 / 0.0258114 = 1.9371294, and 0.1 from the decay of the matrix
  CHECK(model.value(0) == doctest::Approx(1 - 0.0316227766 * (1.9371294 + 0.1)).epsilon(1e-8));
  CHECK(model.value(1) == doctest::Approx(1 - 0.0316227766 * 1.9371294).epsilon(1e-8));
  const double after_one = model.value(0);
  model.set_grads({-1, 0});
  optimizer.step();
  // lr_2 = 0.1 sqrt(0.001999) / 0.19 = 0.0235317, m = 0.045 - 0.1, sqrt(v) = sqrt(0.00124975) = 0.0353518
  CHECK(model.value(0) ==
        doctest::Approx(after_one + 0.02353167 * (0.055 / 0.04535180 - 0.1 * after_one)).epsilon(1e-8));
}

TEST_CASE("openai_exact: steps follow the formulas of OpenAI's code, with and without clipping") {
  // max_grad_norm: off, never reached, reached by some of the steps, by all
  for (const double max_norm : {0.0, 100.0, 1.5, 1e-3}) {
    CAPTURE(max_norm);
    Ranks model({{1}, {1, 1}});
    AdamW optimizer(model, {.betas = {0.9, 0.99},
                            .eps = 1e-4,
                            .weight_decay = 0.1,
                            .max_grad_norm = max_norm,
                            .learning_rate_scale = [](const std::string& name) { return name == "p1" ? 0.5 : 1; },
                            .openai_exact = true});
    std::vector<double> p{1, 1}, m{0, 0}, v{0, 0};
    int clipped = 0;
    for (int t = 1; t <= 30; ++t) {
      const double rate = 0.01 * (31 - t);
      std::vector<double> grads{std::sin(t), 2 * std::cos(3 * t)};
      model.set_grads(grads);
      optimizer.set_learning_rate(rate);
      optimizer.step();
      const double norm = std::hypot(grads[0], grads[1]);
      clipped += max_norm > 0 && norm > max_norm;
      for (std::size_t i = 0; i < 2; ++i) {
        const double g = max_norm > 0 ? grads[i] * max_norm / std::max(norm, max_norm) : grads[i];
        const double rate_t = (i == 1 ? 0.5 : 1) * rate * std::sqrt(1 - std::pow(0.99, t)) / (1 - std::pow(0.9, t));
        m[i] = 0.9 * m[i] + (1 - 0.9) * g;
        v[i] = 0.99 * v[i] + (1 - 0.99) * g * g;
        p[i] -= rate_t * (m[i] / (std::sqrt(v[i]) + 1e-4) + (i == 1 ? 0.1 : 0) * p[i]);
        CHECK(model.value(i) == doctest::Approx(p[i]).epsilon(1e-12));
      }
    }
    if (max_norm == 1.5) CHECK((clipped > 3 && clipped < 27));
    if (max_norm == 1e-3) CHECK(clipped == 30);
  }
}

TEST_CASE("openai_exact: a learning rate of 0, as in the first update of its schedule, moves the means alone") {
  Ranks model({{1, 1}});
  AdamW optimizer(model, {.learning_rate = 0, .eps = 0.01, .openai_exact = true});
  model.set_grads({0.5});
  CHECK_FALSE(optimizer.step().skipped);
  CHECK(model.value() == 1);
  CHECK(optimizer.step_count() == 1);
  optimizer.set_learning_rate(0.1);
  model.set_grads({0});
  optimizer.step();
  const double m = 0.9 * 0.05, root = std::sqrt(0.999 * 0.00025);
  const double rate = 0.1 * std::sqrt(0.001999) / 0.19;
  CHECK(model.value() == doctest::Approx(1 - rate * (m / (root + 0.01) + 0.01)).epsilon(1e-12));
}

TEST_CASE("optimizer options that cannot work are refused with their values") {
  const auto refusal = [](AdamWOptions options) {
    Ranks model;
    return message_of<ConfigError>([&] { AdamW optimizer(model, options); });
  };
  CHECK(refusal({.learning_rate = -0.1}) == "[AdamW] learning_rate must be 0 or positive and finite, got -0.1");
  CHECK(refusal({.learning_rate = infinity}) == "[AdamW] learning_rate must be 0 or positive and finite, got inf");
  CHECK(refusal({.betas = {1, 0.999}}) == "[AdamW] betas must be in 0..1 and below 1, got 1 and 0.999");
  CHECK(refusal({.betas = {0.9, -0.5}}) == "[AdamW] betas must be in 0..1 and below 1, got 0.9 and -0.5");
  CHECK(refusal({.eps = 0}) == "[AdamW] eps must be positive and finite, got 0");
  CHECK(refusal({.weight_decay = -1}) == "[AdamW] weight_decay must be 0 or positive and finite, got -1");
  CHECK(refusal({.eps = infinity}) == "[AdamW] eps must be positive and finite, got inf");
  CHECK(refusal({.weight_decay = infinity}) == "[AdamW] weight_decay must be 0 or positive and finite, got inf");
  CHECK(refusal({.max_grad_norm = -1}) == "[AdamW] max_grad_norm must be 0 (off) or positive, got -1");
  CHECK(refusal({.max_grad_norm = infinity}) == "no exception");
  CHECK(refusal({.learning_rate = 0, .betas = {0, 0}, .weight_decay = 0, .max_grad_norm = 0}) == "no exception");
}
