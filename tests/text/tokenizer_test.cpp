// Tokenizer: each of the tokenizers behind one interface, and ids of a model's rows that are no tokens.

#include "gptlite/text/tokenizer.hpp"

#include <doctest/doctest.h>

#include "gptlite/text/bpe_trainer.hpp"
#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;

TEST_CASE("it does what the tokenizer inside does") {
  const auto gpt2 = fixture_tokenizer<text::ByteBpe>("gpt2", {"<|end|>"});
  const auto gpt1 = fixture_tokenizer<text::Gpt1Bpe>("gpt1", {"<unk>"});
  const text::CharTokenizer characters("the lowest bank");
  const std::string text = "the bank lost";
  const auto same = [&](const auto& inside) {
    const text::Tokenizer tokenizer = inside;
    CHECK(tokenizer.vocab_size() == inside.vocab_size());
    CHECK(tokenizer.encode(text) == inside.encode(text));
    CHECK(tokenizer.decode(inside.encode(text)) == text);
    CHECK(tokenizer.id_to_bytes(5) == inside.id_to_bytes(5));
    CHECK(tokenizer.id_to_token(5) == inside.id_to_token(5));
    CHECK(tokenizer.token_to_id(inside.id_to_token(5)) == 5);
    CHECK_FALSE(tokenizer.token_to_id("none such"));
    CHECK(tokenizer.special_tokens() == inside.special_tokens());
    CHECK(tokenizer.end_of_text() == inside.end_of_text());
    for (const auto call : {&text::Tokenizer::id_to_bytes, &text::Tokenizer::id_to_token})
      CHECK(message_of<IndexError>([&] { (tokenizer.*call)(350); }) ==
            message_of<IndexError>([&] { inside.id_to_bytes(350); }));
    CHECK(std::holds_alternative<std::decay_t<decltype(inside)>>(tokenizer.variant()));
  };
  same(gpt2);
  same(gpt1);
  same(characters);
}

TEST_CASE("GPT-2's vocabulary has an end of text") {
  const text::Tokenizer with = text::train_byte_bpe("ab", {.vocab_size = 257, .special_tokens = {"<|endoftext|>"}});
  REQUIRE(with.end_of_text());
  CHECK(with.id_to_token(*with.end_of_text()) == "<|endoftext|>");
  CHECK(with.special_tokens() == std::vector{*with.end_of_text()});
  const text::Tokenizer without = text::train_byte_bpe("ab", {.vocab_size = 256});
  CHECK_FALSE(without.end_of_text());
  CHECK(without.special_tokens().empty());
}

TEST_CASE("rows of a model that have no token decode to nothing") {
  text::Tokenizer tokenizer = text::CharTokenizer("abc");
  CHECK(tokenizer.padded_size() == 3);
  const std::string outside = "[CharTokenizer] token 3 is outside the vocabulary of 3";
  CHECK(message_of<IndexError>([&] { tokenizer.decode({0, 3}); }) == outside);
  tokenizer.set_padded_size(5);
  CHECK(tokenizer.padded_size() == 5);
  CHECK(tokenizer.vocab_size() == 3);
  CHECK(tokenizer.decode({3, 0, 4, 2}) == "ac");
  CHECK(tokenizer.id_to_bytes(4) == "");
  CHECK(message_of<IndexError>([&] { tokenizer.id_to_token(3); }) == outside);
  CHECK(message_of<IndexError>([&] { tokenizer.decode({5}); }) ==
        "[CharTokenizer] token 5 is outside the vocabulary of 3");
  CHECK(message_of<IndexError>([&] { tokenizer.id_to_bytes(-1); }) ==
        "[CharTokenizer] token -1 is outside the vocabulary of 3");
}
