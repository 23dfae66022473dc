// matches: what * and ? stand for.

#include "gptlite/nn/glob.hpp"

#include <doctest/doctest.h>

#include <string>

#include "support/throws.hpp"

using namespace gptlite;

TEST_CASE("a pattern without * and ? is the name itself") {
  CHECK(glob_match("", ""));
  CHECK(glob_match("wte.weight", "wte.weight"));
  CHECK_FALSE(glob_match("wte.weight", "wte"));
  CHECK_FALSE(glob_match("wte", "wte.weight"));
  CHECK_FALSE(glob_match("wteXweight", "wte.weight"));  // a dot is a dot
  CHECK_FALSE(glob_match("Wte", "wte"));
  CHECK_FALSE(glob_match("wte", ""));
}

TEST_CASE("* stands for any characters or none") {
  CHECK(glob_match("", "*"));
  CHECK(glob_match("", "***"));
  CHECK(glob_match("h.0.attn.c_attn.weight", "*"));
  CHECK(glob_match("h.0.attn.c_attn.weight", "h.0.*"));
  CHECK(glob_match("h.0.", "h.0.*"));
  CHECK_FALSE(glob_match("h.10.attn", "h.0.*"));
  CHECK(glob_match("h.0.attn.c_attn", "*attn.c_attn"));
  CHECK_FALSE(glob_match("h.0.attn.c_attn.weight", "*attn.c_attn"));
  CHECK(glob_match("h.0.attn.c_attn.weight", "*.c_attn.*"));
  CHECK(glob_match("h.0.attn.c_attn.weight", "h*attn*weight"));
  CHECK(glob_match("aab", "*ab"));  // the first fit of a star is not the last
  CHECK(glob_match("abcabcabd", "*abc*abd"));
  CHECK(glob_match("mississippi", "m*iss*ip*i"));
  CHECK_FALSE(glob_match("mississippi", "m*iss*ip*x"));
  CHECK_FALSE(glob_match("abc", "*abcd"));
  CHECK(glob_match("abc", "a**c*"));
}

TEST_CASE("? stands for one character") {
  CHECK(glob_match("h.3.ln_1.bias", "h.?.ln_?.bias"));
  CHECK_FALSE(glob_match("h.13.ln_1.bias", "h.?.ln_?.bias"));
  CHECK_FALSE(glob_match("", "?"));
  CHECK_FALSE(glob_match("ab", "???"));
  CHECK(glob_match("abc", "*?"));
  CHECK(glob_match("abc", "?*c"));
  CHECK_FALSE(glob_match("ac", "?*?*?"));
}

TEST_CASE("many stars take no exponential time") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  CHECK_FALSE(glob_match(std::string(5000, 'a') + 'b', pattern));
  CHECK(glob_match(std::string(5000, 'a'), pattern));
}

TEST_CASE("one of several patterns is enough") {
  CHECK(glob_match_any("b", {"a", "b"}));
  CHECK_FALSE(glob_match_any("c", {"a", "b"}));
  CHECK_FALSE(glob_match_any("c", {}));
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
  CHECK(message_of<ConfigError>([] {
          detail::check_patterns("here", "layer", {"a.0", "a.1"}, {"a"});
        }) == "[here] no layer matches \"a\"; there is a.*");
  CHECK(message_of<ConfigError>([] { detail::check_patterns("here", "layer", {}, {"*"}); }) ==
        "[here] no layer matches \"*\"; there are none");
  CHECK(message_of<ConfigError>([] { detail::check_patterns("here", "layer", {"a"}, {}); }) ==
        "[here] no pattern is given");
  CHECK_NOTHROW(detail::check_patterns("here", "layer", {"h.0.a", "c"}, {"c", "h.*"}));
}
