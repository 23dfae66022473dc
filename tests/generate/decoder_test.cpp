// Decoder: the logits of GPT::logits at every position, however the tokens are dealt out over calls and sequences.

#include "gptlite/generate/decoder.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "support/throws.hpp"

using namespace gptlite;
using Tokens = std::vector<TokenId>;

namespace {

// Odd sizes: 3 heads of 5, 37 tokens. Weights so large that the logits differ clearly.
GPTConfig odd_config(NormOrder norm_order, Index window = 0) {
  return {.vocab_size = 37,
          .block_size = 45,
          .n_layer = 2,
          .n_head = 3,
          .n_embd = 15,
          .window = window,
          .norm_order = norm_order,
          .initializer_range = 0.3};
}
Tokens some_tokens(Index count, Index vocabulary = 37) {
  Tokens tokens(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i)
    tokens[static_cast<std::size_t>(i)] = static_cast<TokenId>((i * i + 3 * i) % vocabulary);
  return tokens;
}
Tokens part(const Tokens& tokens, Index begin, Index end) { return {tokens.begin() + begin, tokens.begin() + end}; }

template <class T>
Tensor<T> full_pass(const GPT<T>& model, const Tokens& tokens) {
  const NoGrad no_grad;
  return model.logits(Tensor<TokenId>::from(tokens, {1, static_cast<Index>(tokens.size())}));
}

// The largest difference from row `row` on of the expected logits.
template <class T>
double difference(const Tensor<T>& got, const Tensor<T>& expected, Index row) {
  const Index V = got.shape()[got.rank() - 1];
  double largest = 0;
  for (Index i = 0; i < got.numel(); ++i)
    largest = std::max(largest, static_cast<double>(std::abs(got.data()[i] - expected.data()[row * V + i])));
  return largest;
}

template <class T>
void check_all_positions(const GPTConfig& config, double tolerance) {
  const GPT<T> model(config);
  const Tokens tokens = some_tokens(config.block_size);
  const Tensor<T> expected = full_pass(model, tokens);
  Decoder<T> decoder(model);
  Index at = 0;
  for (const Index count : {7, 1, 1, 1, 30, 1, 3, 1}) {
    CAPTURE(at);
    CHECK(difference(decoder.all_logits({part(tokens, at, at + count)}), expected, at) < tolerance);
    at += count;
    CHECK(decoder.position(0) == at);
  }
  REQUIRE(at == config.block_size);
  decoder.reset(0);
  CHECK(difference(decoder.next_logits({tokens}), expected, at - 1) < tolerance);
}

}  // namespace

TEST_CASE("logits at every position are those of the full pass, in both norm orders and with a window") {
  for (const NormOrder order : {NormOrder::pre, NormOrder::post})
    for (const Index window : {Index{0}, Index{1}, Index{19}}) {
      CAPTURE(window);
      check_all_positions<double>(odd_config(order, window), 1e-12);
      check_all_positions<float>(odd_config(order, window), 1e-5);
    }
}

TEST_CASE("sequences of a batch are read side by side, at places and in numbers of their own") {
  const GPT<float> model(odd_config(NormOrder::pre));
  const Tokens a = some_tokens(20), b = part(some_tokens(40), 11, 40), c = part(some_tokens(30), 5, 30);
  Decoder<float> decoder(model, {.batch = 3});
  decoder.next_logits({part(a, 0, 9), part(b, 0, 1), part(c, 0, 20)});
  const Tensor<float> logits = decoder.next_logits({part(a, 9, 10), part(b, 1, 14), {}});
  CHECK(logits.shape() == Shape{3, 37});
  CHECK(decoder.position(0) == 10);
  CHECK(decoder.position(1) == 14);
  CHECK(decoder.position(2) == 20);
  CHECK(difference(slice(logits, 0, 0, 1), full_pass(model, a), 9) < 1e-5);
  CHECK(difference(slice(logits, 0, 1, 2), full_pass(model, b), 13) < 1e-5);
  for (Index i = 0; i < 37; ++i) CHECK(logits.at({2, i}) == 0);
  const Tensor<float> only_third = decoder.next_logits({{}, {}, part(c, 20, 25)});
  CHECK(difference(slice(only_third, 0, 2, 3), full_pass(model, c), 24) < 1e-5);
  for (Index i = 0; i < 37; ++i) CHECK(only_third.at({0, i}) == 0);
  const Tensor<float> nothing = decoder.next_logits({{}, {}, {}});
  CHECK(nothing.to_vector() == std::vector<float>(3 * 37, 0));
}

TEST_CASE("weights in bf16 and int8 give nearly the same logits") {
  const GPT<float> model({.vocab_size = 101, .block_size = 64, .n_layer = 2, .n_head = 2, .n_embd = 96});
  const Tokens tokens = some_tokens(60, 101);
  const Tensor<float> expected = full_pass(model, tokens);
  const auto error = [&](WeightFormat format) {
    Decoder<float> decoder(model, {.weights = format});
    const double prompt = difference(decoder.all_logits({part(tokens, 0, 50)}), expected, 0);
    return std::max(prompt, difference(decoder.all_logits({part(tokens, 50, 53)}), expected, 50));
  };
  double largest = 0;
  for (const float logit : expected.to_vector()) largest = std::max(largest, static_cast<double>(std::abs(logit)));
  CHECK(error(WeightFormat::fp32) < 1e-5 * largest);
  CHECK(error(WeightFormat::bf16) < 0.02 * largest);
  CHECK(error(WeightFormat::int8) < 0.02 * largest);
  CHECK(error(WeightFormat::int8) > 1e-4 * largest);  // it is not the same numbers
}

TEST_CASE("few tokens read at once have the bits of one after the other") {
  const GPT<float> model({.vocab_size = 101, .block_size = 320, .n_layer = 2, .n_head = 2, .n_embd = 96});
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::bf16, WeightFormat::int8}) {
    const Tokens tokens = some_tokens(300, 101);
    Decoder<float> decoder(model, {.weights = format});
    decoder.next_logits({part(tokens, 0, 250)});
    for (Index at = 250, count = 1; at < 300; at += count, count = count % Decoder<float>::max_tokens_per_pass + 1) {
      count = std::min(count, 300 - at);
      const Tensor<float> together = decoder.all_logits({part(tokens, at, at + count)});
      decoder.truncate(0, at);
      for (Index i = 0; i < count; ++i) {
        CAPTURE(at + i);
        CHECK(decoder.next_logits({{tokens[static_cast<std::size_t>(at + i)]}}).to_vector() ==
              slice(together, 0, i, i + 1).to_vector());
      }
    }
  }
}

TEST_CASE("a draft reads nearly the same logits, and leaves no trace behind truncate()") {
  const GPT<float> model({.vocab_size = 101, .block_size = 64, .n_layer = 2, .n_head = 2, .n_embd = 96});
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::bf16})
    for (const Index kept : {1, 20, 21}) {
      CAPTURE(kept);
      const Tokens tokens = some_tokens(40, 101);
      Decoder<float> decoder(model, {.weights = format, .draft = true}), plain(model, {.weights = format});
      decoder.next_logits({part(tokens, 0, kept)});
      plain.next_logits({part(tokens, 0, kept)});
      Tensor<float> drafted;
      for (Index at = kept; at < 40; ++at) drafted = decoder.draft_logits({part(tokens, at, at + 1)});
      CHECK(decoder.position(0) == 40);
      decoder.truncate(0, kept);
      CHECK(decoder.next_logits({part(tokens, kept, kept + 3)}).to_vector() ==
            plain.next_logits({part(tokens, kept, kept + 3)}).to_vector());
      CHECK(decoder.next_logits({part(tokens, kept + 3, 40)}).to_vector() ==
            plain.next_logits({part(tokens, kept + 3, 40)}).to_vector());
      decoder.truncate(0, 39);
      const double error = difference(drafted, decoder.next_logits({part(tokens, 39, 40)}), 0);
      CHECK(error < 0.02);
      CHECK(error > 1e-5);
    }
}

TEST_CASE("logits have the same bits for any number of threads") {
  const GPT<float> model({.vocab_size = 301, .block_size = 64, .n_layer = 2, .n_head = 4, .n_embd = 128});
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::int8}) {
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 3, 4}) {
      set_num_threads(threads);
      Decoder<float> decoder(model, {.weights = format});
      decoder.next_logits({some_tokens(40, 301)});
      results.push_back(decoder.next_logits({{5}}).to_vector());
    }
    set_num_threads(0);
    for (const std::vector<float>& result : results) CHECK(result == results.front());
  }
}

TEST_CASE("what cannot be read is refused and nothing is read") {
  const GPT<float> model(odd_config(NormOrder::pre));
  Decoder<float> decoder(model, {.batch = 2});
  decoder.next_logits({{1, 2}, {3}});
  CHECK(message_of<ShapeError>([&] { decoder.next_logits({{1}}); }) ==
        "[Decoder] tokens of 1 sequences given, the batch has 2");
  CHECK(message_of<ShapeError>([&] {
          decoder.next_logits({{1}, some_tokens(45)});
        }) == "[Decoder] sequence 1: 1 tokens and 45 more exceed block_size 45");
  CHECK(message_of<IndexError>([&] {
          decoder.next_logits({{1, 37}, {1}});
        }) == "[Decoder] token 37 at position 1 is outside the vocabulary of 37");
  CHECK(message_of<ConfigError>([&] { Decoder<float>(model, {.batch = 0}); }) ==
        "[Decoder] batch must be positive, got 0");
  CHECK(decoder.position(0) == 2);
  CHECK(message_of<IndexError>([&] { decoder.truncate(0, 3); }) ==
        "[Decoder] sequence 0 has read 2 tokens and cannot be truncated to 3");
  CHECK(message_of<IndexError>([&] { decoder.truncate(1, -1); }) ==
        "[Decoder] sequence 1 has read 1 tokens and cannot be truncated to -1");
  CHECK(message_of<IndexError>([&] { decoder.reset(2); }) == "[Decoder] sequence 2 does not exist, the batch has 2");
  CHECK(message_of<IndexError>([&] { decoder.position(-1); }) ==
        "[Decoder] sequence -1 does not exist, the batch has 2");
  CHECK(message_of<ConfigError>([&] {
          decoder.draft_logits({{1}, {1}});
        }) == "[Decoder] it has no draft: make it with DecoderOptions::draft");
  CHECK(message_of<ConfigError>([&] { Decoder<float>(model, {.weights = WeightFormat::int8, .draft = true}); }) ==
        "[Decoder] a draft has its weights in int8: it is for a Decoder in fp32 or bf16");
  const GPT<double> in_double(odd_config(NormOrder::pre));
  CHECK(message_of<ConfigError>([&] { Decoder<double>(in_double, {.draft = true}); }) ==
        "[Decoder] weights in bf16 and int8 are for models of float");
  CHECK(message_of<ConfigError>([&] { Decoder<double>(in_double, {.weights = WeightFormat::int8}); }) ==
        "[Decoder] weights in bf16 and int8 are for models of float");
}
