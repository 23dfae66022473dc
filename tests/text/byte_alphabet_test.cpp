// The alphabet of bytes: printable characters for all of them, and back.

#include "gptlite/text/byte_alphabet.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace gptlite;

TEST_CASE("printable bytes stand for themselves, others for characters from U+0100 on") {
  CHECK(text::to_byte_alphabet("a~!") == "a~!");
  CHECK(text::to_byte_alphabet(" \n") == "\u0120\u010A");
  CHECK(text::to_byte_alphabet(std::string("\0\x7F\xA0\xAD", 4)) == "\u0100\u0121\u0142\u0143");
  CHECK(text::to_byte_alphabet("\xA1\xFF") == "\u00A1\u00FF");
}

TEST_CASE("all bytes are spelt differently and read back") {
  std::set<std::string> spelt;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    CHECK(text::from_byte_alphabet(*spelt.insert(text::to_byte_alphabet(bytes)).first) == bytes);
  }
  CHECK(spelt.size() == 256u);
}

TEST_CASE("other characters stand for no byte") {
  CHECK(!text::from_byte_alphabet("a b"));
  CHECK(!text::from_byte_alphabet("\u00AD"));
  CHECK(!text::from_byte_alphabet("\u0144"));
  CHECK(!text::from_byte_alphabet("\u20AC"));
}
