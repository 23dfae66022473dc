// BERT's normalizer: single cases, and all code points as the Python package normalizes them.

#include "gptlite/text/bert_normalizer.hpp"

#include <doctest/doctest.h>

#include <string>

#include "support/fixture.hpp"
#include "support/hash.hpp"

using namespace gptlite;

namespace {
std::u32string normalized(char32_t point) {
  std::u32string points;
  text::bert_normalize(point, [&](char32_t p) { points.push_back(p); });
  return points;
}
}  // namespace

TEST_CASE("case, accents, control characters, spaces, Hangul and Chinese") {
  CHECK(normalized(U'A') == U"a");
  CHECK(normalized(U'\u00C9') == U"e");
  CHECK(normalized(U'\u0130') == U"i");  // a capital I with a dot
  CHECK(normalized(U'\u00C6') == U"\u00E6");
  CHECK(normalized(U'\u0301') == U"");
  CHECK(normalized(U'\0') == U"");
  CHECK(normalized(U'\v') == U"");
  CHECK(normalized(U'\uFFFD') == U"");
  CHECK(normalized(U'\t') == U" ");
  CHECK(normalized(U'\u00A0') == U" ");
  CHECK(normalized(U'\uAC00') == U"\u1100\u1161");
  CHECK(normalized(U'\uAC01') == U"\u1100\u1161\u11A8");
  CHECK(normalized(U'\u6F22') == U" \u6F22 ");
  CHECK(normalized(U'\uF900') == U" \u8C48 ");
  CHECK(normalized(U'\u09CB') == U"\u09C7\u09BE");
}

TEST_CASE("all code points are normalized as in the Python package") {
  Hash hash;
  for (char32_t point = 0; point < 0x110000; ++point) {
    if (point >= 0xD800 && point < 0xE000) continue;
    text::bert_normalize(point, [&](char32_t p) { hash.add(p); });
    hash.add('\n');
  }
  CHECK(hash.value == read_fixture("tokenizers.json")["normalized_hash"].get<std::uint64_t>());
}
