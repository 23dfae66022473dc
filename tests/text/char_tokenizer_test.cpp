// CharTokenizer: the vocabulary of a text, both ways between text and tokens, and what it refuses.

#include "gptlite/text/char_tokenizer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;
using Tokens = std::vector<TokenId>;

TEST_CASE("the vocabulary is the set of code points in ascending order") {
  const text::CharTokenizer tokenizer("hello \xE2\x82\xAC\xC3\xA4");
  CHECK(tokenizer.vocab_size() == 7);
  CHECK(tokenizer.decode({0, 1, 2, 3, 4, 5, 6}) == " ehlo\xC3\xA4\xE2\x82\xAC");
}

TEST_CASE("encode gives one token for each code point and decode the text back") {
  const text::CharTokenizer tokenizer("hello \xE2\x82\xAC\xC3\xA4");
  CHECK(tokenizer.encode("hell\xC3\xA4") == Tokens{2, 1, 3, 3, 5});
  const std::string text = "oh \xE2\x82\xAC\xE2\x82\xAC hello";
  CHECK(tokenizer.encode(text).size() == 11u);
  CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.decode({}).empty());
}

TEST_CASE("a token is spelt as its character") {
  const text::CharTokenizer tokenizer("hello \xE2\x82\xAC\xC3\xA4");
  CHECK(tokenizer.id_to_token(6) == "\xE2\x82\xAC");
  CHECK(tokenizer.id_to_bytes(1) == "e");
  CHECK(tokenizer.token_to_id("\xE2\x82\xAC") == 6);
  for (const char* none : {"", "x", "he", "\xE2\x82", "\xFF"}) CHECK_FALSE(tokenizer.token_to_id(none));
  CHECK(tokenizer.special_tokens().empty());
  CHECK_FALSE(tokenizer.end_of_text());
}

TEST_CASE("characters below and between and above the vocabulary are refused") {
  const text::CharTokenizer tokenizer("bd");
  CHECK(message_of<DataError>([&] { tokenizer.encode("a"); }) ==
        "[CharTokenizer] character \"a\" at position 0 is not in the vocabulary of 2");
  CHECK(message_of<DataError>([&] { tokenizer.encode("c"); }) ==
        "[CharTokenizer] character \"c\" at position 0 is not in the vocabulary of 2");
  CHECK(message_of<DataError>([&] { tokenizer.encode("e"); }) ==
        "[CharTokenizer] character \"e\" at position 0 is not in the vocabulary of 2");
}

TEST_CASE("an unknown character is named with its position in characters") {
  const text::CharTokenizer tokenizer("hello \xE2\x82\xAC");
  CHECK(message_of<DataError>([&] { tokenizer.encode("\xE2\x82\xAC\xE2\x82\xAC\xC3\xA4"); }) ==
        "[CharTokenizer] character \"\xC3\xA4\" at position 2 is not in the vocabulary of 6");
}

TEST_CASE("an unknown control character is named by its code, which keeps the message on one line") {
  const text::CharTokenizer tokenizer("ab");
  CHECK(message_of<DataError>([&] { tokenizer.encode("a\n"); }) ==
        "[CharTokenizer] character U+000A at position 1 is not in the vocabulary of 2");
}

TEST_CASE("an empty text has no vocabulary") {
  CHECK(message_of<DataError>([] { text::CharTokenizer tokenizer(""); }) ==
        "[CharTokenizer] the text is empty: there is no character to learn");
}

TEST_CASE("texts that are not UTF-8 are refused with the byte") {
  CHECK(message_of<DataError>([] { text::CharTokenizer tokenizer("ab\xFF"); }) == "[utf8] invalid UTF-8 at byte 2");
  const text::CharTokenizer tokenizer("ab");
  CHECK(message_of<DataError>([&] { tokenizer.encode("a\xC3"); }) == "[utf8] invalid UTF-8 at byte 1");
}

TEST_CASE("tokens outside the vocabulary are refused") {
  const text::CharTokenizer tokenizer("ab");
  CHECK(message_of<IndexError>([&] {
          tokenizer.decode({0, 2});
        }) == "[CharTokenizer] token 2 is outside the vocabulary of 2");
  CHECK(message_of<IndexError>([&] { tokenizer.decode({-1}); }) ==
        "[CharTokenizer] token -1 is outside the vocabulary of 2");
}
