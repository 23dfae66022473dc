// matches: what * and ? stand for.

#include "gptlite/nn/glob.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace gptlite;

TEST_CASE("a pattern without * and ? is the name itself") {
  CHECK(matches("", ""));
  CHECK(matches("wte.weight", "wte.weight"));
  CHECK_FALSE(matches("wte.weight", "wte"));
  CHECK_FALSE(matches("wte", "wte.weight"));
  CHECK_FALSE(matches("wteXweight", "wte.weight"));  // a dot is a dot
  CHECK_FALSE(matches("Wte", "wte"));
  CHECK_FALSE(matches("wte", ""));
}

TEST_CASE("* stands for any characters or none") {
  CHECK(matches("", "*"));
  CHECK(matches("", "***"));
  CHECK(matches("h.0.attn.c_attn.weight", "*"));
  CHECK(matches("h.0.attn.c_attn.weight", "h.0.*"));
  CHECK(matches("h.0.", "h.0.*"));
  CHECK_FALSE(matches("h.10.attn", "h.0.*"));
  CHECK(matches("h.0.attn.c_attn", "*attn.c_attn"));
  CHECK_FALSE(matches("h.0.attn.c_attn.weight", "*attn.c_attn"));
  CHECK(matches("h.0.attn.c_attn.weight", "*.c_attn.*"));
  CHECK(matches("h.0.attn.c_attn.weight", "h*attn*weight"));
  CHECK(matches("aab", "*ab"));  // the first fit of a star is not the last
  CHECK(matches("abcabcabd", "*abc*abd"));
  CHECK(matches("mississippi", "m*iss*ip*i"));
  CHECK_FALSE(matches("mississippi", "m*iss*ip*x"));
  CHECK_FALSE(matches("abc", "*abcd"));
  CHECK(matches("abc", "a**c*"));
}

TEST_CASE("? stands for one character") {
  CHECK(matches("h.3.ln_1.bias", "h.?.ln_?.bias"));
  CHECK_FALSE(matches("h.13.ln_1.bias", "h.?.ln_?.bias"));
  CHECK_FALSE(matches("", "?"));
  CHECK_FALSE(matches("ab", "???"));
  CHECK(matches("abc", "*?"));
  CHECK(matches("abc", "?*c"));
  CHECK_FALSE(matches("ac", "?*?*?"));
}

TEST_CASE("many stars take no exponential time") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  CHECK_FALSE(matches(std::string(5000, 'a') + 'b', pattern));
  CHECK(matches(std::string(5000, 'a'), pattern));
}

TEST_CASE("one of several patterns is enough") {
  CHECK(matches_any("b", {"a", "b"}));
  CHECK_FALSE(matches_any("c", {"a", "b"}));
  CHECK_FALSE(matches_any("c", {}));
}
