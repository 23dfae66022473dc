// Learning-rate schedules: warm-up, the three kinds of decay, their ends, and OpenAI's fine-tuning schedule.

#include "gptlite/train/schedule.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "support/throws.hpp"

using namespace gptlite::train;
using gptlite::ConfigError;

namespace {
// Equal but for rounding: Approx alone allows 1e-5, which is more than a learning rate.
doctest::Approx near(double rate) { return doctest::Approx(rate).scale(0).epsilon(1e-13); }
}  // namespace

TEST_CASE("the warm-up rises in equal steps to the learning rate") {
  for (const Decay decay : {Decay::cosine, Decay::linear, Decay::constant}) {
    const Schedule rate{
        .decay = decay, .learning_rate = 1, .min_learning_rate = 0.1, .warmup_steps = 4, .max_steps = 14};
    CHECK(rate(0) == near(0.2));
    CHECK(rate(1) == near(0.4));
    CHECK(rate(3) == near(0.8));
    CHECK(rate(4) == 1);
  }
}

TEST_CASE("without warm-up the first step has the whole learning rate") {
  CHECK(Schedule{.learning_rate = 0.5, .max_steps = 10}(0) == 0.5);
}

TEST_CASE("cosine decay passes the half in the middle and ends at min_learning_rate") {
  const Schedule rate{.learning_rate = 1, .min_learning_rate = 0.2, .warmup_steps = 10, .max_steps = 110};
  CHECK(rate(10) == 1);
  CHECK(rate(35) == near(0.2 + 0.8 * 0.8535533905932737));  // (1 + cos(pi / 4)) / 2
  CHECK(rate(60) == near(0.6));
  CHECK(rate(109) > 0.2);
  CHECK(rate(110) == near(0.2));
  CHECK(rate(1000000) == near(0.2));
}

TEST_CASE("linear decay falls in equal steps to min_learning_rate") {
  const Schedule rate{
      .decay = Decay::linear, .learning_rate = 1, .min_learning_rate = 0.2, .warmup_steps = 10, .max_steps = 110};
  CHECK(rate(10) == 1);
  CHECK(rate(35) == near(0.8));
  CHECK(rate(60) == near(0.6));
  CHECK(rate(110) == near(0.2));
  CHECK(rate(1000) == near(0.2));
}

TEST_CASE("with decay_steps the learning rate is held before it falls") {
  const Schedule rate{.decay = Decay::linear,
                      .learning_rate = 1,
                      .min_learning_rate = 0,
                      .warmup_steps = 10,
                      .max_steps = 110,
                      .decay_steps = 20};
  CHECK(rate(9) == near(10.0 / 11));
  for (const int step : {10, 50, 90}) CHECK(rate(step) == 1);
  CHECK(rate(91) == near(0.95));
  CHECK(rate(100) == near(0.5));
  CHECK(rate(110) == 0);
  // More than there are after the warm-up: no hold.
  const Schedule longer{
      .decay = Decay::linear, .learning_rate = 1, .warmup_steps = 10, .max_steps = 30, .decay_steps = 90};
  CHECK(longer(10) == 1);
  CHECK(longer(20) == near(0.5));
}

TEST_CASE("constant decay keeps the learning rate for ever") {
  const Schedule rate{.decay = Decay::constant, .learning_rate = 0.3, .min_learning_rate = 0.1, .max_steps = 10};
  CHECK(rate(0) == 0.3);
  CHECK(rate(10) == 0.3);
  CHECK(rate(1000) == 0.3);
}

TEST_CASE("a warm-up as long as the run ends at min_learning_rate right after it") {
  const Schedule rate{.learning_rate = 1, .min_learning_rate = 0.1, .warmup_steps = 5, .max_steps = 5};
  CHECK(rate(4) == near(5.0 / 6));
  CHECK(rate(5) == 1);
  CHECK(rate(6) == near(0.1));
}

TEST_CASE("the default is cosine decay to zero") {
  const Schedule rate{.max_steps = 100};
  CHECK(rate(0) == 1e-3);
  CHECK(rate(50) == near(5e-4));
  CHECK(std::abs(rate(100)) < 1e-18);
}

TEST_CASE("openai_warmup_linear: a run of 138 steps has OpenAI's learning rates") {
  const auto rate = openai_warmup_linear(6.25e-5, 138);
  CHECK(rate(0) == 0);
  for (std::int64_t step = 1; step < 138; ++step)
    CHECK(rate(step) == near(6.25e-5 * (1 - static_cast<double>(step) / 138)));
  CHECK(rate(69) == 3.125e-5);
  CHECK(rate(138) == 0);
  for (std::int64_t step = 0; step <= 138; ++step) CHECK(openai_warmup_linear(6.25e-5, 138, 0.002)(step) == rate(step));
}

TEST_CASE("openai_warmup_linear: the warm-up is multiplied by the decay") {
  const auto rate = openai_warmup_linear(1, 100, 0.1);
  CHECK(rate(0) == 0);
  CHECK(rate(1) == near(0.1 * 0.99));
  CHECK(rate(5) == near(0.5 * 0.95));
  CHECK(rate(9) == near(0.9 * 0.91));
  CHECK(rate(10) == near(0.9));
  CHECK(rate(11) == near(0.89));
  CHECK(rate(99) == near(0.01));
}

TEST_CASE("openai_warmup_linear: warm-ups of none and of the whole run") {
  CHECK(openai_warmup_linear(0.5, 10, 0)(0) == 0.5);
  CHECK(openai_warmup_linear(0.5, 10, 0)(4) == near(0.3));
  CHECK(openai_warmup_linear(1, 10, 1)(5) == 0.25);
  CHECK(openai_warmup_linear(1, 10, 1)(10) == 0);
  CHECK(openai_warmup_linear(1, 1, 0)(0) == 1);
  CHECK(openai_warmup_linear(0, 10)(5) == 0);
}

TEST_CASE("openai_warmup_linear: a step outside the run has the learning rate 0, never a negative one") {
  const auto rate = openai_warmup_linear(1, 10, 0.1);
  for (const std::int64_t step : {-1000, -1, 10, 11, 1000}) CHECK(rate(step) == 0);
}

TEST_CASE("openai_warmup_linear: Schedule differs, and a variable can hold either") {
  std::function<double(std::int64_t)> rate =
      Schedule{.decay = Decay::linear, .learning_rate = 1, .warmup_steps = 1, .max_steps = 10};
  CHECK(rate(0) == 0.5);
  CHECK(rate(1) == 1);
  rate = openai_warmup_linear(1, 10, 0.1);
  CHECK(rate(0) == 0);
  CHECK(rate(1) == 0.9);
}

TEST_CASE("openai_warmup_linear: options that cannot work are refused with their values") {
  const auto refusal = [](double learning_rate, std::int64_t max_steps, double warmup) {
    return message_of<ConfigError>([&] { openai_warmup_linear(learning_rate, max_steps, warmup); });
  };
  const std::string where = "[openai_warmup_linear] ";
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(refusal(-1, 10, 0.1) == where + "learning_rate must be 0 or positive and finite, got -1");
  CHECK(refusal(infinity, 10, 0.1) == where + "learning_rate must be 0 or positive and finite, got inf");
  CHECK(refusal(1, 0, 0.1) == where + "max_steps must be 1 or more, got 0");
  CHECK(refusal(1, -5, 0.1) == where + "max_steps must be 1 or more, got -5");
  CHECK(refusal(1, 10, -0.5) == where + "warmup must be a share of max_steps in 0..1, got -0.5");
  CHECK(refusal(1, 10, 2000) == where + "warmup must be a share of max_steps in 0..1, got 2000");
  CHECK(refusal(1, 10, std::nan("")) == where + "warmup must be a share of max_steps in 0..1, got nan");
  CHECK(refusal(0, 1, 0) == "no exception");
  CHECK(refusal(1, 10, 1) == "no exception");
}
