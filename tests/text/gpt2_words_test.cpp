// GPT-2's pre-tokenizer: where it cuts.

#include "gptlite/text/gpt2_words.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/fixture.hpp"
#include "support/throws.hpp"

using namespace gptlite;
using Words = std::vector<std::string>;

namespace {
Words words(std::string_view text, std::size_t begin = 0, std::size_t end = std::string_view::npos) {
  Words found;
  text::for_each_gpt2_word(text, begin, std::min(end, text.size()),
                           [&](std::string_view word) { found.emplace_back(word); });
  return found;
}
}  // namespace

TEST_CASE("words, numbers and the rest, each with one space before it") {
  CHECK(words("") == Words{});
  CHECK(words("Hello world") == Words{"Hello", " world"});
  CHECK(words("ab12 34,. c") == Words{"ab", "12", " 34", ",.", " c"});
}

TEST_CASE("contractions in lower case, where nothing stands before the apostrophe") {
  CHECK(words("it's we'll'd") == Words{"it", "'s", " we", "'ll", "'d"});
  CHECK(words("x'save") == Words{"x", "'s", "ave"});
  CHECK(words("IT'S 's ''s") == Words{"IT", "'", "S", " '", "s", " ''", "s"});
  CHECK(words("'r") == Words{"'", "r"});
}

TEST_CASE("white space leaves its last to the word behind it") {
  CHECK(words("a   b") == Words{"a", "  ", " b"});
  CHECK(words("a \n b") == Words{"a", " \n", " b"});
  CHECK(words("a\n\nb") == Words{"a", "\n", "\n", "b"});
  CHECK(words("a\nb") == Words{"a", "\n", "b"});
  CHECK(words("a  ") == Words{"a", "  "});
  CHECK(words(" ") == Words{" "});
  CHECK(words(" \u00A0a") == Words{" ", "\u00A0", "a"});
}

TEST_CASE("a part of a text is cut as if it were alone") {
  CHECK(words("ab  cd", 1, 4) == Words{"b", "  "});
  CHECK(message_of<DataError>([] { words("ab\xC3\xA4", 1, 3); }) == "[utf8] invalid UTF-8 at byte 2");
}

TEST_CASE("hard texts are cut as in the Python package") {
  const nlohmann::json fixture = read_fixture("tokenizers.json");
  for (std::size_t i = 0; i < fixture["texts"].size(); ++i) {
    CAPTURE(i);
    CHECK(words(fixture["texts"][i].get<std::string>()) == fixture["gpt2_words"][i].get<Words>());
  }
}
