// StopTexts: stop texts are found however the text is cut into pieces, and nothing of them is ever handed on.

#include "gptlite/generate/stop_texts.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

struct Watched {
  std::string shown, stop_text;
  bool operator==(const Watched&) const = default;
};

Watched watch(StopTexts stops, const std::string& text, std::size_t piece) {
  Watched result;
  for (std::size_t at = 0; at < text.size(); at += piece) result.shown += stops.next(text.substr(at, piece));
  result.shown += stops.finish();
  result.stop_text = stops.stop_text();
  CHECK(stops.found() == !result.stop_text.empty());
  return result;
}

// The earliest end of a stop text counts, and of those that end there the longest.
Watched by_definition(const std::vector<std::string>& stops, const std::string& text) {
  for (std::size_t end = 0; end <= text.size(); ++end) {
    std::string longest;
    for (const std::string& stop : stops)
      if (text.substr(0, end).ends_with(stop) && stop.size() > longest.size()) longest = stop;
    if (!longest.empty()) return {text.substr(0, end - longest.size()), longest};
  }
  return {text, ""};
}

}  // namespace

TEST_CASE("a stop text is found across pieces, and what may become one is held back") {
  StopTexts stops({"User:", "\n\n"});
  CHECK(stops.next("Hello Us") == "Hello ");
  CHECK(stops.next("e") == "");
  CHECK(stops.next("d to it\n") == "Used to it");
  CHECK(stops.next("U") == "\n");
  CHECK_FALSE(stops.found());
  CHECK(stops.next("ser: what?") == "");
  CHECK(stops.found());
  CHECK(stops.stop_text() == "User:");
  CHECK(stops.next("more") == "");
  CHECK(stops.finish() == "");
}

TEST_CASE("the end of the text gives out what was held back") {
  StopTexts stops({"stop"});
  CHECK(stops.next("do not sto") == "do not ");
  CHECK(stops.finish() == "sto");
  CHECK(stops.finish() == "");
  CHECK_FALSE(stops.found());
  StopTexts none({});
  CHECK(none.next("all of it") == "all of it");
  CHECK(none.finish() == "");
}

TEST_CASE("any way of cutting any text gives what the definition says") {
  const std::vector<std::vector<std::string>> all_stops = {
      {"ab"}, {"aab"}, {"abab", "bb"}, {"abc", "b"}, {"bc", "abc"}, {"aabaa", "cb"}, {"cc", "cab", "caa"}};
  for (const std::vector<std::string>& stops : all_stops)
    for (int code = 0; code < 2187; ++code) {  // all texts of 7 letters out of a, b, c
      std::string text;
      for (int i = 0, rest = code; i < 7; ++i, rest /= 3) text += static_cast<char>('a' + rest % 3);
      const Watched expected = by_definition(stops, text);
      for (const std::size_t piece : std::vector<std::size_t>{1, 2, 3, 7})
        if (watch(StopTexts(stops), text, piece) != expected) FAIL_CHECK(stops[0], " in ", text, ", pieces of ", piece);
    }
}

TEST_CASE("characters of several bytes are held back and handed on whole") {
  StopTexts stops({"né", "→x"});
  CHECK(stops.next("naïve ") == "naïve ");
  CHECK(stops.next("n") == "");
  CHECK(stops.next("è") == "nè");  // shares the first byte with é
  CHECK(stops.next("→") == "");
  CHECK(stops.next("→") == "→");
  CHECK(stops.next("日本n") == "→日本");
  CHECK(stops.next("é") == "");
  CHECK(stops.stop_text() == "né");
}

TEST_CASE("stop texts that cannot work are refused") {
  CHECK(message_of<ConfigError>([] {
          StopTexts({"a", ""});
        }) == "[StopTexts] a stop text is empty: it would end every text at once");
  CHECK(message_of<ConfigError>([] { StopTexts({"ab\xC3"}); }) ==
        "[StopTexts] the stop text \"ab\xC3\" is not UTF-8 at byte 2");
}
