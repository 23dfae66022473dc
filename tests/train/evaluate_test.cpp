// evaluate: several threads evaluate one model at the same time, and its mode stays what it is.

#include "gptlite/train/evaluate.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "gptlite/models/gpt.hpp"

using namespace gptlite;

TEST_CASE("threads that evaluate one model in training mode get the same loss, and leave its mode alone") {
  const GPT<float> model({.vocab_size = 11, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 8, .dropout = 0.5});
  std::vector<TokenId> tokens;
  for (int i = 0; i < 400; ++i) tokens.push_back(i * i % 11);
  const auto loss = [&] {
    data::TokenBatches batches(tokens, {.batch_size = 2, .block_size = 8, .seed = 3});
    return train::evaluate(model, batches, 20);
  };
  const double expected = loss();
  CHECK(model.mode->training);
  std::vector<double> losses(24);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < losses.size(); i += 3) losses[i] = loss();
    });
  for (std::thread& thread : threads) thread.join();
  for (const double each : losses) CHECK(each == expected);
  CHECK(model.mode->training);
}

TEST_CASE("an EvalScope ends with its scope, and another thread's model keeps its dropout") {
  const auto mode = std::make_shared<TrainingMode>();
  const Dropout<float> dropout{0.5, mode};
  {
    const EvalScope eval;
    CHECK(dropout.rate() == 0);
    { const EvalScope again; }
    CHECK(dropout.rate() == 0);
    double elsewhere = 0;
    std::thread([&] { elsewhere = dropout.rate(); }).join();
    CHECK(elsewhere == 0.5);
  }
  CHECK(dropout.rate() == 0.5);
}
