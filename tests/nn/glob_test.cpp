// matches: what * and ? stand for.

#include "gptlite/nn/glob.hpp"

#include <doctest/doctest.h>

#include <string>

#include "support/throws.hpp"

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

TEST_CASE("names are listed with * for their numbers, each once") {
  CHECK(detail::without_numbers("h.10.ln_1.bias") == "h.*.ln_1.bias");
  CHECK(detail::without_numbers("grid.0.12") == "grid.*.*");
  CHECK(detail::without_numbers("wte") == "wte");
  CHECK(detail::without_numbers("a..b.") == "a..b.");
  CHECK(detail::without_numbers("").empty());
  CHECK(message_of<ConfigError>([] {
          detail::check_patterns("here", "layer", {"h.0.a", "h.0.b", "h.1.a", "h.1.b", "c"}, {"h.1.*", "d", "e"});
        }) == "[here] no layer matches \"d\"; there are h.*.a, h.*.b, c");
  CHECK(message_of<ConfigError>([] { detail::check_patterns("here", "layer", {"a.0", "a.1"}, {"a"}); }) ==
        "[here] no layer matches \"a\"; there is a.*");
  CHECK(message_of<ConfigError>([] { detail::check_patterns("here", "layer", {}, {"*"}); }) ==
        "[here] no layer matches \"*\"; there are none");
  CHECK(message_of<ConfigError>([] { detail::check_patterns("here", "layer", {"a"}, {}); }) ==
        "[here] no pattern is given");
  CHECK_NOTHROW(detail::check_patterns("here", "layer", {"h.0.a", "c"}, {"c", "h.*"}));
}
