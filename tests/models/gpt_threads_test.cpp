// Training with dropout gives the same loss and weight bits after 100 steps for any number of threads.

#include <doctest/doctest.h>

#include <cstring>

#include "gptlite/data/token_batches.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/adamw.hpp"
#include "support/sanitizers.hpp"
#include "support/training_bits.hpp"

using namespace gptlite;

namespace {

// Fewer under a sanitizer, which looks for other faults.
constexpr int steps = sanitized ? 10 : 100;

// All losses and the final weights.
std::vector<float> train_with(int threads, NormOrder norm_order, Precision precision) {
  set_num_threads(threads);
  GPT<float> model({.vocab_size = 29,
                    .block_size = 37,
                    .n_layer = 2,
                    .n_head = 3,
                    .n_embd = 48,
                    .dropout = 0.1,
                    .window = 20,
                    .norm_order = norm_order,
                    .precision = precision});
  train::AdamW optimizer(model, {.learning_rate = 1e-3});
  std::vector<TokenId> tokens;
  for (int i = 0; i < 2000; ++i) tokens.push_back((i * i + 7 * i) % 29);
  data::TokenBatches batches(tokens, {.batch_size = 5, .block_size = 37, .seed = 1});
  const std::vector<float> bits = losses_and_weights(model, optimizer, batches, steps);
  set_num_threads(0);
  return bits;
}

}  // namespace

TEST_CASE("the same bits after 100 steps with 1, 2, 3, 4 and 8 threads, dropout on, in both precisions") {
  for (const NormOrder norm_order : {NormOrder::post, NormOrder::pre}) {
    const Precision precision = norm_order == NormOrder::post ? Precision::fp32 : Precision::bf16;
    const std::vector<float> one = train_with(1, norm_order, precision);
    CHECK(one[steps - 1] < one[0]);
    for (const int threads : {2, 3, 4, 8}) {
      const std::vector<float> many = train_with(threads, norm_order, precision);
      CHECK_MESSAGE(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)) == 0, threads << " threads");
    }
  }
}
