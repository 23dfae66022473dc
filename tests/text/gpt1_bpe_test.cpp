// Gpt1Bpe: the ids and texts of the Python package, and what it refuses.

#include "gptlite/text/gpt1_bpe.hpp"

#include <doctest/doctest.h>

#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;
using Tokens = std::vector<TokenId>;

namespace {
text::Gpt1Bpe tokenizer() { return fixture_tokenizer<text::Gpt1Bpe>("gpt1", {"<unk>"}); }
}  // namespace

TEST_CASE("hard texts have the ids of the Python package, which decode to the same") {
  const nlohmann::json fixture = read_fixture("tokenizers.json");
  const text::Gpt1Bpe bpe = tokenizer();
  for (std::size_t i = 0; i < fixture["texts"].size(); ++i) {
    CAPTURE(i);
    const Tokens ids = bpe.encode(fixture["texts"][i].get<std::string>());
    CHECK(ids == fixture["gpt1"]["ids"][i].get<Tokens>());
    CHECK(bpe.decode(ids) == fixture["gpt1"]["decoded"][i].get<std::string>());
  }
}

TEST_CASE("what stands between a word's parts decides: control characters do not, other white space does") {
  const text::Gpt1Bpe bpe = tokenizer();
  CHECK(bpe.encode("lo\vw\x01"
                   "er") == bpe.encode("lower"));
  CHECK(bpe.encode("low\u2003"
                   "er") == bpe.encode("low er"));
  CHECK(bpe.encode("low.er") == bpe.encode("low . er"));
  CHECK(bpe.encode("low\u037Eer") == bpe.encode("low ; er"));  // the Greek question mark
  CHECK(bpe.encode("\x01") == Tokens{});
}

TEST_CASE("tokens, ids and bytes") {
  const text::Gpt1Bpe bpe = tokenizer();
  CHECK(bpe.vocab_size() == 150);
  CHECK(bpe.id_to_token(*bpe.token_to_id("the</w>")) == "the</w>");
  CHECK(bpe.id_to_bytes(*bpe.token_to_id("the</w>")) == "the ");
  CHECK(bpe.id_to_bytes(*bpe.token_to_id("t")) == "t");
  CHECK(bpe.decode({*bpe.token_to_id("t"), *bpe.token_to_id("the</w>"), *bpe.token_to_id("the</w>")}) == "tthe the");
  CHECK(bpe.decode({}) == "");
}

TEST_CASE("what is not there or not UTF-8 is refused") {
  const text::Gpt1Bpe bpe = tokenizer();
  CHECK(message_of<DataError>([&] { bpe.encode("low er\xC3 x"); }) == "[utf8] invalid UTF-8 at byte 6");
  CHECK(message_of<IndexError>([&] { bpe.decode({150}); }) ==
        "[Vocabulary] token 150 is outside the vocabulary of 150");
  CHECK(message_of<DataError>([] { text::Gpt1Bpe({"a"}, {}, {}); }) ==
        "[Vocabulary] \"<unk>\" is not in the vocabulary of 1");
}
