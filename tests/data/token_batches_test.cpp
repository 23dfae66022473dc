// TokenBatches: windows and their targets, epochs, resuming, and what it refuses; split.

#include "gptlite/data/token_batches.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;
using Tokens = std::vector<TokenId>;

namespace {

Tokens counting(std::size_t size) {
  Tokens tokens(size);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

// The first tokens of the next `count` windows, drawn one a batch.
Tokens starts(data::TokenBatches& batches, Index count) {
  Tokens first;
  for (Index i = 0; i < count; ++i) first.push_back(batches.next().inputs.at({0, 0}));
  return first;
}

}  // namespace

TEST_CASE("a batch holds windows and the token after each of theirs") {
  data::TokenBatches batches(counting(100), {.batch_size = 3, .block_size = 7});
  CHECK(batches.size() == 100);
  CHECK(batches.options().block_size == 7);
  for (int i = 0; i < 50; ++i) {
    const data::Batch batch = batches.next();
    REQUIRE(batch.inputs.shape() == Shape{3, 7});
    REQUIRE(batch.targets.shape() == Shape{3, 7});
    for (Index b = 0; b < 3; ++b)
      for (Index t = 0; t < 7; ++t) {
        REQUIRE(batch.inputs.at({b, t}) == batch.inputs.at({b, 0}) + t);
        REQUIRE(batch.targets.at({b, t}) == batch.inputs.at({b, t}) + 1);
      }
  }
}

TEST_CASE("an epoch visits every window once in random order at a new offset") {
  data::TokenBatches batches(counting(1000), {.batch_size = 1, .block_size = 8});
  CHECK(batches.windows_per_epoch() == 126);
  std::set<TokenId> offsets;
  std::set<Tokens> orders;
  for (int epoch = 0; epoch < 40; ++epoch) {
    Tokens order = starts(batches, batches.windows_per_epoch());
    orders.insert(order);
    CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    CHECK(order.front() == 0);
    CHECK(order.back() == 1000 - 1 - 8);
    for (std::size_t i = 1; i < order.size(); ++i) REQUIRE(order[i] - order[i - 1] <= 8);  // no target is left out
    for (std::size_t i = 2; i < 124; ++i) REQUIRE(order[i] - order[i - 1] == 8);           // inside, none comes twice
    offsets.insert(order[1] % 8);
  }
  CHECK(orders.size() == 40u);
  CHECK(offsets == std::set<TokenId>{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("every token but the first is a target in every epoch, whatever the sizes") {
  for (const std::size_t size : {5u, 6u, 9u, 12u, 13u, 100u}) {
    data::TokenBatches batches(counting(size), {.batch_size = 1, .block_size = 4});
    for (int epoch = 0; epoch < 20; ++epoch) {
      std::set<TokenId> targets;
      for (Index i = 0; i < batches.windows_per_epoch(); ++i)
        for (const TokenId target : batches.next().targets.to_vector()) targets.insert(target);
      REQUIRE(targets.size() == size - 1);
    }
  }
}

TEST_CASE("the smallest streams give every window they have") {
  const auto seen = [](std::size_t size) {
    data::TokenBatches batches(counting(size), {.batch_size = 1, .block_size = 4});
    const Tokens first = starts(batches, 200);
    return std::set<TokenId>(first.begin(), first.end());
  };
  CHECK(seen(5) == std::set<TokenId>{0});
  CHECK(seen(6) == std::set<TokenId>{0, 1});
  CHECK(seen(8) == std::set<TokenId>{0, 1, 2, 3});
}

TEST_CASE("batches depend on the seed and on nothing else") {
  const auto drawn = [](std::uint64_t seed, Index batch_size) {
    data::TokenBatches batches(counting(500), {.batch_size = batch_size, .block_size = 5, .seed = seed});
    Tokens tokens;
    for (Index i = 0; i < 240 / batch_size; ++i) {
      const Tokens inputs = batches.next().inputs.to_vector();
      tokens.insert(tokens.end(), inputs.begin(), inputs.end());
    }
    return tokens;
  };
  CHECK(drawn(1, 4) == drawn(1, 4));
  CHECK(drawn(1, 4) == drawn(1, 3));
  CHECK(drawn(1, 4) != drawn(2, 4));
}

TEST_CASE("a position resumes with the same batches in any epoch") {
  data::TokenBatches batches(counting(60), {.batch_size = 2, .block_size = 4});
  for (int i = 0; i < 20; ++i) batches.next();
  CHECK(batches.position() == 40);
  const Tokens expected = starts(batches, 30);
  data::TokenBatches resumed(counting(60), {.batch_size = 2, .block_size = 4});
  resumed.set_position(40);
  CHECK(starts(resumed, 30) == expected);
  batches.set_position(40);
  CHECK(starts(batches, 30) == expected);
  CHECK(message_of<ConfigError>([&] { batches.set_position(-1); }) ==
        "[TokenBatches] position must be in 0..2^62, got -1");
}

TEST_CASE("streams without one whole window and its last target are refused") {
  CHECK(message_of<DataError>([] { data::TokenBatches(counting(4), {.batch_size = 1, .block_size = 4}); }) ==
        "[TokenBatches] dataset has 4 tokens, block size needs 5");
  CHECK(message_of<DataError>([] { data::TokenBatches({}, {}); }) ==
        "[TokenBatches] dataset has 0 tokens, block size needs 65");
}

TEST_CASE("batches and blocks must hold something") {
  CHECK(message_of<ConfigError>([] { data::TokenBatches(counting(9), {.batch_size = 0, .block_size = 4}); }) ==
        "[TokenBatches] batch_size and block_size must be positive, got 0 and 4");
  CHECK(message_of<ConfigError>([] { data::TokenBatches(counting(9), {.batch_size = 2, .block_size = -1}); }) ==
        "[TokenBatches] batch_size and block_size must be positive, got 2 and -1");
}

TEST_CASE("split keeps the order and loses no token") {
  const auto [train, valid] = data::split(counting(10), 0.75);
  CHECK(train == Tokens{0, 1, 2, 3, 4, 5, 6, 7});  // 7.5 tokens
  CHECK(valid == Tokens{8, 9});
  CHECK(data::split(counting(100), 0.29).first.size() == 29u);  // 0.29 * 100 is a little less than 29
  CHECK(data::split(counting(10), 0).first.empty());
  CHECK(data::split(counting(10), 1).second.empty());
  CHECK(data::split({}, 0.5).first.empty());
}

TEST_CASE("split refuses fractions outside 0 to 1") {
  CHECK(message_of<ConfigError>([] { data::split({1, 2}, 1.5); }) == "[split] fraction must be in 0..1, got 1.5");
  CHECK(message_of<ConfigError>([] { data::split({1, 2}, -0.5); }) == "[split] fraction must be in 0..1, got -0.5");
}
