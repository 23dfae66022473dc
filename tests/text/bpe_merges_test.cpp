// BpeMerges: the order of merges, and long words in reasonable time.

#include "gptlite/text/bpe_merges.hpp"

#include <doctest/doctest.h>

using namespace gptlite;
using Tokens = std::vector<TokenId>;

namespace {
Tokens merged(const text::BpeMerges& merges, Tokens tokens, std::size_t begin = 0) {
  merges.apply(tokens, begin);
  return tokens;
}
}  // namespace

TEST_CASE("the pair of the lowest rank is merged first") {
  const text::BpeMerges merges({{1, 2, 10}, {0, 1, 11}});
  CHECK(merged(merges, {0, 1, 2}) == Tokens{0, 10});
  CHECK(merged(merges, {0, 1, 0}) == Tokens{11, 0});
  CHECK(merged(text::BpeMerges({{0, 1, 11}, {1, 2, 10}}), {0, 1, 2}) == Tokens{11, 2});
}

TEST_CASE("equal pairs are merged from the left") {
  const text::BpeMerges merges({{0, 0, 1}});
  CHECK(merged(merges, {0, 0, 0}) == Tokens{1, 0});
  CHECK(merged(merges, {0, 0, 0, 0}) == Tokens{1, 1});
}

TEST_CASE("a token that was merged away takes no part any more") {
  // The pair of 0 and 1, and that of the second and third 0, wait in the queue when one of them is merged away.
  CHECK(merged(text::BpeMerges({{1, 2, 10}, {0, 1, 11}, {0, 10, 12}}), {0, 1, 2}) == Tokens{12});
  CHECK(merged(text::BpeMerges({{0, 0, 2}, {1, 3, 4}, {0, 4, 5}}), {0, 0, 0, 1, 3}) == Tokens{2, 5});
}

TEST_CASE("merges build on merges, and what a merge makes can have a lower rank than the next in line") {
  CHECK(merged(text::BpeMerges({{0, 1, 5}, {5, 2, 6}, {6, 6, 7}}), {0, 1, 2, 0, 1, 2}) == Tokens{7});
  // (5, 5) is first as soon as there are two 5.
  CHECK(merged(text::BpeMerges({{5, 5, 6}, {0, 0, 5}}), {0, 0, 0, 0, 0, 0}) == Tokens{6, 5});
  CHECK(merged(text::BpeMerges({{5, 0, 6}, {0, 0, 5}}), {0, 0, 0, 0, 0, 0}) == Tokens{6, 6});
}

TEST_CASE("tokens before the word stay, and words of nothing or one token") {
  const text::BpeMerges merges({{0, 0, 1}});
  CHECK(merged(merges, {0, 0, 0, 0}, 2) == Tokens{0, 0, 1});
  CHECK(merged(merges, {0, 0, 0}, 1) == Tokens{0, 1});
  CHECK(merged(merges, {0, 0}, 2) == Tokens{0, 0});
  CHECK(merged(merges, {}) == Tokens{});
  CHECK(merged(text::BpeMerges(), {0, 0}) == Tokens{0, 0});
}

TEST_CASE("of a pair that occurs twice the last counts") {
  CHECK(merged(text::BpeMerges({{0, 1, 5}, {1, 2, 6}, {0, 1, 7}}), {0, 1, 2}) == Tokens{0, 6});
  CHECK(merged(text::BpeMerges({{0, 1, 5}, {1, 2, 6}, {0, 1, 7}}), {0, 1}) == Tokens{7});
}

TEST_CASE("a word of a million tokens is merged, which a quadratic algorithm would not finish") {
  std::vector<text::BpeMerge> doubling;
  for (TokenId i = 0; i < 20; ++i) doubling.push_back({i, i, i + 1});
  CHECK(merged(text::BpeMerges(doubling), Tokens(1 << 20, 0)) == Tokens{20});
}
