// WordCache: the tokens of a word seen before, without encoding it again.

#include "gptlite/text/word_cache.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace gptlite;

TEST_CASE("words give their tokens, the known ones without being encoded") {
  std::vector<TokenId> tokens;
  int encoded = 0;
  const auto encode = [&](std::string_view word) {
    ++encoded;
    tokens.insert(tokens.end(), word.size(), static_cast<TokenId>(word[0]));
  };
  text::WordCache cache(1 << 10);
  cache.append("aaa", tokens, encode);
  cache.append("aaa", tokens, encode);
  cache.append(std::string("aaa"), tokens, encode);
  CHECK(encoded == 1);
  CHECK(tokens == std::vector<TokenId>(9, 'a'));
}

TEST_CASE("words that share the one slot of a small cache replace each other") {
  std::vector<TokenId> tokens;
  const auto encode = [&](std::string_view word) { tokens.push_back(static_cast<TokenId>(word[0])); };
  text::WordCache cache(0);
  for (const char* word : {"a", "b", "b", "a"}) cache.append(word, tokens, encode);
  CHECK(tokens == std::vector<TokenId>{'a', 'b', 'b', 'a'});
}

TEST_CASE("a word may have no tokens") {
  std::vector<TokenId> tokens;
  text::WordCache cache(0);
  for (int i = 0; i < 2; ++i) cache.append("a", tokens, [](std::string_view) {});
  CHECK(tokens.empty());
}
