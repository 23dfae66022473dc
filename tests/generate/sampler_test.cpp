// Sampler: greedy choice, the cuts top_k and top_p, and how often each token is drawn.

#include "gptlite/generate/sampler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

constexpr int draws = 40000;

// How often each token is drawn.
template <class T>
std::vector<int> counts(const std::vector<T>& logits, SamplerOptions options) {
  Sampler sampler(options);
  std::vector<int> count(logits.size());
  for (int i = 0; i < draws; ++i)
    ++count.at(static_cast<std::size_t>(sampler(logits.data(), static_cast<Index>(logits.size()))));
  return count;
}

// True if a token of probability p was drawn `count` times, give or take five standard deviations; never if p is 0.
bool likely(int count, double p) { return std::abs(count - draws * p) <= 5 * std::sqrt(draws * p * (1 - p)); }

// Logits of the probabilities 0.1, 0.5, 0.15, 0.25 (and an offset that softmax does not see).
const std::vector<double> some_logits{std::log(0.1) + 7, std::log(0.5) + 7, std::log(0.15) + 7, std::log(0.25) + 7};

}  // namespace

TEST_CASE("temperature 0 takes the likeliest token and of equals the lower") {
  Sampler sampler({.temperature = 0});
  const std::vector<float> logits{1, 3, 2, 3};
  for (int i = 0; i < 10; ++i) CHECK(sampler(logits.data(), 4) == 1);
  CHECK(sampler(logits.data(), 1) == 0);
}

TEST_CASE("top_k 1 and a tiny top_p and a tiny temperature all take the likeliest token") {
  for (const SamplerOptions options :
       {SamplerOptions{.top_k = 1}, SamplerOptions{.top_p = 1e-9}, SamplerOptions{.temperature = 1e-6}})
    CHECK(counts(some_logits, options) == std::vector<int>{0, draws, 0, 0});
}

TEST_CASE("tokens are drawn with the probabilities of their logits") {
  for (const SamplerOptions options : {SamplerOptions{}, SamplerOptions{.top_k = 4}, SamplerOptions{.top_k = 100}}) {
    const std::vector<int> count = counts(some_logits, options);
    CHECK(likely(count[0], 0.1));
    CHECK(likely(count[1], 0.5));
    CHECK(likely(count[2], 0.15));
    CHECK(likely(count[3], 0.25));
  }
}

TEST_CASE("temperature divides the logits") {
  const std::vector<int> count = counts(some_logits, {.temperature = 0.5});  // probabilities squared
  const double total = 0.01 + 0.25 + 0.0225 + 0.0625;
  CHECK(likely(count[0], 0.01 / total));
  CHECK(likely(count[1], 0.25 / total));
  CHECK(likely(count[2], 0.0225 / total));
  CHECK(likely(count[3], 0.0625 / total));
}

TEST_CASE("top_k keeps the k likeliest tokens") {
  const std::vector<int> count = counts(some_logits, {.top_k = 2});
  CHECK(count[0] == 0);
  CHECK(likely(count[1], 0.5 / 0.75));
  CHECK(count[2] == 0);
  CHECK(likely(count[3], 0.25 / 0.75));
}

TEST_CASE("top_p keeps the likeliest tokens until their probabilities reach p") {
  const std::vector<int> two = counts(some_logits, {.top_p = 0.7});  // 0.5 is not enough, 0.75 is
  CHECK(two[0] == 0);
  CHECK(likely(two[1], 0.5 / 0.75));
  CHECK(two[2] == 0);
  CHECK(likely(two[3], 0.25 / 0.75));
  const std::vector<int> three = counts(some_logits, {.top_p = 0.8});
  CHECK(three[0] == 0);
  CHECK(likely(three[2], 0.15 / 0.9));
}

TEST_CASE("top_p of many tokens keeps what sorting them all would") {
  std::vector<double> many(300);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = 3 * std::sin(static_cast<double>(i * i));
  for (const double p : {0.3, 0.9, 0.99}) {
    std::vector<double> sorted = many;
    std::sort(sorted.rbegin(), sorted.rend());
    double whole = 0, kept = 0;
    for (const double logit : sorted) whole += std::exp(logit);
    std::size_t size = 0;
    while (kept < p * whole) kept += std::exp(sorted[size++]);
    const std::vector<int> count = counts(many, {.top_p = p});
    for (std::size_t i = 0; i < many.size(); ++i) {
      CAPTURE(i);
      CHECK(likely(count[i], many[i] >= sorted[size - 1] ? std::exp(many[i]) / kept : 0));
    }
  }
}

TEST_CASE("top_p counts the probabilities that top_k has left") {
  // Of 0.5, 0.25 and 0.15 the first two are 0.83 of the whole; of all four they are 0.75.
  const std::vector<int> count = counts(some_logits, {.top_k = 3, .top_p = 0.8});
  CHECK(count[2] == 0);
  CHECK(likely(count[3], 0.25 / 0.75));
}

TEST_CASE("min_p keeps the tokens that are of probability min_p times the largest or more") {
  const std::vector<int> count = counts(some_logits, {.min_p = 0.4});  // of 0.5: 0.25 stays, 0.15 does not
  CHECK(count[0] == 0);
  CHECK(likely(count[1], 0.5 / 0.75));
  CHECK(count[2] == 0);
  CHECK(likely(count[3], 0.25 / 0.75));
}

TEST_CASE("the repetition penalty divides positive logits of the sequence's tokens and multiplies negative, once") {
  const std::vector<float> logits{2, 3, -1, -1};
  const std::vector<TokenId> sequence{1, 1, 1, 2};
  Sampler greedy({.temperature = 0, .repetition_penalty = 1.6});
  CHECK(greedy(logits.data(), 4) == 1);
  CHECK(greedy(logits.data(), 4, sequence) == 0);
  Sampler mild({.temperature = 0, .repetition_penalty = 1.4});  // 3 / 1.4 is still more than 2; once only
  CHECK(mild(logits.data(), 4, sequence) == 1);
  const std::vector<float> negative{-2, -1};
  CHECK(Sampler({.temperature = 0, .repetition_penalty = 3})(negative.data(), 2, std::vector<TokenId>{1}) == 0);
}

TEST_CASE("of equal logits the cuts keep the lower tokens") {
  const std::vector<float> equal(5, 1);
  const std::vector<int> count = counts(equal, {.top_k = 2});
  CHECK(likely(count[0], 0.5));
  CHECK(count[0] + count[1] == draws);
  CHECK(counts(equal, {.top_p = 0.35})[2] == 0);
}

TEST_CASE("logits may be far apart and impossible tokens are never drawn") {
  const std::vector<float> far{-1e30F, 1e4F, 0};
  CHECK(counts(far, {})[1] == draws);
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<int> count = counts(std::vector<float>{-infinity, 0, -infinity, 0, -infinity}, {});
  CHECK(count[1] + count[3] == draws);
  CHECK(likely(count[1], 0.5));
}

TEST_CASE("logits that differ a little nearly always lead to the same token") {
  std::vector<double> exact(1000), rough(1000);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    exact[i] = -0.02 * static_cast<double>(i * 7 % 1000);
    rough[i] = exact[i] + 0.01 * std::cos(static_cast<double>(7 * i));  // 0.3% of the probability is elsewhere
  }
  for (const SamplerOptions options : {SamplerOptions{}, SamplerOptions{.top_k = 50}, SamplerOptions{.top_p = 0.9}}) {
    Sampler one(options), other(options);
    int same = 0;
    for (int i = 0; i < 2000; ++i) same += one(exact.data(), 1000) == other(rough.data(), 1000);
    CAPTURE(same);
    CHECK(same > 1950);
    CHECK(same < 2000);
  }
}

TEST_CASE("the same seed draws the same tokens") {
  const auto drawn = [](std::uint64_t seed) {
    Sampler sampler({.seed = seed});
    std::vector<TokenId> tokens;
    for (int i = 0; i < 100; ++i) tokens.push_back(sampler(some_logits.data(), 4));
    return tokens;
  };
  CHECK(drawn(1) == drawn(1));
  CHECK(drawn(1) != drawn(2));
}

TEST_CASE("logits that are not numbers are refused") {
  Sampler sampler({});
  const std::vector<float> bad = {1, 2, std::numeric_limits<float>::quiet_NaN()};
  CHECK(message_of<DataError>([&] { sampler(bad.data(), 3); }) ==
        "[Sampler] the logit of token 2 is not a number: has the model diverged?");
}

TEST_CASE("sampler options that cannot work are refused with their values") {
  const auto refusal = [](SamplerOptions options) {
    return message_of<ConfigError>([&] { Sampler sampler(options); });
  };
  CHECK(refusal({.temperature = -1}) == "[Sampler] temperature must be 0 or positive, got -1");
  CHECK(refusal({.top_k = -2}) == "[Sampler] top_k must be 0 (all) or positive, got -2");
  CHECK(refusal({.top_p = 0}) == "[Sampler] top_p must be above 0 and at most 1, got 0");
  CHECK(refusal({.top_p = 1.5}) == "[Sampler] top_p must be above 0 and at most 1, got 1.5");
  CHECK(refusal({.min_p = 1.5}) == "[Sampler] min_p must be in 0..1, got 1.5");
  CHECK(refusal({.repetition_penalty = 0}) == "[Sampler] repetition_penalty must be positive, got 0");
}
