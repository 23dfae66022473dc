// Each allocation of a training step, of generation and of what makes them fails in turn: everything stays whole, and
// work goes on with the bits that it has without a failure.

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/data/task_batches.hpp"
#include "gptlite/data/token_batches.hpp"
#include "gptlite/generate/generate.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/nn/lora.hpp"
#include "gptlite/text/char_tokenizer.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/weight_snapshot.hpp"
#include "memory/failing_allocation.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace gptlite;
using Which = FailingAllocation::Which;

namespace {

GPTConfig small_gpt() {
  return {.vocab_size = 7, .block_size = 6, .n_layer = 1, .n_head = 2, .n_embd = 8, .dropout = 0.1};
}
data::TokenBatches batches_of_squares() {
  std::vector<TokenId> tokens;
  for (int i = 0; i < 60; ++i) tokens.push_back(i * i % 7);
  return data::TokenBatches(tokens, {.batch_size = 3, .block_size = 6});
}

// The bits of all parameters of a model, and of its optimizer.
struct State {
  std::vector<float> parameters, moments;
  std::int64_t steps = 0;
  bool operator==(const State&) const = default;
};
State state_of(const GPT<float>& model, train::AdamW<float>& optimizer) {
  State state;
  visit_parameters(model, [&](const std::string&, const Tensor<float>& weight) {
    state.parameters.insert(state.parameters.end(), weight.data(), weight.data() + weight.numel());
  });
  optimizer.visit([&](const std::string&, auto& piece) {
    if constexpr (requires { piece.numel(); })
      state.moments.insert(state.moments.end(), piece.data(), piece.data() + piece.numel());
    else
      state.steps = piece;
  });
  return state;
}

void restore(const State& state, GPT<float>& model, train::AdamW<float>& optimizer) {
  const float* from = state.parameters.data();
  visit_parameters(model, [&](const std::string&, Tensor<float>& weight) {
    std::copy_n(from, weight.numel(), weight.data());
    from += weight.numel();
  });
  from = state.moments.data();
  optimizer.visit([&](const std::string&, auto& piece) {
    if constexpr (requires { piece.numel(); }) {
      std::copy_n(from, piece.numel(), piece.data());
      from += piece.numel();
    } else {
      piece = state.steps;
    }
  });
  optimizer.zero_grad();
}

// Lets the first allocation of attempt() fail, then the second, and so on, until it succeeds without a failure.
// prepare() is called before each attempt, check(thrown) after it. Returns the number of allocations tried.
template <class Prepare, class Attempt, class Check>
long fail_each(Which which, Prepare&& prepare, Attempt&& attempt, Check&& check) {
  for (long k = 0;; ++k) {
    prepare();
    release_cached_memory();  // else most blocks are there already
    bool thrown = false;
    long failures = 0;
    {
      const FailingAllocation failing(k, which);
      try {
        attempt();
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      failures = FailingAllocation::failures();
    }
    CAPTURE(k);
    check(thrown);
    if (failures == 0) {
      REQUIRE(!thrown);
      return k;
    }
  }
}
const auto nothing = [] {};

}  // namespace

TEST_CASE("a training step that finds no memory leaves model and optimizer as before it or after it") {
  GPT<float> model(small_gpt());
  train::AdamW optimizer(model, {.learning_rate = 1e-2});
  const data::TokenBatches start = batches_of_squares();
  data::TokenBatches batches = start;
  const auto step = [&] {
    const auto [inputs, targets] = batches.next();
    model.loss(inputs, targets).backward();
    optimizer.step();
  };
  const Generator dropout = model.mode->generator;
  const State before = state_of(model, optimizer);
  step();
  const State after = state_of(model, optimizer);
  REQUIRE(!(after == before));
  for (const int threads : {1, 3})
    for (const Which which : {Which::one, Which::all_after}) {
      set_num_threads(threads);
      const auto prepare = [&] {
        restore(before, model, optimizer);
        model.mode->generator = dropout;
        batches = start;
      };
      const auto check = [&](bool thrown) {
        const State now = state_of(model, optimizer);
        if (!thrown) REQUIRE(now == after);
        if (!thrown) return;
        REQUIRE(now == before);
        // What a program restores: no gradients, and the positions of dropout and batches.
        optimizer.zero_grad();
        visit_parameters(model, [](const std::string&, Tensor<float>& weight) { CHECK(!weight.has_grad()); });
        model.mode->generator = dropout;
        batches.set_position(0);
        step();
        REQUIRE(state_of(model, optimizer) == after);
      };
      CHECK(fail_each(which, prepare, step, check) > 50);
    }
  set_num_threads(0);
}

TEST_CASE("an optimizer step that finds no memory can be tried again with the same gradients") {
  GPT<float> model(small_gpt());
  train::AdamW optimizer(model, {.learning_rate = 1e-2});
  const auto [inputs, targets] = batches_of_squares().next();
  const State before = state_of(model, optimizer);
  const Generator dropout = model.mode->generator;
  State after;
  const auto prepare = [&, &in = inputs, &out = targets] {
    restore(before, model, optimizer);
    model.mode->generator = dropout;
    model.loss(in, out).backward();
  };
  prepare();
  optimizer.step();
  after = state_of(model, optimizer);
  const long tried = fail_each(
      Which::all_after, prepare, [&] { optimizer.step(); },
      [&](bool thrown) {
        if (thrown) REQUIRE(state_of(model, optimizer) == before);
        if (thrown) optimizer.step();
        REQUIRE(state_of(model, optimizer) == after);
      });
  CHECK(tried > 3);
}

TEST_CASE("making a model and its optimizer finds no memory and leaves nothing behind") {
  CHECK(fail_each(
            Which::all_after, nothing,
            [] {
              GPT<float> model(small_gpt());
              add_lora(model, {.rank = 2, .targets = {"*"}});
              const train::AdamW optimizer(model, {});
              const train::WeightSnapshot snapshot(model);
              merge_lora(model);
              model.add_tokens(3, 1);
            },
            [](bool) {}) > 50);
}

TEST_CASE("a merge of adapters that finds no memory leaves a model that computes the same and can be merged") {
  const auto [inputs, targets] = batches_of_squares().next();
  const EvalScope eval;
  GPT<float> adapted(small_gpt());
  add_lora(adapted, {.rank = 2, .targets = {"*"}});
  visit_parameters(adapted, [](const std::string& name, Tensor<float>& weight) {
    if (name.find("lora_B") != std::string::npos) std::fill_n(weight.data(), weight.numel(), 0.25f);
  });
  GPT<float> merged = adapted;
  merge_lora(merged);
  const std::vector<float> expected = merged.logits(inputs).to_vector();
  GPT<float> model = adapted;
  fail_each(
      Which::all_after, [&] { model = adapted; }, [&] { merge_lora(model); },
      [&, &in = inputs](bool) {
        merge_lora(model);
        REQUIRE(model.logits(in).to_vector() == expected);
      });
}

TEST_CASE("a generation that finds no memory ends as failed; the decoder and the model serve the next one") {
  const GPT<float> model(small_gpt());
  const GenerateOptions options{
      .max_new_tokens = 9, .top_k = 5, .top_p = 0.9, .repetition_penalty = 1.1, .seed = 3, .stop = {{6, 6, 6}}};
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::int8})
    for (const bool draft : {false, true}) {
      if (draft && format == WeightFormat::int8) continue;
      Decoder<float> decoder(model, {.batch = draft ? 1 : 2, .weights = format, .draft = draft});
      GenerationSession<float> session(decoder);
      const auto serve = [&] {
        for (Index slot = 0; slot < session.slots(); ++slot) {
          session.stop(slot);
          session.start_in(slot, {1, 2, static_cast<TokenId>(slot)}, options);
        }
        while (session.running() > 0) session.step();
        std::vector<std::vector<TokenId>> tokens;
        for (Index slot = 0; slot < session.slots(); ++slot) tokens.push_back(session.tokens(slot));
        return tokens;
      };
      const auto expected = serve();
      CHECK(fail_each(
                Which::all_after, nothing, [&] { serve(); },
                [&](bool thrown) {
                  if (thrown) REQUIRE(serve() == expected);
                }) > 50);
      fail_each(
          Which::one, nothing, [&] { generate(model, {1}, {.max_new_tokens = 2, .weights = format, .draft = draft}); },
          [](bool) {});
    }
}

TEST_CASE("batches that find no memory are drawn again") {
  const std::vector<data::EncodedExample> examples{
      {{{1, 2}}, 0, 0}, {{{3}}, 1, 0}, {{{4, 5, 6}}, 0, 0}, {{{1, 1}}, 1, 0}, {{{2}}, 0, 0}};
  const data::TaskBatches<float> start(examples, Task::classification, {.batch_size = 2});
  data::TaskBatches<float> batches = start, expected = start;
  const auto tokens = [](auto& from) { return from.next().tokens.to_vector(); };
  const std::vector<std::int32_t> first = tokens(expected), second = tokens(expected);
  for (const Which which : {Which::one, Which::all_after})
    fail_each(
        which, [&] { batches = start; }, [&] { batches.next(); },
        [&](bool thrown) {
          REQUIRE(batches.position() == (thrown ? 0 : 1));
          if (thrown) REQUIRE(tokens(batches) == first);
          REQUIRE(tokens(batches) == second);
        });
  const data::TokenBatches unread = batches_of_squares();
  data::TokenBatches windows = unread, others = unread;
  const std::vector<TokenId> window = others.next().inputs.to_vector();
  for (const Which which : {Which::one, Which::all_after})
    fail_each(
        which, [&] { windows = unread; }, [&] { windows.next(); },
        [&](bool thrown) {
          windows.set_position(0);
          REQUIRE(windows.next().inputs.to_vector() == window);
          REQUIRE(windows.position() == 3);
          (void)thrown;
        });
}

TEST_CASE("the destructors of a graph need no memory") {
  GPT<float> model(small_gpt());
  const auto [inputs, targets] = batches_of_squares().next();
  auto loss = std::make_unique<Tensor<float>>(model.loss(inputs, targets));
  Tensor<float> chain = model.wpe.weight;
  for (int i = 0; i < 1000; ++i) chain = chain * 2;
  const FailingAllocation failing(0, Which::all_after);
  loss.reset();
  chain = {};
}

TEST_CASE("no memory in a job on a helper thread arrives at the caller, with the bytes that were asked for") {
  set_num_threads(3);
  parallel_for(100, [](Index) {});  // the helpers are there
  for (int repeat = 0; repeat < 20; ++repeat) {
    release_cached_memory();
    std::size_t bytes = 0;
    {
      const FailingAllocation failing(0, Which::all_after);
      try {
        parallel_for(64, [](Index i) {
          if (i >= 20) const Storage<char> storage(1024 * (i + 1));
        });
      } catch (const OutOfMemory& error) {
        bytes = error.bytes();
      }
    }
    REQUIRE(bytes >= 1024 * 21);
    REQUIRE(bytes < 1024 * 24);  // the lowest job that failed, rounded up
  }
  set_num_threads(0);
}

TEST_CASE("public vectors and texts say how much they asked for") {
  const auto bytes_of = [](const auto& attempt) {
    release_cached_memory();
    const FailingAllocation failing(0, Which::all_after);
    try {
      attempt();
    } catch (const OutOfMemory& error) {
      return error.bytes();
    }
    return std::size_t{0};
  };
  const Tensor<float> tensor = Tensor<float>::ones({100});
  CHECK(bytes_of([&] { tensor.to_vector(); }) == 400);
  CHECK(bytes_of([&] { Storage<float>(100); }) >= 400);
  const std::string text(1000, 'x');
  const text::CharTokenizer tokenizer(text);
  CHECK(bytes_of([&] { tokenizer.encode(text); }) >= 4000);
  LargeVector<int> numbers;
  CHECK(bytes_of([&] { numbers.resize(10); }) == 40);
  std::vector<int> grows{1, 2, 3};
  grows.shrink_to_fit();
  CHECK(bytes_of([&] { memory::append(grows, 4); }) == 24);
  CHECK(grows == std::vector<int>{1, 2, 3});
  memory::append(grows, 4);
  CHECK(grows == std::vector<int>{1, 2, 3, 4});
}

#if GPTLITE_RECYCLE
TEST_CASE("memory that is kept for reuse is returned to the system before anything is refused") {
  { const Storage<char> large(1 << 20); }
  REQUIRE(cached_memory() > 0);
  const FailingAllocation failing(0, Which::one);
  LargeVector<int> numbers(10);
  CHECK(cached_memory() == 0);
}
#endif

#if defined(__unix__)
TEST_CASE("where helper threads find no memory the work is done without them") {
  const pid_t child = fork();  // which has no helpers yet
  if (child == 0) {
    alarm(20);
    std::vector<int> runs(100);
    const auto run = [&](int threads) {
      set_num_threads(threads);
      parallel_for(100, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
    };
    {  // no memory for the team
      const FailingAllocation failing(0, Which::all_after);
      run(4);
    }
    run(2);
    {  // none for the helpers that are missing; asked for again after a while
      const FailingAllocation failing(0, Which::all_after);
      for (int repeat = 0; repeat < 3; ++repeat) run(4);
    }
    run(4);
    _exit(runs == std::vector<int>(100, 6) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
