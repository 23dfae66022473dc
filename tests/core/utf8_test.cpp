// UTF-8: every length of sequence both ways, and the place of what is not well-formed.

#include "gptlite/core/utf8.hpp"

#include <doctest/doctest.h>

#include <string>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

std::string encoded(char32_t point) {
  std::string bytes;
  text::append_utf8(bytes, point);
  return bytes;
}

std::string refusal(const std::string& bytes) {
  return message_of<DataError>([&] { text::decode_utf8(bytes); });
}

std::string invalid_at(int byte) { return "[utf8] invalid UTF-8 at byte " + std::to_string(byte); }

}  // namespace

TEST_CASE("code points of one to four bytes are read") {
  CHECK(text::decode_utf8("").empty());
  CHECK(text::decode_utf8("az") == U"az");
  CHECK(text::decode_utf8("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z") == U"a\u00E4\u20AC\U0001F600z");
  CHECK(text::decode_utf8(std::string("\0x", 2)) == std::u32string(U"\0x", 2));
}

TEST_CASE("the first and last code point of every length are written and read back") {
  CHECK(encoded(0x7F) == "\x7F");
  CHECK(encoded(0x80) == "\xC2\x80");
  CHECK(encoded(0x7FF) == "\xDF\xBF");
  CHECK(encoded(0x800) == "\xE0\xA0\x80");
  CHECK(encoded(0xFFFF) == "\xEF\xBF\xBF");
  CHECK(encoded(0x10000) == "\xF0\x90\x80\x80");
  CHECK(encoded(0x10FFFF) == "\xF4\x8F\xBF\xBF");
  const std::u32string points{0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
  CHECK(points.size() == 10u);
  for (const char32_t point : points) CHECK(text::decode_utf8(encoded(point)) == std::u32string(1, point));
}

TEST_CASE("append_utf8 keeps what stands before") {
  std::string bytes = "ab";
  text::append_utf8(bytes, U'\u20AC');
  CHECK(bytes == "ab\xE2\x82\xAC");
}

TEST_CASE("stray and missing continuation bytes are refused with their place") {
  CHECK(refusal("\x80") == invalid_at(0));
  CHECK(refusal("ab\xBF") == invalid_at(2));
  CHECK(refusal("\xC3(") == invalid_at(0));
  CHECK(refusal("\xE2\x82z") == invalid_at(0));
  CHECK(refusal("\xC3\xA4\xE2z\xAC") == invalid_at(2));
  CHECK(refusal("\xFF") == invalid_at(0));
  CHECK(refusal("a\xF8\x88\x80\x80\x80") == invalid_at(1));
}

TEST_CASE("a text that ends inside a sequence is refused with the place where the sequence starts") {
  CHECK(refusal("a\xC3") == invalid_at(1));
  CHECK(refusal("ab\xE2\x82") == invalid_at(2));
  CHECK(refusal("abc\xF0\x9F\x98") == invalid_at(3));
}

TEST_CASE("overlong forms and surrogates and points beyond Unicode are refused") {
  CHECK(refusal("\xC0\x80") == invalid_at(0));
  CHECK(refusal("\xC1\xBF") == invalid_at(0));
  CHECK(refusal("\xE0\x9F\xBF") == invalid_at(0));
  CHECK(refusal("\xF0\x8F\xBF\xBF") == invalid_at(0));
  CHECK(refusal("\xED\xA0\x80") == invalid_at(0));  // U+D800
  CHECK(refusal("\xED\xBF\xBF") == invalid_at(0));  // U+DFFF
  CHECK(refusal("\xF4\x90\x80\x80") == invalid_at(0));
}

TEST_CASE("a sequence that is not well-formed goes as far as a code point could have begun so") {
  const auto broken = [](const std::string& bytes) {
    const text::Utf8Sequence s = text::utf8_sequence(bytes, 0);
    CHECK(!s.well_formed);
    CHECK(s.point == U'\uFFFD');
    return std::to_string(s.length) + (s.cut_off ? " cut off" : "");
  };
  CHECK(broken("\x80") == "1");
  CHECK(broken("\xC3(") == "1");
  CHECK(broken("\xE2\x82(") == "2");
  CHECK(broken("\xF0\x9F\x98(") == "3");
  CHECK(broken("\xE0\x80\x80") == "1");  // overlong
  CHECK(broken("\xED\xA0\x80") == "1");  // a surrogate
  CHECK(broken("\xE2\x82") == "2 cut off");
  CHECK(broken("\xF0") == "1 cut off");
}
