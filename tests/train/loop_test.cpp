// Loop: which actions run when, what a step does and writes, when training ends, and that it can be continued.

#include "gptlite/train/loop.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gptlite/data/token_batches.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/schedule.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

// Records the learning rate of every step.
struct RateRecorder {
  double rate = 0.5;
  std::vector<double> rates = {};

  train::StepResult step() {
    rates.push_back(rate);
    return {1.5, false};
  }
  double learning_rate() const { return rate; }
  void set_learning_rate(double learning_rate) { rate = learning_rate; }
  void zero_grad() {}
  void visit(auto&& f) { f(std::string("rate"), rate); }
  void visit(auto&& f) const { f(std::string("rate"), rate); }
};

// A model of one number; its loss is factor * w.
struct OneNumber {
  using value_type = double;
  Tensor<double> w = Tensor<double>::scalar(2).set_requires_grad();
  void visit(auto&& f) { f("w", w); }
  Tensor<double> loss(double factor) const { return w * factor; }
};

// Options of a loop that shows nothing.
train::LoopOptions silent(std::int64_t max_steps) { return {.max_steps = max_steps, .stream = nullptr}; }

template <class O>
void do_step(train::Loop<O>& loop, const Tensor<double>& loss) {
  loop.backward(loss, 1);
  loop.step();
}

// A run on a small GPT with dropout off: model, optimizer and data.
struct TinyRun {
  GPT<float> model{GPTConfig{.vocab_size = 11, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 8}};
  train::AdamW<float> optimizer{model};
  data::TokenBatches batches{tokens(), {.batch_size = 2, .block_size = 8, .seed = 1}};

  static std::vector<TokenId> tokens() {
    std::vector<TokenId> all;
    for (int i = 0; i < 400; ++i) all.push_back((i * i + 7 * i) % 11);
    return all;
  }
  Tensor<float> loss() {
    const auto [inputs, targets] = batches.next();
    return model.loss(inputs, targets);
  }
  std::vector<float> weights() {
    std::vector<float> all;
    visit_parameters(model, [&](const std::string&, const Tensor<float>& weight) {
      all.insert(all.end(), weight.data(), weight.data() + weight.numel());
    });
    return all;
  }
};

}  // namespace

TEST_CASE("actions run after every so many steps and at the end, in order, and once after a step") {
  OneNumber model;
  RateRecorder optimizer;
  train::Loop loop(optimizer, silent(7));
  std::string ran;
  const auto record = [&](const char* name) {
    return [&ran, &loop, name] { ran += name + std::to_string(loop.step_count()) + ' '; };
  };
  loop.every(3, record("a"));
  loop.every(2, record("b"));
  loop.every(0, record("end"));
  loop.every(7, record("c"));
  while (loop.next()) do_step(loop, model.loss(1));
  CHECK(loop.step_count() == 7);
  CHECK(ran == "b2 a3 b4 a6 b6 a7 b7 end7 c7 ");
  CHECK_FALSE(loop.next());  // it stays ended and nothing runs again
  CHECK(ran == "b2 a3 b4 a6 b6 a7 b7 end7 c7 ");
}

TEST_CASE("stop() ends training after the actions of the end, each once") {
  OneNumber model;
  RateRecorder optimizer;
  train::Loop loop(optimizer, silent(100));
  std::string ran;
  SUBCASE("in an action: actions before it run after the last step, too") {
    loop.every(50, [&] { ran += "first "; });
    loop.every(2, [&] {
      ran += "stopping ";
      if (loop.step_count() == 4) loop.stop();
    });
    loop.every(0, [&] { ran += "end "; });
    while (loop.next()) do_step(loop, model.loss(1));
    CHECK(ran == "stopping stopping end first ");
    CHECK(loop.step_count() == 4);
  }
  SUBCASE("after a step") {
    loop.every(0, [&] { ran += "end "; });
    while (loop.next()) {
      do_step(loop, model.loss(1));
      if (loop.step_count() == 3) loop.stop();
    }
    CHECK(ran == "end ");
    CHECK(loop.step_count() == 3);
  }
  SUBCASE("before a step, by which time the actions of every step have run") {
    loop.every(1, [&] { ran += "every "; });
    loop.every(5, [&] { ran += "five "; });
    while (loop.next()) {
      if (loop.step_count() == 2) {
        loop.stop();
        continue;
      }
      do_step(loop, model.loss(1));
    }
    CHECK(ran == "every every five ");
  }
}

TEST_CASE("an action may register others") {
  OneNumber model;
  RateRecorder optimizer;
  train::Loop loop(optimizer, silent(3));
  int ran = 0;
  loop.every(2, [&] {
    for (int i = 0; i < 100; ++i) loop.every(0, [&] { ++ran; });
  });
  while (loop.next()) do_step(loop, model.loss(1));
  CHECK(ran == 200);  // 100 of step 2 and as many of the end
}

TEST_CASE("a batch that is passed over is no step and repeats no action") {
  OneNumber model;
  RateRecorder optimizer;
  train::Loop loop(optimizer, silent(3));
  int ran = 0, batches = 0;
  loop.every(1, [&] { ++ran; });
  while (loop.next())
    if (++batches % 2 == 0) do_step(loop, model.loss(1));
  CHECK(batches == 6);
  CHECK(ran == 3);
}

TEST_CASE("every step has the learning rate of the schedule, or the optimizer's own") {
  OneNumber model;
  RateRecorder optimizer;
  SUBCASE("a function") {
    train::Loop loop(optimizer, {.max_steps = 3,
                                 .learning_rate = [](std::int64_t step) { return 1.0 / static_cast<double>(step + 1); },
                                 .stream = nullptr});
    while (loop.next()) do_step(loop, model.loss(1));
    CHECK(optimizer.rates == std::vector<double>{1, 0.5, 1.0 / 3});
  }
  SUBCASE("a Schedule") {
    const train::Schedule schedule{.decay = train::Decay::linear, .learning_rate = 1, .max_steps = 4};
    train::Loop loop(optimizer, {.max_steps = 4, .learning_rate = schedule, .stream = nullptr});
    while (loop.next()) do_step(loop, model.loss(1));
    CHECK(optimizer.rates == std::vector<double>{1, 0.75, 0.5, 0.25});
  }
  SUBCASE("none") {
    train::Loop loop(optimizer, silent(2));
    while (loop.next()) do_step(loop, model.loss(1));
    CHECK(optimizer.rates == std::vector<double>{0.5, 0.5});
  }
}

TEST_CASE("accumulated gradients and losses have the bits of those scaled by hand") {
  TinyRun by_loop, by_hand;
  train::Loop loop(by_loop.optimizer, {.max_steps = 4, .grad_accumulation = 3, .stream = nullptr});
  while (loop.next()) {
    for (int i = 0; i < 3; ++i) loop.backward(by_loop.loss(), 16);
    loop.step();
    double loss = 0;
    for (int i = 0; i < 3; ++i) {
      const Tensor<float> part = by_hand.loss() * (1.0F / 3);
      part.backward();
      loss += static_cast<double>(part.item());
    }
    by_hand.optimizer.step();
    CHECK(loop.loss() == loss);
  }
  CHECK(by_loop.weights() == by_hand.weights());
}

TEST_CASE("a step needs as many calls of backward() as are accumulated") {
  OneNumber model;
  RateRecorder optimizer;
  train::Loop loop(optimizer, {.max_steps = 4, .grad_accumulation = 2, .stream = nullptr});
  REQUIRE(loop.next());
  loop.backward(model.loss(1), 1);
  const std::string message = "[Loop] step() needs grad_accumulation = 2 calls of backward() before it, got ";
  CHECK(message_of<ConfigError>([&] { loop.step(); }) == message + "1; discard() drops them");
  loop.backward(model.loss(1), 1);
  loop.step();
  CHECK(message_of<ConfigError>([&] { loop.step(); }) == message + "0; discard() drops them");
  CHECK(loop.step_count() == 1);
}

TEST_CASE("the metrics file has a line for each step, with what else is given, and for each log()") {
  const TemporaryFolder folder;
  const std::string path = folder.file("metrics.jsonl", "of an earlier run\n");
  OneNumber model;
  RateRecorder optimizer;
  SUBCASE("without times") {
    train::Loop loop(optimizer, {.max_steps = 2, .metrics = path, .log_time = false, .stream = nullptr});
    loop.every(0, [&] { loop.log(JsonObject().add("val_loss", 0.25)); });
    while (loop.next()) {
      loop.backward(model.loss(3), 1);
      JsonObject extra;
      if (loop.step_count() == 0) extra.add("l2", 7).add("l1", 8);
      loop.step(extra);
    }
    CHECK(bytes_of(path) ==
          "{\"step\": 1, \"loss\": 6, \"l2\": 7, \"l1\": 8, \"learning_rate\": 0.5, \"grad_norm\": 1.5}\n"
          "{\"step\": 2, \"loss\": 6, \"learning_rate\": 0.5, \"grad_norm\": 1.5}\n"
          "{\"step\": 2, \"val_loss\": 0.25}\n");
  }
  SUBCASE("with times") {
    train::Loop loop(optimizer, {.max_steps = 1, .metrics = path, .stream = nullptr});
    REQUIRE(loop.next());
    loop.backward(model.loss(3), 100);
    CHECK(loop.step().grad_norm == 1.5);
    CHECK(loop.tokens_per_second() > 0);
    CHECK(bytes_of(path) == JsonObject()
                                    .add("step", 1)
                                    .add("loss", 6)
                                    .add("learning_rate", 0.5)
                                    .add("grad_norm", 1.5)
                                    .add("tokens_per_s", loop.tokens_per_second())
                                    .add("seconds", loop.seconds())
                                    .text() +
                                "\n");
  }
}

TEST_CASE("losses and gradients that are not finite are reported; five in a row end training with an error") {
  std::FILE* const stream = std::tmpfile();
  REQUIRE(stream != nullptr);
  OneNumber model;
  train::AdamW optimizer(model);
  train::Loop loop(optimizer, {.max_steps = 100, .stream = stream});
  const double bad = std::numeric_limits<double>::infinity();
  const auto steps = [&](int count, double factor) {
    for (int i = 0; i < count; ++i) {
      REQUIRE(loop.next());
      do_step(loop, model.loss(factor));
    }
  };
  steps(4, bad);
  steps(1, 1);  // the count starts anew
  steps(3, bad);
  REQUIRE(loop.next());
  loop.backward(model.loss(1), 1);
  model.w.grad().data()[0] = bad;  // the loss is finite, its gradient is not
  CHECK(loop.step().skipped);
  CHECK(loop.skipped_count() == 8);
  CHECK(optimizer.step_count() == 1);
  CHECK(message_of<Error>([&] { steps(1, bad); }) ==
        "[Loop] the loss diverged: five gradients in a row are not finite (loss inf at step 10); try a smaller "
        "learning rate or a longer warm-up, or see which operation it begins in with AnomalyMode");
  std::rewind(stream);
  std::array<char, 4096> text{};
  const std::string shown(text.data(), std::fread(text.data(), 1, text.size(), stream));
  CHECK(shown.starts_with("step 1/100  loss inf"));
  CHECK(shown.find("step 5: the") == shown.npos);
  CHECK(shown.find("step 9: the gradient is not finite, step skipped (8 so far)\n") != shown.npos);
  CHECK(shown.ends_with("step 10: the loss is not finite, step skipped (9 so far)\n"));
  std::fclose(stream);
}

TEST_CASE("the time limit counts training alone, not the actions") {
  using namespace std::chrono_literals;
  OneNumber model;
  RateRecorder optimizer;
  train::Loop loop(optimizer, {.max_steps = 1000000, .time_limit = 0.2, .stream = nullptr});
  bool ended = false;
  loop.every(1, [] { std::this_thread::sleep_for(120ms); });
  loop.every(0, [&] { ended = true; });
  while (loop.next()) {
    std::this_thread::sleep_for(30ms);
    do_step(loop, model.loss(1));
  }
  CHECK(ended);
  CHECK(loop.seconds() >= 0.2);
  CHECK(loop.step_count() >= 4);  // 3 if the time of actions counted
  CHECK(loop.step_count() <= 7);
}

TEST_CASE("a run continues with the state of loop and optimizer as if it had not been interrupted") {
  const TemporaryFolder folder;
  const train::Schedule schedule{.learning_rate = 1e-2, .warmup_steps = 3, .max_steps = 20};
  const auto options = [&](const std::string& metrics) {
    return train::LoopOptions{
        .max_steps = 20, .learning_rate = schedule, .metrics = metrics, .log_time = false, .stream = nullptr};
  };
  TinyRun whole, resumed;
  std::string whole_actions, resumed_actions;
  train::Loop loop(whole.optimizer, options(folder.file("whole")));
  loop.every(6, [&] { whole_actions += std::to_string(loop.step_count()) + ' '; });
  train::Loop next_loop(resumed.optimizer, options(folder.file("resumed")));
  next_loop.every(6, [&] { resumed_actions += std::to_string(next_loop.step_count()) + ' '; });
  std::size_t written = 0;
  while (loop.next()) {
    if (loop.step_count() == 12) {  // the state of now goes into the other run
      written = bytes_of(folder.file("whole")).size();
      CHECK(whole_actions == "6 12 ");
      std::vector<double> numbers;
      loop.visit([&](const std::string&, auto& state) { numbers.push_back(static_cast<double>(state)); });
      std::size_t i = 0;
      next_loop.visit(
          [&]<class State>(const std::string&, State& state) { state = static_cast<State>(numbers.at(i++)); });
      std::vector<Tensor<float>> moments;
      whole.optimizer.visit([&](const std::string&, auto& state) {
        if constexpr (requires { state.clone(); }) moments.push_back(state.clone());
      });
      i = 0;
      resumed.optimizer.visit([&](const std::string&, auto& state) {
        if constexpr (requires { state.clone(); })
          state = moments.at(i++);
        else
          state = 12;
      });
      const std::vector<float> weights = whole.weights();
      const float* from = weights.data();
      visit_parameters(resumed.model, [&](const std::string&, Tensor<float>& weight) {
        std::copy_n(from, weight.numel(), weight.data());
        from += weight.numel();
      });
      for (int step = 0; step < 12; ++step) resumed.batches.next();
    }
    loop.backward(whole.loss(), 16);
    loop.step();
  }
  while (next_loop.next()) {
    next_loop.backward(resumed.loss(), 16);
    next_loop.step();
  }
  CHECK(next_loop.step_count() == 20);
  CHECK(resumed.weights() == whole.weights());
  CHECK(bytes_of(folder.file("resumed")) == bytes_of(folder.file("whole")).substr(written));
  CHECK(whole_actions == "6 12 18 20 ");
  CHECK(resumed_actions == "18 20 ");
}

TEST_CASE("options that cannot work are refused before the metrics file of an earlier run is touched") {
  const TemporaryFolder folder;
  const std::string path = folder.file("metrics.jsonl", "of an earlier run\n");
  const auto refusal = [&](train::LoopOptions options) {
    OneNumber model;
    train::AdamW optimizer(model);
    options.metrics = path;
    options.stream = nullptr;
    const std::string message = message_of<ConfigError>([&] { train::Loop loop(optimizer, options); });
    CHECK(bytes_of(path) == "of an earlier run\n");
    return message;
  };
  CHECK(refusal({}) == "[Loop] max_steps must be positive, got 0");
  CHECK(refusal({.max_steps = 1, .grad_accumulation = 0}) == "[Loop] grad_accumulation must be positive, got 0");
  CHECK(refusal({.max_steps = 1, .time_limit = -1}) == "[Loop] time_limit must be 0 (no limit) or positive, got -1");
  CHECK(refusal({.max_steps = 1, .learning_rate = [](std::int64_t) { return std::nan(""); }}) ==
        "[AdamW] learning_rate must be 0 or positive and finite, got nan");
  RateRecorder optimizer;
  train::Loop loop(optimizer, silent(1));
  CHECK(message_of<ConfigError>([&] { loop.every(-1, [] {}); }) ==
        "[Loop] every() takes a positive number of steps, or 0 for the end, got -1");
  CHECK(message_of<IoError>([&] {
          train::Loop no_file(optimizer,
                              {.max_steps = 1, .metrics = folder.file("nothing/metrics"), .stream = nullptr});
        }) == "[AppendFile] " + folder.file("nothing/metrics") +
                  ": open failed: No such file or directory; nothing was written: create its folder");
}

TEST_CASE("an action that throws does not lose those after it") {
  RateRecorder optimizer;
  train::Loop loop(optimizer, silent(4));
  Tensor<double> w = Tensor<double>::scalar(1).set_requires_grad();
  std::string ran;
  loop.every(2, [&] {
    if (loop.step_count() == 2) raise<Error>("action", "fails");
    ran += "a";
  });
  loop.every(2, [&] { ran += "b" + std::to_string(loop.step_count()); });
  const auto next = [&] {
    try {
      return loop.next();
    } catch (const Error&) {
      return loop.next();
    }
  };
  while (next()) do_step(loop, w * 1.0);
  CHECK(ran == "b2ab4");
}

TEST_CASE("discard drops a batch, and the step goes on with the next ones") {
  OneNumber model;
  train::AdamW optimizer(model);
  train::Loop loop(optimizer, silent(1));
  REQUIRE(loop.next());
  loop.backward(model.loss(100), 1);
  loop.discard();
  CHECK_FALSE(model.w.has_grad());
  do_step(loop, model.loss(3));
  CHECK(loop.loss() == 6);
}

TEST_CASE("the learning rate of every step is tried before the first one") {
  const TemporaryFolder folder;
  OneNumber model;
  train::AdamW optimizer(model);
  const auto loop_with = [&](std::function<double(std::int64_t)> rate, std::int64_t steps) {
    return message_of<ConfigError>([&] {
      train::Loop loop(optimizer,
                       {.max_steps = steps, .learning_rate = rate, .metrics = folder.file("m"), .stream = nullptr});
    });
  };
  CHECK(loop_with([](std::int64_t step) { return 0.323 - 1e-3 * static_cast<double>(step); }, 2000) ==
        "[AdamW] learning_rate must be 0 or positive and finite, got -0.001");
  CHECK_FALSE(std::filesystem::exists(folder.file("m")));
  CHECK(loop_with([](std::int64_t step) { return step == 1999 ? std::nan("") : 1.0; }, 2000) != "no exception");
  int calls = 0;
  CHECK(loop_with([&](std::int64_t) { return ++calls, 1.0; }, std::int64_t{1} << 60) == "no exception");
  CHECK(calls < 2'000'000);
  CHECK(optimizer.learning_rate() == 1);
}

TEST_CASE("interrupt ends training after the step in progress, without actions; another thread may call it") {
  RateRecorder optimizer;
  train::Loop loop(optimizer, silent(1'000'000'000));
  std::string ran;
  loop.every(1, [&] { ran += "a"; });
  loop.every(3, [&] {
    if (loop.step_count() == 3) loop.interrupt();
    loop.throw_if_interrupted();
    ran += "b";
  });
  Tensor<double> w = Tensor<double>::scalar(1).set_requires_grad();
  while (loop.next()) do_step(loop, w * 1.0);
  CHECK(loop.step_count() == 3);
  CHECK(ran == "aaa");
  CHECK(loop.interrupted());
  CHECK_FALSE(loop.next());
  CHECK(message_of<train::Interrupted>([&] { loop.throw_if_interrupted(); }) ==
        "[Loop] training was interrupted at step 3");

  RateRecorder other_optimizer;
  train::Loop endless(other_optimizer, silent(1'000'000'000));
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    endless.interrupt();
  });
  while (endless.next()) do_step(endless, w * 1.0);
  other.join();
  CHECK(endless.interrupted());
}

TEST_CASE("needs_batch counts the calls of backward, report writes and prints") {
  const TemporaryFolder folder;
  std::FILE* const stream = std::tmpfile();
  RateRecorder optimizer;
  train::Loop loop(optimizer, {.max_steps = 1, .grad_accumulation = 3, .metrics = folder.file("m"), .stream = stream});
  Tensor<double> w = Tensor<double>::scalar(1).set_requires_grad();
  REQUIRE(loop.next());
  int batches = 0;
  for (; loop.needs_batch(); ++batches) loop.backward(w * 1.0, 1);
  CHECK(batches == 3);
  loop.step();
  CHECK(loop.needs_batch());
  loop.report({{"val_loss", 1.25}, {"accuracy", 0.5}}, ", the best so far");
  CHECK(bytes_of(folder.file("m")).ends_with("{\"step\": 1, \"val_loss\": 1.25, \"accuracy\": 0.5}\n"));
  std::rewind(stream);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stream));
  std::fclose(stream);
  CHECK(text.ends_with("step 1: val_loss 1.2500, accuracy 0.5000, the best so far\n"));
}
