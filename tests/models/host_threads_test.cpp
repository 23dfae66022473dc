// Several threads of a program train, evaluate and generate at the same time: each has the bits that it has alone.

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/data/token_batches.hpp"
#include "gptlite/generate/generate.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/evaluate.hpp"
#include "support/sanitizers.hpp"
#include "support/training_bits.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace gptlite;

namespace {

using Work = std::function<std::vector<float>()>;

GPTConfig small_model(std::uint64_t seed) {
  return {.vocab_size = 29,
          .block_size = 16,
          .n_layer = 2,
          .n_head = 2,
          .n_embd = 32,
          .dropout = 0.1,
          .precision = seed % 2 == 0 ? Precision::fp32 : Precision::bf16,
          .seed = seed};
}

data::TokenBatches batches_of(std::uint64_t seed) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < 500; ++i) tokens.push_back((i * i + 7 * i) % 29);
  return data::TokenBatches(tokens, {.batch_size = 4, .block_size = 16, .seed = seed});
}

// Trains a model with dropout. Returns its losses and weights.
std::vector<float> train_one(std::uint64_t seed, int n_steps) {
  GPT<float> model(small_model(seed));
  train::AdamW optimizer(model, {.learning_rate = 1e-2});
  data::TokenBatches batches = batches_of(seed);
  return losses_and_weights(model, optimizer, batches, n_steps);
}

std::vector<float> evaluate_one(const GPT<float>& model) {
  data::TokenBatches batches = batches_of(5);
  const double loss = train::evaluate(model, batches, 10);
  const NoGrad no_grad;
  const EvalScope eval;
  const Tensor<float> logits = model.logits(batches.next().inputs);
  std::vector<float> bits = logits.to_vector();
  bits.push_back(static_cast<float>(loss));
  CHECK(!logits.requires_grad());
  return bits;
}

std::vector<float> generate_one(const GPT<float>& model, std::uint64_t seed) {
  const std::vector<TokenId> tokens = generate(model, {1, 2, 3}, {.max_new_tokens = 30, .top_k = 9, .seed = seed});
  return {tokens.begin(), tokens.end()};
}

std::vector<float> serve_one(const GPT<float>& model, std::uint64_t seed) {
  Decoder<float> decoder(model, {.batch = 2, .weights = WeightFormat::int8});
  GenerationSession<float> session(decoder);
  session.start({4, 5}, {.max_new_tokens = 20, .seed = seed});
  session.start({6}, {.max_new_tokens = 25, .seed = seed});
  while (session.running() > 0) session.step();
  std::vector<float> bits(session.tokens(0).begin(), session.tokens(0).end());
  bits.insert(bits.end(), session.tokens(1).begin(), session.tokens(1).end());
  return bits;
}

}  // namespace

TEST_CASE("threads that train, evaluate and generate at once have the bits that each has alone") {
  const GPT<float> shared(small_model(2));  // in training mode: evaluation and generation write nothing to it
  std::vector<Work> works;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) works.emplace_back([seed] { return train_one(seed, 8); });
  for (int i = 0; i < 2; ++i) works.emplace_back([&] { return evaluate_one(shared); });
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    works.emplace_back([&, seed] { return generate_one(shared, seed); });
    works.emplace_back([&, seed] { return serve_one(shared, seed); });
  }
  set_num_threads(2);
  std::vector<std::vector<float>> alone, together(works.size());
  for (const Work& work : works) alone.push_back(work());

  std::atomic<bool> done = false;
  std::thread changes([&] {  // the number of threads, as often as it can
    for (int i = 0; !done; ++i) {
      set_num_threads(1 + i % 4);
      std::this_thread::yield();
    }
  });
  std::thread ends([&] {  // threads that begin and end meanwhile; the tensors that they made outlive them
    while (!done) {
      Tensor<float> made;
      std::thread([&] { made = Tensor<float>::ones({50, 50}) * 2; }).join();
      CHECK(sum(made).item() == 5000);
    }
  });
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < works.size(); ++i) threads.emplace_back([&, i] { together[i] = works[i](); });
  for (std::thread& thread : threads) thread.join();
  done = true;
  changes.join();
  ends.join();
  set_num_threads(0);
  for (std::size_t i = 0; i < works.size(); ++i) CHECK_MESSAGE(together[i] == alone[i], "work " << i);
}

TEST_CASE("a graph that one thread records may be run backward by another") {
  GPT<float> model(small_model(2));
  const auto [inputs, targets] = batches_of(2).next();
  const auto gradient = [&] { return model.wte.weight.grad().to_vector(); };
  model.loss(inputs, targets).backward();
  const std::vector<float> alone = gradient();
  visit_parameters(model, [](const std::string&, Tensor<float>& weight) { weight.zero_grad(); });
  model.mode->generator = GPT<float>(small_model(2)).mode->generator;  // the same dropout again
  Tensor<float> loss;
  std::thread([&, &in = inputs, &out = targets] { loss = model.loss(in, out); }).join();
  std::thread([&] { loss.backward(); }).join();
  CHECK(gradient() == alone);
}

TEST_CASE("another thread ends a generation through on_token") {
  const GPT<float> model(small_model(2));
  std::atomic<bool> cancelled = false;
  std::atomic<int> drawn = 0;
  std::vector<TokenId> tokens;
  const auto most = 100'000;
  std::thread worker([&] {
    tokens = generate(model, {1}, {.max_new_tokens = most, .on_token = [&](TokenId, Index) {
                                     ++drawn;
                                     return !cancelled;
                                   }});
  });
  while (drawn < 3) std::this_thread::yield();
  cancelled = true;
  worker.join();
  CHECK(tokens.size() >= 4);
  CHECK(static_cast<int>(tokens.size()) == 1 + drawn);
  CHECK(tokens.size() < most);
}

#if defined(__unix__)
TEST_CASE("a process forks while its threads compute: parent and children have the same bits") {
  if (sanitized) {
    MESSAGE("skipped: a child hung once under a sanitizer; its own locks are suspected, not proven");
    return;
  }
  set_num_threads(2);
  const std::vector<float> expected = train_one(1, 2);
  std::atomic<bool> done = false, same = true;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      do
        if (train_one(1, 2) != expected) same = false;
      while (!done);
    });
  int failed = 0;
  for (int i = 0; i < 10; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // ends a child that waits for a lock forever
      _exit(train_one(1, 2) == expected ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    failed += WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  CHECK(same);
  set_num_threads(0);
}
#endif
