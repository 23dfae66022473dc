// TokenizerLike: all tokenizers of the library have the same members, and a user's own may join them.

#include "gptlite/text/tokenizer_concept.hpp"

#include <doctest/doctest.h>

#include "gptlite/data/task_batches.hpp"
#include "gptlite/text/stream_decoder.hpp"
#include "gptlite/text/tokenizer.hpp"

using namespace gptlite;

static_assert(text::TokenizerLike<text::CharTokenizer>);
static_assert(text::TokenizerLike<text::ByteBpe>);
static_assert(text::TokenizerLike<text::Gpt1Bpe>);
static_assert(text::TokenizerLike<text::Tokenizer>);
static_assert(!text::TokenizerLike<text::BpeVocabulary>);

namespace {
// A tokenizer of a user's own: the tokens are digits, and an end.
struct Digits {
  Index vocab_size() const { return 11; }
  std::vector<TokenId> encode(std::string_view text) const {
    std::vector<TokenId> tokens;
    for (const char c : text) tokens.push_back(c - '0');
    return tokens;
  }
  std::string decode(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (const TokenId token : tokens) text += id_to_bytes(token);
    return text;
  }
  std::string id_to_bytes(TokenId id) const { return id == 10 ? "" : std::to_string(id); }
  std::string id_to_token(TokenId id) const { return id == 10 ? "<end>" : id_to_bytes(id); }
  std::optional<TokenId> token_to_id(std::string_view token) const {
    if (token == "<end>") return 10;
    return token.size() == 1 ? std::optional(token[0] - '0') : std::nullopt;
  }
  std::vector<TokenId> special_tokens() const { return {10}; }
  std::optional<TokenId> end_of_text() const { return 10; }
};
static_assert(text::TokenizerLike<Digits>);
}  // namespace

TEST_CASE("a user's own tokenizer works where the library's do") {
  const Digits tokenizer;
  text::StreamDecoder stream(tokenizer);
  CHECK(stream.next(7) + stream.next(10) == "7");
  const data::TaskSet set{Task::classification, "a.tsv", {{.texts = {"12"}, .row = 2}}, {}};
  const auto examples = data::encode_task(set, tokenizer, text::TaskLayout{{11, 12, 13}, 8});
  CHECK(examples[0].sequences[0] == text::Tokens{11, 1, 2, 13});
}
