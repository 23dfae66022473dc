// RunState: what is saved is put back; what another run saved, or counts that cannot be counted on, change nothing.

#include "gptlite/io/run_state.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "gptlite/data/token_batches.hpp"
#include "gptlite/nn/linear.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/early_stopping.hpp"
#include "gptlite/train/loop.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

struct Model {
  using value_type = float;
  Generator random{1};
  Linear<float> layer{2, 1, Init::normal(1), random};
  void visit(auto&& f) { f("layer", layer); }
};

struct Run {
  Model model;
  train::AdamW<float> optimizer{model, {}};
  train::Loop<train::AdamW<float>> loop{optimizer, {.max_steps = 10, .stream = nullptr}};
  data::TokenBatches batches{{0, 1, 2, 0, 1}, {.batch_size = 1, .block_size = 2}};
  train::EarlyStopping stopping{2};
  std::int64_t seed = std::numeric_limits<std::int64_t>::min();  // a user's number may be any
  io::RunState state;
  Run() {
    state.add("loop", loop);
    state.add_optimizer("optimizer", optimizer);
    state.add("model", model);
    state.add("batches", batches);
    state.add("stopping", stopping);
    state.add("seed", seed);
  }
};

}  // namespace

TEST_CASE("a run takes the state of another, and names that are taken are refused") {
  Run run, other;
  run.batches.next();
  run.stopping.improved(0.5, 1);
  run.seed = 7;
  run.model.layer.weight.data()[0] = 3;
  other.state.assign(run.state.collect(true), "path");
  CHECK(other.batches.position() == 1);
  CHECK(other.stopping.best() == 0.5);
  CHECK(other.seed == 7);
  CHECK(other.model.layer.weight.data()[0] == 3.0f);
  CHECK(message_of<ConfigError>([&] { run.state.add("seed", run.seed); }) == "[RunState] \"seed\" is there already");
}

TEST_CASE("a count that cannot be counted on is refused, whatever it counts, and nothing changes") {
  Run run;
  const io::Checkpoint saved = run.state.collect(true);
  for (const char* name : {"loop.step", "loop.skipped", "loop.skipped_in_a_row", "loop.backward_calls",
                           "loop.next_tokens", "optimizer.step", "batches.position", "stopping.without"})
    for (const std::int64_t count :
         {std::int64_t{-1}, std::int64_t{1} << 62, std::numeric_limits<std::int64_t>::max()}) {
      CAPTURE(name);
      io::Checkpoint wrong = saved;
      wrong.integers[name] = count;
      wrong.integers["seed"] = 5;
      CHECK_THROWS_AS(run.state.assign(wrong, "path"), Error);
      CHECK(run.state.collect(true).integers == saved.integers);
    }
  for (const double seconds :
       {-1.0, 1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    io::Checkpoint wrong = saved;
    wrong.reals["loop.seconds"] = seconds;
    CHECK_THROWS_AS(run.state.assign(wrong, "path"), DataError);
    CHECK(run.state.collect(true).integers == saved.integers);
  }
  io::Checkpoint last = saved;
  last.integers["optimizer.step"] = (std::int64_t{1} << 62) - 1;
  run.state.assign(last, "path");
}
