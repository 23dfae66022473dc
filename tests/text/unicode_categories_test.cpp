// Categories of code points: all of them as the Python package tells them apart.

#include "gptlite/text/unicode_categories.hpp"

#include <doctest/doctest.h>

#include "support/fixture.hpp"
#include "support/hash.hpp"

using namespace gptlite;
using text::Category;
using text::category;

TEST_CASE("code points are letters, numbers, white space or others") {
  CHECK(category(U'a') == Category::letter);
  CHECK(category(U'\u00E9') == Category::letter);
  CHECK(category(U'\u6F22') == Category::letter);
  CHECK(category(U'7') == Category::number);
  CHECK(category(U'\u0663') == Category::number);
  CHECK(category(U'\u2167') == Category::number);
  CHECK(category(U'\n') == Category::white_space);
  CHECK(category(U'\u0085') == Category::white_space);
  CHECK(category(U'\u3000') == Category::white_space);
  CHECK(category(U'\u200B') == Category::other);
  CHECK(category(U'\u0301') == Category::other);
  CHECK(category(U'\0') == Category::other);
  CHECK(category(0x10FFFF) == Category::other);
  CHECK(category(0xFFFFFFFF) == Category::other);
}

TEST_CASE("all code points are as in the Python package") {
  const nlohmann::json fixture = read_fixture("tokenizers.json");
  Hash categories, punctuation;
  for (char32_t point = 0; point < 0x110000; ++point) {
    if (point >= 0xD800 && point < 0xE000) continue;
    categories.add(static_cast<std::uint32_t>(category(point)));
    // How many pieces BERT's pre-tokenizer makes of a word with the code point inside.
    const bool space = category(point) == Category::white_space;
    punctuation.add(text::contains(text::unicode::punctuation, point) ? 3 : space ? 2 : 1);
  }
  CHECK(categories.value == fixture["categories_hash"].get<std::uint64_t>());
  CHECK(punctuation.value == fixture["punctuation_hash"].get<std::uint64_t>());
}
