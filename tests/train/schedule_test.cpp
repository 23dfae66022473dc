// Learning-rate schedules: warm-up, the three kinds of decay, and their ends.

#include "gptlite/train/schedule.hpp"

#include <doctest/doctest.h>

using namespace gptlite::train;

TEST_CASE("the warm-up rises in equal steps to the learning rate") {
  for (const Decay decay : {Decay::cosine, Decay::linear, Decay::constant}) {
    const Schedule rate{.decay = decay, .learning_rate = 1, .min_lr = 0.1, .warmup_steps = 4, .max_steps = 14};
    CHECK(rate(0) == doctest::Approx(0.2));
    CHECK(rate(1) == doctest::Approx(0.4));
    CHECK(rate(3) == doctest::Approx(0.8));
    CHECK(rate(4) == 1);
  }
}

TEST_CASE("without warm-up the first step has the whole learning rate") {
  CHECK(Schedule{.learning_rate = 0.5, .max_steps = 10}(0) == 0.5);
}

TEST_CASE("cosine decay passes the half in the middle and ends at min_lr") {
  const Schedule rate{.learning_rate = 1, .min_lr = 0.2, .warmup_steps = 10, .max_steps = 110};
  CHECK(rate(10) == 1);
  CHECK(rate(35) == doctest::Approx(0.2 + 0.8 * 0.8535533905932737));  // (1 + cos(pi / 4)) / 2
  CHECK(rate(60) == doctest::Approx(0.6));
  CHECK(rate(109) > 0.2);
  CHECK(rate(110) == doctest::Approx(0.2));
  CHECK(rate(1000000) == doctest::Approx(0.2));
}

TEST_CASE("linear decay falls in equal steps to min_lr") {
  const Schedule rate{.decay = Decay::linear, .learning_rate = 1, .min_lr = 0.2, .warmup_steps = 10, .max_steps = 110};
  CHECK(rate(10) == 1);
  CHECK(rate(35) == doctest::Approx(0.8));
  CHECK(rate(60) == doctest::Approx(0.6));
  CHECK(rate(110) == doctest::Approx(0.2));
  CHECK(rate(1000) == doctest::Approx(0.2));
}

TEST_CASE("constant decay keeps the learning rate for ever") {
  const Schedule rate{.decay = Decay::constant, .learning_rate = 0.3, .min_lr = 0.1, .max_steps = 10};
  CHECK(rate(0) == 0.3);
  CHECK(rate(10) == 0.3);
  CHECK(rate(1000) == 0.3);
}

TEST_CASE("a warm-up as long as the run ends at min_lr right after it") {
  const Schedule rate{.learning_rate = 1, .min_lr = 0.1, .warmup_steps = 5, .max_steps = 5};
  CHECK(rate(4) == doctest::Approx(5.0 / 6));
  CHECK(rate(5) == 1);
  CHECK(rate(6) == doctest::Approx(0.1));
}

TEST_CASE("the default is cosine decay to zero") {
  const Schedule rate{.max_steps = 100};
  CHECK(rate(0) == 1e-3);
  CHECK(rate(50) == doctest::Approx(5e-4));
  CHECK(rate(100) == doctest::Approx(0));
}
