// train_byte_bpe: the vocabulary and merges of the Python package, and its options.

#include "gptlite/text/bpe_trainer.hpp"

#include <doctest/doctest.h>

#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;
using Strings = std::vector<std::string>;

namespace {
text::BpeVocabulary::Merges merges(const text::ByteBpe& bpe) {
  text::BpeVocabulary::Merges strings;
  for (const text::BpeMerge& merge : bpe.vocabulary().merges().merges())
    strings.emplace_back(bpe.id_to_token(merge.left), bpe.id_to_token(merge.right));
  return strings;
}
}  // namespace

TEST_CASE("vocabulary and merges are those of the Python package") {
  const nlohmann::json fixture = read_fixture("tokenizers.json");
  const text::ByteBpe bpe =
      text::train_byte_bpe(fixture["training_text"].get<std::string>(),
                           {.vocab_size = 350, .min_frequency = 2, .special_tokens = {"<|end|>"}});
  CHECK(bpe.vocabulary().tokens() == fixture["gpt2"]["tokens"].get<Strings>());
  CHECK(merges(bpe) == fixture["gpt2"]["merges"].get<text::BpeVocabulary::Merges>());
  CHECK(bpe.encode("<|end|>") == std::vector<TokenId>{0});
}

TEST_CASE("the most frequent pair comes first, of equals that of the lowest ids") {
  const text::ByteBpe bpe = text::train_byte_bpe("bc bc bc ab ab", {.vocab_size = 259});
  CHECK(merges(bpe) == text::BpeVocabulary::Merges{{"b", "c"}, {"a", "b"}, {"\u0120", "bc"}});
}

TEST_CASE("overlapping pairs: a run of one letter") {
  const text::ByteBpe bpe = text::train_byte_bpe("aaaaa", {.vocab_size = 300});
  CHECK(merges(bpe) == text::BpeVocabulary::Merges{{"a", "a"}, {"aa", "a"}, {"aa", "aaa"}});
}

TEST_CASE("rare pairs are left alone, and nothing is learned from nothing") {
  CHECK(text::train_byte_bpe("ab ab cd", {.min_frequency = 2}).vocab_size() == 257);
  CHECK(text::train_byte_bpe("", {.special_tokens = {"<a>", "<b>"}}).vocab_size() == 258);
}

TEST_CASE("what cannot be trained is refused") {
  CHECK(message_of<ConfigError>([] { text::train_byte_bpe("a", {.vocab_size = 256, .special_tokens = {"<a>"}}); }) ==
        "[train_byte_bpe] vocab_size is 256, the bytes and special tokens are 257");
  CHECK(message_of<DataError>([] { text::train_byte_bpe("ab\xFF", {}); }) == "[utf8] invalid UTF-8 at byte 2");
}
