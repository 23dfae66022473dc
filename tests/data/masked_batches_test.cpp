// MaskedBatches: layout, shares of chosen tokens, pairs, and what they depend on.

#include "gptlite/data/masked_batches.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

// A stream 5, 6, 7, ... in which each token tells its place.
std::vector<TokenId> counting_stream(Index size) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(size));
  std::iota(tokens.begin(), tokens.end(), 5);
  return tokens;
}
data::MaskedBatchesOptions masked_options() {
  return {.batch_size = 16, .block_size = 40, .cls = 1, .sep = 2, .mask = 3, .vocab_size = 4005, .seed = 9};
}
// The sequence before tokens were replaced.
std::vector<TokenId> original(const MaskedBatch& batch, Index b) {
  const Index T = batch.tokens.shape()[1];
  std::vector<TokenId> row(batch.tokens.data() + b * T, batch.tokens.data() + (b + 1) * T);
  for (Index t = 0; t < T; ++t)
    if (const TokenId target = batch.targets.data()[b * T + t]; target != ignore_index)
      row[static_cast<std::size_t>(t)] = target;
  return row;
}

}  // namespace

TEST_CASE("MaskedBatches: [CLS] a [SEP] b [SEP], where b follows a or not, as the batch says") {
  data::MaskedBatches batches(counting_stream(4000), masked_options());
  int unrelated = 0;
  for (int n = 0; n < 20; ++n) {
    const MaskedBatch batch = batches.next();
    for (Index b = 0; b < 16; ++b) {
      const std::vector<TokenId> row = original(batch, b);
      CHECK(row[0] == 1);
      CHECK(row.back() == 2);
      const auto cut = std::find(row.begin() + 1, row.end(), 2) - row.begin();
      CHECK(cut >= 1 + 37 / 4);
      CHECK(cut < 1 + 37 - 37 / 4);
      for (Index t = 2; t < cut; ++t) CHECK(row[std::size_t(t)] == row[std::size_t(t - 1)] + 1);
      for (Index t = cut + 2; t < 39; ++t) CHECK(row[std::size_t(t)] == row[std::size_t(t - 1)] + 1);
      const bool follows = row[std::size_t(cut + 1)] == row[std::size_t(cut - 1)] + 1;
      CHECK(follows == (batch.unrelated.data()[b] == 0));
      unrelated += batch.unrelated.data()[b];
      for (Index t = 0; t < 40; ++t) CHECK(batch.segments.data()[b * 40 + t] == (t > cut ? 1 : 0));
    }
  }
  CHECK(unrelated > 320 * 0.4);
  CHECK(unrelated < 320 * 0.6);
}

TEST_CASE("MaskedBatches: 15% of the tokens are chosen, of which 80% are [MASK], 10% random, 10% themselves") {
  data::MaskedBatches batches(counting_stream(4000), masked_options());
  double chosen = 0, masked = 0, same = 0, all = 0;
  for (int n = 0; n < 100; ++n) {
    const MaskedBatch batch = batches.next();
    for (Index i = 0; i < batch.tokens.numel(); ++i) {
      const TokenId token = batch.tokens.data()[i], target = batch.targets.data()[i];
      const TokenId before = target == ignore_index ? token : target;
      if (before == 1 || before == 2) CHECK(target == ignore_index);
      all += before != 1 && before != 2;
      if (target == ignore_index) continue;
      ++chosen;
      masked += token == 3;
      same += token == target;
    }
  }
  CHECK(chosen / all == doctest::Approx(0.15).epsilon(0.05));
  CHECK(masked / chosen == doctest::Approx(0.8).epsilon(0.05));
  CHECK(same / chosen == doctest::Approx(0.1).epsilon(0.15));
}

TEST_CASE("MaskedBatches: without pairs a sequence is [CLS] tokens [SEP]") {
  data::MaskedBatchesOptions options = masked_options();
  options.next_sentence = false;
  const MaskedBatch batch = data::MaskedBatches(counting_stream(400), options).next();
  CHECK_FALSE(batch.unrelated.defined());
  const std::vector<TokenId> row = original(batch, 3);
  CHECK(row[0] == 1);
  CHECK(row[39] == 2);
  for (std::size_t t = 2; t < 39; ++t) CHECK(row[t] == row[t - 1] + 1);
}

TEST_CASE("MaskedBatches: the n-th batch depends on the seed and n alone") {
  data::MaskedBatches some(counting_stream(900), masked_options()), same(counting_stream(900), masked_options());
  some.next();
  const MaskedBatch second = some.next();
  same.set_position(16);
  const MaskedBatch resumed = same.next();
  CHECK(second.tokens.to_vector() == resumed.tokens.to_vector());
  CHECK(second.targets.to_vector() == resumed.targets.to_vector());
  CHECK(second.unrelated.to_vector() == resumed.unrelated.to_vector());
  CHECK(some.next().tokens.to_vector() != second.tokens.to_vector());
}

TEST_CASE("MaskedBatches: at least one token of a batch is chosen") {
  data::MaskedBatchesOptions options = masked_options();
  options.mask_probability = 1e-9;
  const MaskedBatch batch = data::MaskedBatches(counting_stream(400), options).next();
  int chosen = 0;
  for (const TokenId target : batch.targets.to_vector()) chosen += target != ignore_index;
  CHECK(chosen == 1);
}

TEST_CASE("MaskedBatches: what cannot work is refused") {
  const auto refused = [](auto change) {
    data::MaskedBatchesOptions options = masked_options();
    change(options);
    return message_of<ConfigError>([&] { data::MaskedBatches(counting_stream(400), options); });
  };
  CHECK(refused([](auto& o) { o.block_size = 4; }) ==
        "[MaskedBatches] batch_size must be positive and block_size 5 or more, got 16 and 4");
  CHECK(refused([](auto& o) { o.mask_probability = 1; }) ==
        "[MaskedBatches] mask_probability must be above 0 and below 1, got 1");
  CHECK(refused([](auto& o) { o.mask = -1; }) == "[MaskedBatches] cls, sep and mask must be tokens, got -1");
  CHECK(refused([](auto& o) { o.vocab_size = 0; }) == "[MaskedBatches] vocab_size must be positive, got 0");
  CHECK(message_of<DataError>([] { data::MaskedBatches(counting_stream(37), masked_options()); }) ==
        "[TokenBatches] dataset has 37 tokens, block size needs 38");
}
