// StreamDecoder: whole code points only, from tokens of any cut.

#include "gptlite/text/stream_decoder.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "gptlite/text/byte_bpe.hpp"
#include "gptlite/text/char_tokenizer.hpp"
#include "gptlite/text/gpt1_bpe.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;

namespace {
// A token for each byte.
struct Bytes {
  std::string id_to_bytes(TokenId token) const { return std::string(1, static_cast<char>(token)); }
};
// What comes for each byte and at the end, cut by |.
std::string stream(const std::string& bytes) {
  const Bytes tokenizer;
  text::StreamDecoder decoder(tokenizer);
  std::string pieces;
  for (const char byte : bytes) pieces += decoder.next(static_cast<unsigned char>(byte)) + '|';
  return pieces + decoder.finish();
}
template <class Tokenizer>
std::string joined(const Tokenizer& tokenizer, const std::string& text) {
  text::StreamDecoder decoder(tokenizer);
  std::string pieces;
  for (const TokenId token : tokenizer.encode(text)) pieces += decoder.next(token);
  return pieces + decoder.finish();
}
}  // namespace

TEST_CASE("a code point comes with its last byte") {
  CHECK(stream("ab") == "a|b|");
  CHECK(stream("\xC3\xA4z") == "|\u00E4|z|");
  CHECK(stream("\xF0\x9F\x98\x80") == "|||\U0001F600|");
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD, an unfinished code point at the end") {
  CHECK(stream("\xFF"
               "a") == "\uFFFD|a|");
  CHECK(stream("\xE2\x82"
               "a") == "||\uFFFDa|");
  CHECK(stream("\xC3\xC3\xA4") == "|\uFFFD|\u00E4|");
  CHECK(stream("\xE2\x82") == "||\uFFFD");
  CHECK(stream("\xED\xA0\x80") == "|\uFFFD\uFFFD|\uFFFD|");  // a surrogate
}

TEST_CASE("a decoder may be used again when it is finished") {
  const Bytes tokenizer;
  text::StreamDecoder decoder(tokenizer);
  decoder.next(0xE2);
  CHECK(decoder.finish() == "\uFFFD");
  CHECK(decoder.finish() == "");
  CHECK(decoder.next('a') == "a");
}

TEST_CASE("the pieces of every tokenizer join to the text") {
  const std::string text = "low\u00E4r \U0001F600 walking";
  CHECK(joined(text::CharTokenizer(text), text) == text);
  CHECK(joined(fixture_tokenizer<text::ByteBpe>("gpt2", {}), text) == text);
  CHECK(joined(fixture_tokenizer<text::Gpt1Bpe>("gpt1", {"<unk>"}), "the banks") == "the banks ");
}
