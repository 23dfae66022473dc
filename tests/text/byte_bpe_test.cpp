// ByteBpe: the ids of the Python package, any bytes back, and what it refuses.

#include "gptlite/text/byte_bpe.hpp"

#include <doctest/doctest.h>

#include "gptlite/core/random.hpp"
#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;
using Tokens = std::vector<TokenId>;

namespace {
text::ByteBpe tokenizer() { return fixture_tokenizer<text::ByteBpe>("gpt2", {"<|end|>"}); }
}  // namespace

TEST_CASE("hard texts have the ids of the Python package, which decode to the same") {
  const nlohmann::json fixture = read_fixture("tokenizers.json");
  const text::ByteBpe bpe = tokenizer();
  for (std::size_t i = 0; i < fixture["texts"].size(); ++i) {
    CAPTURE(i);
    const auto text = fixture["texts"][i].get<std::string>();
    const Tokens ids = bpe.encode(text);
    CHECK(ids == fixture["gpt2"]["ids"][i].get<Tokens>());
    CHECK(bpe.decode(ids) == text);
  }
}

TEST_CASE("random code points come back") {
  const text::ByteBpe bpe = tokenizer();
  Generator random(7);
  std::string text;
  for (int i = 0; i < 20000; ++i) {
    const Index limit = i % 4 == 0 ? 0x110000 : i % 4 == 1 ? 0x3000 : 0x80;
    const auto point = static_cast<char32_t>(random.below(limit));
    if (point < 0xD800 || point >= 0xE000) text::append_utf8(text, point);
  }
  CHECK(bpe.decode(bpe.encode(text)) == text);
}

TEST_CASE("tokens, ids and bytes") {
  const text::ByteBpe bpe = tokenizer();
  CHECK(bpe.vocab_size() == 350);
  CHECK(*bpe.token_to_id("<|end|>") == 0);
  CHECK(bpe.id_to_token(0) == "<|end|>");
  CHECK(bpe.id_to_token(*bpe.token_to_id("\u0120low")) == "\u0120low");
  CHECK(bpe.id_to_bytes(*bpe.token_to_id("\u0120low")) == " low");
  CHECK(bpe.decode({*bpe.token_to_id("\u00C3")}) == "\xC3");
  CHECK(bpe.decode({}) == "");
}

TEST_CASE("without special tokens a text has none") {
  const auto bpe = fixture_tokenizer<text::ByteBpe>("gpt2", {});
  CHECK(bpe.encode("<|end|>").size() > 1u);
  CHECK(bpe.decode(bpe.encode("<|end|>")) == "<|end|>");
}

TEST_CASE("a special token may have any characters") {
  auto tokens = tokenizer().vocabulary().tokens();
  tokens.push_back("\u00E9 \u20AC");
  const text::ByteBpe bpe(tokens, {}, {tokens.back()});
  CHECK(bpe.encode("\u00E9 \u20AC") == Tokens{350});
  CHECK(bpe.decode({350}) == "\u00E9 \u20AC");
}

TEST_CASE("a special token that other text is encoded to is refused: it would not come back") {
  const auto tokens = tokenizer().vocabulary().tokens();
  const auto refusal = [&](const std::string& special, const text::BpeVocabulary::Merges& merges = {}) {
    return message_of<DataError>([&] { text::ByteBpe(tokens, merges, {special}); });
  };
  const std::string id = std::to_string(*tokenizer().token_to_id("\u0120"));
  CHECK(refusal("\u0120") ==
        "[ByteBpe] token " + id + ", \"\u0120\", is special, but also what other text is encoded to");
  CHECK(refusal("\u0120low", {{"\u0120", "low"}}).ends_with("is special, but also what other text is encoded to"));
  CHECK(refusal("\u0120low") == "no exception");  // no merge gives it
  const text::ByteBpe same(tokens, {}, {"a"});    // its spelling is what it is encoded from
  CHECK(same.decode(same.encode("banana")) == "banana");
}

TEST_CASE("what is not there or not UTF-8 is refused") {
  const text::ByteBpe bpe = tokenizer();
  CHECK(message_of<DataError>([&] { bpe.encode("<|end|>ab\xFF"); }) == "[utf8] invalid UTF-8 at byte 9");
  CHECK(message_of<DataError>([&] { bpe.encode("a\xC3<|end|>"); }) == "[utf8] invalid UTF-8 at byte 1");
  CHECK(message_of<IndexError>([&] {
          bpe.decode({1, 350});
        }) == "[Vocabulary] token 350 is outside the vocabulary of 350");
  CHECK(message_of<IndexError>([&] { bpe.id_to_bytes(-1); }) ==
        "[Vocabulary] token -1 is outside the vocabulary of 350");
  CHECK_FALSE(bpe.token_to_id("nothing"));
}

TEST_CASE("vocabularies that are not of bytes are refused") {
  CHECK(message_of<DataError>([] {
          text::ByteBpe({"a", "b c"}, {});
        }) == "[ByteBpe] token 1, \"b c\", has a character that stands for no byte");
  CHECK(message_of<DataError>([] { text::ByteBpe({"a"}, {}); }) == "[ByteBpe] byte 0 has no token, \"\u0100\"");
}
