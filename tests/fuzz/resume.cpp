// Checkpoints that a training run resumes from. The input is a file; its checksums are set right. What is refused
// changes nothing; a run that resumes goes on, and saves what it resumes from.

#include <bit>
#include <cstring>
#include <vector>

#include "fuzz/checksums.hpp"
#include "fuzz/fuzz.hpp"
#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "gptlite/data/token_batches.hpp"
#include "gptlite/io/run_state.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/embedding.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/early_stopping.hpp"
#include "gptlite/train/loop.hpp"

namespace fuzz {

using namespace gptlite;

namespace {

// A bigram model: logits of the next token, (B, T, 3).
struct Bigram {
  using value_type = float;
  std::shared_ptr<TrainingMode> mode =
      std::make_shared<TrainingMode>(TrainingMode{true, Generator(1, RandomUse::dropout)});
  Generator weights{1, RandomUse::weights};
  Embedding<float> next{3, 3, Init::normal(0.02), weights};
  Dropout<float> drop{0.25, mode};

  void visit(auto&& f) { f("next", next); }
  Tensor<float> loss(const Tensor<TokenId>& inputs, const Tensor<TokenId>& targets) const {
    return cross_entropy(drop(next(inputs)), targets);
  }
};

// All that a run continues from.
struct Run {
  Bigram model;
  train::AdamW<float> optimizer{model, {}};
  train::Loop<train::AdamW<float>> loop{optimizer, {.max_steps = 100, .grad_accumulation = 2, .stream = nullptr}};
  data::TokenBatches batches{{0, 1, 2, 0, 1}, {.batch_size = 1, .block_size = 2, .seed = 3}};
  train::EarlyStopping stopping{2};
  io::RunState state;
  Run() {
    state.add("loop", loop);
    state.add_optimizer("optimizer", optimizer);
    state.add("model", model);
    state.add("batches", batches);
    state.add("stopping", stopping);
  }

  void batch() {
    const auto [inputs, targets] = batches.next();
    loop.backward(model.loss(inputs, targets), inputs.numel());
  }
  void step() {
    while (loop.needs_batch()) batch();
    loop.step();
    stopping.improved(loop.loss(), loop.step_count());
  }
};

bool same(const io::Checkpoint& a, const io::Checkpoint& b) {
  const auto same_bytes = [](const auto& x, const auto& y) {
    return std::visit(
        [&](const auto& tensor) {
          const auto& other = std::get<std::decay_t<decltype(tensor)>>(y);
          return std::memcmp(tensor.data(), other.data(), sizeof(*tensor.data()) * std::size_t(tensor.numel())) == 0;
        },
        x);
  };
  if (a.integers != b.integers || a.tensors.size() != b.tensors.size() || a.reals.size() != b.reals.size())
    return false;
  for (const auto& [name, number] : a.reals)
    if (name != "loop.seconds" &&
        std::bit_cast<std::uint64_t>(number) != std::bit_cast<std::uint64_t>(b.reals.at(name)))
      return false;
  for (const auto& [name, tensor] : a.tensors)
    if (!same_bytes(tensor, b.tensors.at(name))) return false;
  return true;
}

io::Checkpoint copy_of(io::Checkpoint checkpoint) {
  for (auto& item : checkpoint.tensors) std::visit([](auto& tensor) { tensor = tensor.clone(); }, item.second);
  return checkpoint;
}

}  // namespace

void resume(std::string_view bytes) {
  // In the middle of its second step.
  static Run run;
  static const io::Checkpoint start = [] {
    run.step();
    run.batch();
    return copy_of(run.state.collect(true));
  }();
  MemoryFiles memory;
  memory.files["f"] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  io::Checkpoint saved;
  if (!accepted([&] {
        set_checksums("f", "g");
        saved = io::load_checkpoint("g");
      }))
    return;
  if (!accepted([&] { run.state.assign(saved, "g"); })) {
    always(same(run.state.collect(true), start));
    return;
  }
  always(run.loop.step_count() == saved.integers.at("loop.step"));
  io::save_checkpoint("h", run.state.collect(true));
  const io::Checkpoint again = io::load_checkpoint("h");
  always(same(again, run.state.collect(true)));
  accepted([&] {
    if (run.loop.next()) run.step();
  });
  run.state.assign(again, "h");
  always(same(again, run.state.collect(true)));
  run.state.assign(start, "start");
  always(same(run.state.collect(true), start));
}

}  // namespace fuzz
