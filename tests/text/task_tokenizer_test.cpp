// with_task_tokens: the tokens of the layouts behind a vocabulary.

#include "gptlite/text/task_tokenizer.hpp"

#include <doctest/doctest.h>

#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;

TEST_CASE("task tokens stand behind a vocabulary, and are not added twice") {
  const auto bpe = fixture_tokenizer<text::ByteBpe>("gpt2", {"<|end|>"});
  const text::TaskTokenizer once = text::with_task_tokens(bpe, bpe.vocab_size());
  CHECK(once.tokens.start == bpe.vocab_size());
  CHECK(once.tokenizer.encode("a<|extract|>b") ==
        std::vector<TokenId>{bpe.encode("a")[0], once.tokens.extract, bpe.encode("b")[0]});
  CHECK(once.tokenizer.encode("some words, <|end|>") == bpe.encode("some words, <|end|>"));
  const text::TaskTokenizer twice = text::with_task_tokens(once.tokenizer, once.tokenizer.vocab_size());
  CHECK(twice.tokenizer.vocab_size() == once.tokenizer.vocab_size());
  CHECK(twice.tokens.extract == once.tokens.extract);
  const auto gpt1 = fixture_tokenizer<text::Gpt1Bpe>("gpt1", {"<unk>"});
  CHECK(text::with_task_tokens(gpt1, gpt1.vocab_size()).tokens.extract == gpt1.vocab_size() + 2);
  CHECK(message_of<DataError>([] { text::with_task_tokens(text::CharTokenizer("ab"), 2); }) ==
        "[with_task_tokens] a tokenizer of single characters has no room for the start, delimiter and extract tokens; "
        "pre-train with byte-pair encoding");
}

TEST_CASE("rows of a model behind the vocabulary get names, and a tokenizer larger than the model is refused") {
  const auto bpe = fixture_tokenizer<text::ByteBpe>("gpt2", {"<|end|>"});
  const text::TaskTokenizer padded = text::with_task_tokens(bpe, 352);
  CHECK(padded.tokens.start == 352);
  CHECK(padded.tokenizer.id_to_token(351) == "<|unused351|>");
  CHECK(padded.tokenizer.special_tokens() == std::vector<TokenId>{0, 350, 351, 352, 353, 354});
  CHECK(message_of<DataError>([&] { text::with_task_tokens(bpe, 349); }) ==
        "[with_task_tokens] the tokenizer has 350 tokens, the model 349");
}
