// BpeVocabulary: tokens and ids, what it refuses, and texts cut at special tokens.

#include "gptlite/text/bpe_vocabulary.hpp"

#include <doctest/doctest.h>

#include "support/throws.hpp"

using namespace gptlite;
using text::BpeVocabulary;

namespace {
// The parts of a text: plain ones as they are, special ones as [id].
std::string parts(const std::vector<std::string>& special, std::string_view text) {
  std::string result;
  BpeVocabulary(special, {}, special)
      .split(
          text, [&](std::size_t begin, std::size_t end) { (result += text.substr(begin, end - begin)) += ' '; },
          [&](TokenId id) { result += '[' + std::to_string(id) + "] "; });
  return result;
}
std::string refused(const std::vector<std::string>& tokens, const BpeVocabulary::Merges& merges,
                    const std::vector<std::string>& special = {}) {
  return message_of<DataError>([&] { BpeVocabulary(tokens, merges, special); });
}
}  // namespace

TEST_CASE("tokens have ids in their order") {
  const BpeVocabulary vocabulary({"a", "b", "ab"}, {{"a", "b"}}, {"b"});
  CHECK(vocabulary.size() == 3);
  CHECK(vocabulary.required_id("ab") == 2);
  CHECK(vocabulary.id_to_token(1) == "b");
  CHECK(vocabulary.token_to_id("b") == 1);
  CHECK(!vocabulary.token_to_id("c"));
  CHECK(vocabulary.special_tokens() == std::vector<TokenId>{1});
  CHECK(vocabulary.merges().merges().size() == 1u);
  CHECK(vocabulary.merges().merges()[0].merged == 2);
  CHECK(message_of<DataError>([&] { vocabulary.required_id("c"); }) ==
        "[Vocabulary] \"c\" is not in the vocabulary of 3");
  CHECK(message_of<IndexError>([&] { vocabulary.id_to_token(3); }) ==
        "[Vocabulary] token 3 is outside the vocabulary of 3");
  CHECK(message_of<IndexError>([&] { vocabulary.id_to_token(-1); }) ==
        "[Vocabulary] token -1 is outside the vocabulary of 3");
}

TEST_CASE("a copy stands alone") {
  auto original = std::make_unique<BpeVocabulary>(std::vector<std::string>{"a", "b"}, BpeVocabulary::Merges{},
                                                  std::vector<std::string>{});
  const BpeVocabulary copy = *original;
  original.reset();
  CHECK(copy.required_id("b") == 1);
}

TEST_CASE("vocabularies that contradict themselves are refused") {
  CHECK(refused({"a", "b", "a"}, {}) == "[Vocabulary] token \"a\" has two ids, 0 and 2");
  CHECK(refused({"a", "b"}, {{"a", "c"}}) == "[BpeVocabulary] merge 0, \"a c\": \"c\" is not in the vocabulary");
  CHECK(refused({"a", "b", "ab"}, {{"a", "b"}, {"b", "a"}}) ==
        "[BpeVocabulary] merge 1, \"b a\": \"ba\" is not in the vocabulary");
  CHECK(refused({"a"}, {}, {"x"}) == "[Vocabulary] \"x\" is not in the vocabulary of 1");
  CHECK(refused({""}, {}, {""}) == "[Vocabulary] a special token is empty");
  CHECK(refused({"a\xFF"}, {}) == "[utf8] invalid UTF-8 at byte 1");
}

TEST_CASE("texts are cut at special tokens, the leftmost and then the longest") {
  CHECK(parts({"<a>"}, "") == "");
  CHECK(parts({"<a>"}, "x") == "x ");
  CHECK(parts({"<a>"}, "<a>") == "[0] ");
  CHECK(parts({"<a>"}, "x<a><a>y<a") == "x [0] [0] y<a ");
  CHECK(parts({"<a>", "<b>"}, "<b>x<a><b>") == "[1] x [0] [1] ");
  CHECK(parts({"<a>", "<a>b"}, "<a>b<a>") == "[1] [0] ");
  CHECK(parts({"<a>b", "<a>"}, "<a>b<a>") == "[0] [1] ");
  CHECK(parts({"ab", "bcd"}, "abcd") == "[0] cd ");
}
