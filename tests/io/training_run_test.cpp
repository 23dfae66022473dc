// TrainingRun: a run that is cut anywhere, by whatever, goes on bit for bit; folders of other runs are safe.

#include "gptlite/io/training_run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gptlite/data/token_batches.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/early_stopping.hpp"
#include "gptlite/train/weight_snapshot.hpp"
#include "support/recorded_calls.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

// A small run with everything that has state: dropout, epochs of 5 batches, two batches a step, evaluations that keep
// the best weights, samples. `at` is called before each batch.
struct Trained {
  std::vector<float> weights = {}, best = {};
  std::string metrics = {}, samples = {};
  double best_metric = 0;
  std::int64_t steps = 0;
  bool operator==(const Trained&) const = default;
};

constexpr std::int64_t max_steps = 12;

std::vector<TokenId> stream() {
  std::vector<TokenId> tokens;
  for (int i = 0; i < 75; ++i) tokens.push_back(static_cast<TokenId>((i * i + i / 3) % 11));
  return tokens;
}

struct Attempt {
  io::TrainingRunOptions options = {.resume = true, .save_interval = 3};
  std::function<void(std::int64_t step, Index call, train::Loop<train::AdamW<float>>& loop, io::TrainingRun& run)> at =
      [](std::int64_t, Index, auto&, auto&) {};
  std::function<void(train::Loop<train::AdamW<float>>& loop)> after_evaluation = [](auto&) {};
  std::int64_t steps = max_steps;
  std::FILE* stream = nullptr;
};

Trained train_in(const std::string& folder, const Attempt& attempt = {}) {
  GPT<float> model({.vocab_size = 11, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 8, .dropout = 0.2});
  train::AdamW optimizer(model, {.learning_rate = 1e-2});
  data::TokenBatches batches(stream(), {.batch_size = 2, .block_size = 8, .seed = 3});
  train::EarlyStopping stopping;
  train::WeightSnapshot best(model);
  train::Loop loop(optimizer, {.max_steps = attempt.steps,
                               .learning_rate = [](std::int64_t step) { return 1e-2 / (1 + 0.1 * double(step)); },
                               .grad_accumulation = 2,
                               .log_time = false,
                               .stream = attempt.stream});
  io::TrainingRun run(folder, loop, model, attempt.options);
  run.add("batches", batches);
  run.add("stopping", stopping);
  run.add("best", best);
  loop.every(4, [&] {
    loop.throw_if_interrupted();
    const double metric = std::sin(static_cast<double>(loop.step_count()));  // 8 is the best
    loop.log(JsonObject().add("metric", metric));
    if (stopping.improved(metric, loop.step_count())) best = train::WeightSnapshot(model);
    attempt.after_evaluation(loop);
  });
  loop.every(5, [&] { run.append("samples.txt", "sample at " + std::to_string(loop.step_count()) + "\n"); });
  while (loop.next()) {
    for (Index call = 0; loop.needs_batch(); ++call) {
      attempt.at(loop.step_count(), call, loop, run);
      const auto [inputs, targets] = batches.next();
      loop.backward(model.loss(inputs, targets), inputs.numel());
    }
    loop.step();
  }
  Trained result{.metrics = bytes_of(folder + "/metrics.jsonl"),
                 .samples = bytes_of(folder + "/samples.txt"),
                 .best_metric = stopping.best(),
                 .steps = loop.step_count()};
  const auto append = [](std::vector<float>& to, const Tensor<float>& tensor) {
    to.insert(to.end(), tensor.data(), tensor.data() + tensor.numel());
  };
  visit_parameters(model, [&](const std::string&, const Tensor<float>& tensor) { append(result.weights, tensor); });
  best.visit([&](const std::string&, const Tensor<float>& tensor) { append(result.best, tensor); });
  return result;
}

// Tests save hundreds of times and lose no power.
struct Unsynced {
  UnsyncedCalls calls;
  io::FileCallsScope scope{calls};
};

struct Cut : Error {
  using Error::Error;
};

}  // namespace

TEST_CASE("a run that is cut at any batch, in any way, ends with the bits of one that is not") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const Trained whole = train_in(folder.file("whole"));
  CHECK(whole.steps == max_steps);
  CHECK(whole.best_metric == std::sin(8.0));
  CHECK(whole.samples == "sample at 5\nsample at 10\nsample at 12\n");
  for (const char* way : {"interrupt", "exception", "saved in the middle of a step", "killed"}) {
    for (std::int64_t step = 0; step < max_steps; ++step)
      for (Index call = 0; call < 2; ++call) {
        const std::string path = folder.file(way + std::to_string(step) + std::to_string(call));
        const auto cut = [&](std::int64_t now, Index nth, auto& loop, io::TrainingRun& run) {
          if (now != step || nth != call) return;
          if (way == std::string("interrupt")) return loop.interrupt();
          if (way == std::string("saved in the middle of a step")) {
            run.save();
            // As if killed: the copy is what the disk holds now.
            std::filesystem::copy(path, path + ".copy", std::filesystem::copy_options::recursive);
          }
          if (way == std::string("killed"))
            std::filesystem::copy(path, path + ".copy", std::filesystem::copy_options::recursive);
          raise<Cut>("cut", "here");
        };
        try {
          train_in(path, {.at = cut});
        } catch (const Cut&) {
        }
        if (way == std::string("exception") && step > 0)
          CHECK(io::checkpoint_steps(path + "/checkpoints").back() == step);
        const bool copied = std::filesystem::exists(path + ".copy");
        const Trained resumed = train_in(copied ? path + ".copy" : path);
        if (resumed != whole) FAIL_CHECK(way, " at step ", step, ", batch ", call);
      }
  }
}

TEST_CASE("a run that is interrupted again and again, in evaluations too, ends the same") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const Trained whole = train_in(folder.file("whole"));
  const std::string path = folder.file("often");
  Trained last;
  for (int attempt = 0; attempt < 40 && last.steps < max_steps; ++attempt) {
    int batches = 0;
    last = train_in(path, {.at = [&](std::int64_t, Index, auto& loop, io::TrainingRun&) {
                      if (++batches == 2) loop.interrupt();  // one step, whose actions are due, and are not run
                    }});
  }
  CHECK(last.steps == max_steps);
  CHECK(train_in(path) == whole);  // the actions of the last step
}

TEST_CASE("interrupted between the actions of a step: those that have run are undone and run again") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const Trained whole = train_in(folder.file("whole"));
  const std::string path = folder.file("run");
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Trained cut = train_in(path, {.after_evaluation = [](auto& loop) {
                                   if (loop.step_count() == 8) loop.interrupt();
                                 }});
    CHECK(cut.steps == 8);
  }
  CHECK(train_in(path) == whole);
}

TEST_CASE("a damaged checkpoint is passed over with a message, and removed once a newer one is safe") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const Trained whole = train_in(folder.file("whole"));
  const std::string path = folder.file("run");
  const auto cut = [&](std::int64_t step, Index, auto& loop, io::TrainingRun&) {
    if (step == 7) loop.interrupt();
  };
  train_in(path, {.at = cut});
  const std::string newest = io::checkpoint_path(path + "/checkpoints", 8);
  REQUIRE(io::checkpoint_steps(path + "/checkpoints") == std::vector<std::int64_t>{6, 8});
  std::string bytes = bytes_of(newest);
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 4);
  std::ofstream(newest, std::ios::binary) << bytes;
  std::FILE* const shown = std::tmpfile();
  const Trained resumed = train_in(path, {.stream = shown});
  CHECK(resumed == whole);
  std::rewind(shown);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), shown));
  std::fclose(shown);
  CHECK(text.find("/step-00000008.safetensors: tensor \"") != text.npos);
  CHECK(text.find("corrupted; trying the step before\nresumed at step 6\n") != text.npos);
  CHECK(io::checkpoint_steps(path + "/checkpoints") == std::vector<std::int64_t>{9, 12});

  for (const std::int64_t step : {9, 12})
    std::ofstream(io::checkpoint_path(path + "/checkpoints", step), std::ios::binary) << "no checkpoint";
  CHECK(message_of<DataError>([&] {
          train_in(path);
        }).starts_with("[TrainingRun] " + path + ": no checkpoint can be read, the last tried: "));
}

TEST_CASE("a checkpoint that names a file outside the folder is refused, and the file is not cut") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const std::string path = folder.file("run"), other = folder.file("other", "untouched");
  train_in(path, {.steps = 3});
  const std::string last = io::checkpoint_path(path + "/checkpoints", 3);
  for (const std::string& name : {std::string("../other"), other}) {
    io::Checkpoint checkpoint = io::load_checkpoint(last);
    std::erase_if(checkpoint.integers, [](const auto& item) { return item.first.ends_with("other"); });
    checkpoint.integers["size." + name] = 2;
    io::save_checkpoint(last, checkpoint);
    CHECK(message_of<DataError>([&] { train_in(path); }) ==
          "[TrainingRun] " + last + ": names a file outside the run's folder, \"" + name + '"');
    CHECK(bytes_of(other) == "untouched");
  }
}

TEST_CASE("a folder that holds a run or a model is neither continued nor overwritten unasked") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  const Trained whole = train_in(path, {.options = {}});
  CHECK(message_of<ConfigError>([&] { train_in(path, {.options = {}}); }) ==
        "[TrainingRun] " + path +
            ": holds a run or a model (checkpoints): continue it with --resume, or replace it with --overwrite");
  CHECK(bytes_of(path + "/metrics.jsonl") == whole.metrics);
  CHECK(train_in(path) == whole);  // is done already
  CHECK(train_in(path, {.options = {.overwrite = true}}) == whole);
  CHECK(train_in(folder.file("new")) == whole);  // nothing to resume: from the beginning

  std::filesystem::create_directory(folder.path / "model");
  folder.file("model/config.json", "{}");
  folder.file("model/notes.txt", "mine");
  CHECK(message_of<ConfigError>([&] { train_in(folder.file("model"), {.options = {}}); }).find("(config.json)") !=
        std::string::npos);
  CHECK(message_of<ConfigError>([&] { train_in(folder.file("model")); }) ==
        "[TrainingRun] " + folder.file("model") + ": holds a model but no checkpoint to resume");
  train_in(folder.file("model"), {.options = {.overwrite = true}});
  CHECK(bytes_of(folder.file("model/notes.txt")) == "mine");
  CHECK_FALSE(std::filesystem::exists(folder.file("model/config.json")));

  CHECK(message_of<ConfigError>([&] { train_in(path, {.options = {.resume = true, .overwrite = true}}); }) ==
        "[TrainingRun] resume and overwrite exclude each other");
  CHECK(message_of<ConfigError>([&] { train_in(path, {.options = {.keep_last = 0}}); }) ==
        "[TrainingRun] keep_last must be 1 or more, got 0");
  CHECK(message_of<ConfigError>([&] { train_in(path, {.options = {.save_interval = -1}}); }) ==
        "[TrainingRun] save_interval must be 0 or positive, got -1");
}

TEST_CASE("another run's settings, or another model's checkpoint, are refused with all differences; nothing changes") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  const auto with = [](JsonObject config, bool resume) {
    return Attempt{.options = {.resume = resume, .save_interval = 3, .config = std::move(config)}};
  };
  train_in(path, with(JsonObject().add("seed", 1).add("text", "a"), false));
  const std::string metrics = bytes_of(path + "/metrics.jsonl");
  CHECK(message_of<ConfigError>([&] {
          train_in(path, with(JsonObject().add("seed", 2).add("text", "b").add("size", 3), true));
        }) == "[TrainingRun] " + path +
                  ": cannot resume with other settings:\n  seed: 1 in the checkpoint, 2 now\n  size: nothing in the "
                  "checkpoint, 3 now\n  text: \"a\" in the checkpoint, \"b\" now");
  CHECK(message_of<ConfigError>([&] { train_in(path, with(JsonObject().add("seed", 1), true)); }) ==
        "[TrainingRun] " + path + ": cannot resume with other settings:\n  text: \"a\" in the checkpoint, nothing now");
  GPT<float> larger({.vocab_size = 11, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 10});
  train::AdamW optimizer(larger);
  train::Loop loop(optimizer, {.max_steps = 20, .stream = nullptr});
  const std::vector<float> before(larger.wte.weight.data(), larger.wte.weight.data() + 110);
  io::TrainingRun run(path, loop, larger, {.resume = true});
  const std::string message = message_of<DataError>([&] { loop.next(); });
  CHECK(message.find("saved by another run: 0 missing, ") != message.npos);
  CHECK(message.find("\n  unexpected batches.position") != message.npos);
  CHECK(message.find("\n  model.wte.weight: file has F32 (11, 8), the run F32 (11, 10)") != message.npos);
  CHECK(std::equal(before.begin(), before.end(), larger.wte.weight.data()));
  CHECK(loop.step_count() == 0);
  CHECK(bytes_of(path + "/metrics.jsonl") == metrics);
}

TEST_CASE("two runs in one folder: the second says so") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const std::string path = folder.file("run");
  train_in(
      path, {.at = [&](std::int64_t step, Index, auto&, io::TrainingRun&) {
        if (step == 2)
          CHECK(message_of<IoError>([&] { train_in(path); }).find(" is writing to this folder") != std::string::npos);
      }});
}

TEST_CASE("a disk that is full in the middle of a run costs nothing that was trained") {
  const Unsynced unsynced;
  const TemporaryFolder folder;
  const Trained whole = train_in(folder.file("whole"));
  for (int call = 0; call < 120; call += 3) {  // any call after the run has begun
    const std::string path = folder.file("run" + std::to_string(call));
    RecordedCalls calls;
    std::string message;
    {
      const io::FileCallsScope scope(calls);
      message = message_of<IoError>([&] {
        train_in(path, {.at = [&](std::int64_t step, Index nth, auto&, io::TrainingRun&) {
                   if (step == 1 && nth == 0) calls.fail(call, ENOSPC);
                 }});
      });
    }
    // No call but those that only tidy up may fail unseen.
    if (message == "no exception") continue;
    CHECK(message.find("No space left on device") != message.npos);
    Trained resumed = train_in(path);
    // The line of metrics that could not be written is missing, nothing else.
    const auto lines = [](const Trained& run) { return std::count(run.metrics.begin(), run.metrics.end(), '\n'); };
    CHECK(lines(resumed) >= lines(whole) - 1);
    resumed.metrics = whole.metrics;
    if (resumed != whole) FAIL_CHECK("call ", call);
  }
}
