// EarlyStopping: what is a new best, and when patience ends.

#include "gptlite/train/early_stopping.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "support/throws.hpp"

using namespace gptlite;

TEST_CASE("training stops after `patience` evaluations without a new best") {
  train::EarlyStopping stopping(2);
  CHECK(stopping.best_step() == -1);
  CHECK(stopping.improved(0.5, 10));
  CHECK_FALSE(stopping.improved(0.5, 20));  // as good is not better
  CHECK_FALSE(stopping.should_stop());
  CHECK(stopping.improved(0.6, 30));  // patience starts anew
  CHECK_FALSE(stopping.improved(0.1, 40));
  CHECK_FALSE(stopping.should_stop());
  CHECK_FALSE(stopping.improved(std::nan(""), 50));
  CHECK(stopping.should_stop());
  CHECK(stopping.best() == 0.6);
  CHECK(stopping.best_step() == 30);
}

TEST_CASE("negative metrics count; patience 0 never stops; a negative one is refused") {
  train::EarlyStopping stopping;
  CHECK(stopping.improved(-0.5, 1));
  CHECK(stopping.improved(-0.25, 2));
  for (int i = 0; i < 100; ++i) stopping.improved(-1, i);
  CHECK_FALSE(stopping.should_stop());
  CHECK(message_of<ConfigError>([] { train::EarlyStopping(-1); }) ==
        "[EarlyStopping] patience must be 0 (never) or positive, got -1");
}
