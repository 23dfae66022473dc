// Tokenizer: each of the tokenizers behind one interface.

#include "gptlite/io/tokenizer.hpp"

#include <doctest/doctest.h>

#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;

TEST_CASE("it does what the tokenizer inside does") {
  const auto gpt2 = fixture_tokenizer<text::ByteBpe>("gpt2", {"<|end|>"});
  const auto gpt1 = fixture_tokenizer<text::Gpt1Bpe>("gpt1", {"<unk>"});
  const text::CharTokenizer characters("the lowest bank");
  const std::string text = "the bank lost";
  const auto same = [&](const auto& inside) {
    const io::Tokenizer tokenizer = inside;
    CHECK(tokenizer.vocab_size() == inside.vocab_size());
    CHECK(tokenizer.encode(text) == inside.encode(text));
    CHECK(tokenizer.decode(inside.encode(text)) == text);
    CHECK(tokenizer.bytes(5) == inside.bytes(5));
    CHECK(message_of<IndexError>([&] { tokenizer.bytes(350); }) == message_of<IndexError>([&] { inside.bytes(350); }));
    CHECK(std::holds_alternative<std::decay_t<decltype(inside)>>(tokenizer.variant()));
  };
  same(gpt2);
  same(gpt1);
  same(characters);
}
