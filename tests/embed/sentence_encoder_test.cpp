// SentenceEncoder: vectors are pooled states, whatever texts run together; nearest() ranks them.

#include "gptlite/embed/sentence_encoder.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

const std::vector<std::string> some_texts{"low", "lower lower low low", "", "low lower",
                                          "low low low low low low low low"};

SentenceEncoder<double> sentence_encoder(SentenceEncoderOptions options = {}) {
  const text::WordPiece tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "low", "##er"});
  Bert<double> model(
      {.vocab_size = 7, .block_size = 8, .n_layer = 2, .n_head = 2, .n_embd = 10, .initializer_range = 0.5});
  model.eval();
  return {std::move(model), tokenizer, options};
}
/// The states of a text, (tokens, 10).
std::vector<std::vector<double>> states_of(const SentenceEncoder<double>& encoder, std::vector<TokenId> tokens) {
  const Index n = static_cast<Index>(tokens.size());
  const std::vector<double> all = encoder.model().pass(Tensor<TokenId>::from(tokens, {1, n})).to_vector();
  std::vector<std::vector<double>> rows;
  for (Index t = 0; t < n; ++t) rows.emplace_back(all.begin() + t * 10, all.begin() + (t + 1) * 10);
  return rows;
}
double close_to(const Tensor<double>& got, const std::vector<double>& expected) {
  double most = 0;
  for (Index i = 0; i < got.numel(); ++i)
    most = std::max(most, std::abs(got.data()[i] - expected[static_cast<std::size_t>(i)]));
  return most;
}

}  // namespace

TEST_CASE("SentenceEncoder: the mean, the first or the largest of the states, [CLS] and [SEP] among them") {
  const std::vector<TokenId> tokens{2, 5, 5, 6, 3};  // low lower
  for (const Pooling pooling : {Pooling::mean, Pooling::cls, Pooling::max}) {
    const SentenceEncoder<double> encoder = sentence_encoder({.pooling = pooling, .normalize = false});
    const auto states = states_of(encoder, tokens);
    std::vector<double> expected(10);
    for (std::size_t c = 0; c < 10; ++c) {
      double sum = 0, most = states[0][c];
      for (const auto& state : states) sum += state[c], most = std::max(most, state[c]);
      expected[c] = pooling == Pooling::mean ? sum / 5 : pooling == Pooling::cls ? states[0][c] : most;
    }
    CHECK(close_to(encoder.encode_text("low lower"), expected) < 1e-12);
  }
}

TEST_CASE("SentenceEncoder: normalized vectors have length 1 and the direction of the others") {
  const Tensor<double> plain = sentence_encoder({.normalize = false}).encode_text("low lower");
  double squares = 0;
  for (const double number : plain.to_vector()) squares += number * number;
  CHECK(close_to(sentence_encoder().encode_text("low lower"), (plain / std::sqrt(squares)).to_vector()) < 1e-12);
}

TEST_CASE("SentenceEncoder: a text has the same vector alone and among others, in their order") {
  for (const Index tokens_per_pass : {1, 12, 1000}) {
    const SentenceEncoder<double> encoder = sentence_encoder({.tokens_per_pass = tokens_per_pass});
    const Tensor<double> all = encoder.encode(some_texts);
    CHECK(all.shape() == Shape{5, 10});
    for (std::size_t i = 0; i < some_texts.size(); ++i)
      CHECK(close_to(encoder.encode_text(some_texts[i]), slice(all, 0, Index(i), Index(i) + 1).to_vector()) < 1e-12);
  }
  CHECK(sentence_encoder().encode(std::vector<std::string>{}).shape() == Shape{0, 10});
}

TEST_CASE("SentenceEncoder: a long text is cut at max_length tokens, of which the last is [SEP]") {
  const SentenceEncoder<double> encoder = sentence_encoder({.max_length = 5});
  CHECK(encoder.encode_text("low low low low low low").to_vector() == encoder.encode_text("low low low").to_vector());
  CHECK(encoder.encode_text("low low low").to_vector() != encoder.encode_text("low low").to_vector());
}

TEST_CASE("SentenceEncoder: a [SEP] in a text begins no second segment") {
  const text::WordPiece tokenizer({"[UNK]", "[CLS]", "[SEP]", "low"}, true, {"[UNK]", "[CLS]", "[SEP]"});
  const auto encoder = [&](std::optional<TokenId> separator) {
    Bert<double> model({.vocab_size = 4,
                        .block_size = 8,
                        .n_layer = 1,
                        .n_head = 1,
                        .n_embd = 4,
                        .initializer_range = 0.5,
                        .separator = separator});
    return SentenceEncoder<double>(std::move(model), tokenizer);
  };
  CHECK(encoder(2).encode_text("low [SEP] low").to_vector() == encoder({}).encode_text("low [SEP] low").to_vector());
}

TEST_CASE("nearest: the largest dot products first, of equal ones the lower row") {
  const Tensor<float> vectors = Tensor<float>::from({1, 0, 0, 1, 1, 0, -1, 0}, {4, 2});
  const std::vector<Neighbor> found = nearest(vectors, Tensor<float>::from({2, 1}), 3);
  REQUIRE(found.size() == 3);
  CHECK(found[0].index == 0);
  CHECK(found[1].index == 2);
  CHECK(found[2].index == 1);
  CHECK(found[2].score == 1);
  CHECK(nearest(vectors, Tensor<float>::from({2, 1}), 9).size() == 4);
  const float nan = std::nanf("");
  const std::vector<Neighbor> last =
      nearest(Tensor<float>::from({nan, 1, nan, 2}, {4, 1}), Tensor<float>::from({1}), 4);
  CHECK(last[0].index == 3);
  CHECK(last[1].index == 1);
  CHECK(last[2].index == 0);
  CHECK(message_of<ShapeError>([&] {
          nearest(vectors, Tensor<float>::from({2, 1, 3}), 1);
        }) == "[nearest] vectors (4, 2) must be (N, C) and the query (C), got (3)");
}

TEST_CASE("SentenceEncoder: what cannot work is refused") {
  CHECK(message_of<ConfigError>([] { sentence_encoder({.max_length = 9}); }) ==
        "[SentenceEncoder] max_length must be in 2..8, the model's block_size, got 9");
  CHECK(message_of<ConfigError>([] { sentence_encoder({.max_length = 1}); }) ==
        "[SentenceEncoder] max_length must be in 2..8, the model's block_size, got 1");
  CHECK(message_of<ConfigError>([] { sentence_encoder({.tokens_per_pass = 0}); }) ==
        "[SentenceEncoder] tokens_per_pass must be positive, got 0");
  CHECK(message_of<DataError>([] {
          sentence_encoder().encode({"low", "l\xC3 "});
        }) == "[SentenceEncoder] text 1: [utf8] invalid UTF-8 at byte 1");
  const Bert<double> model({.vocab_size = 2, .block_size = 4, .n_layer = 1, .n_head = 1, .n_embd = 2});
  CHECK(message_of<DataError>([&] {
          SentenceEncoder<double>(model, text::WordPiece({"[UNK]", "[CLS]"}, true, {"[UNK]", "[CLS]"}));
        }) == "[SentenceEncoder] the tokenizer has no [SEP]");
}
