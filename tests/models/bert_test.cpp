// Bert: what its tokens see, its segments, its losses, and what it refuses. tests/io/bert_folder_test.cpp compares it
// with transformers.

#include "gptlite/models/bert.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/core/parallel.hpp"
#include "gptlite/models/bert_pre_training.hpp"
#include "gptlite/models/task_model.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

BertConfig small_bert() {
  return {.vocab_size = 23, .block_size = 9, .n_layer = 2, .n_head = 2, .n_embd = 8, .initializer_range = 0.5};
}
Tensor<TokenId> bert_tokens(Shape shape, int shift = 0) {
  Tensor<TokenId> tokens = Tensor<TokenId>::empty(std::move(shape));
  for (Index i = 0; i < tokens.numel(); ++i) tokens.data()[i] = static_cast<TokenId>((i * i + 3 * i + shift) % 23);
  return tokens;
}
std::vector<double> row_of(const Tensor<double>& hidden, Index b, Index t) {
  const std::vector<double> all = hidden.to_vector();
  const Index C = hidden.shape()[2], at = (b * hidden.shape()[1] + t) * C;
  return {all.begin() + at, all.begin() + at + C};
}
MaskedBatch masked_batch() {
  MaskedBatch batch{.tokens = bert_tokens({3, 7}),
                    .targets = Tensor<TokenId>::full({3, 7}, ignore_index),
                    .lengths = Tensor<std::int32_t>::from({7, 4, 5}),
                    .unrelated = Tensor<std::int32_t>::from({1, 0, 1})};
  for (const Index i : {1, 5, 7, 9, 17}) batch.targets.data()[i] = static_cast<TokenId>(i);
  return batch;
}

}  // namespace

TEST_CASE("Bert: the published base model has 109,482,240 parameters") {
  CHECK(BertConfig::base().parameter_count() == 109482240);
  const Bert<float> model(small_bert());
  CHECK(parameter_count(model) == model.config.parameter_count());
}

TEST_CASE("Bert: a token sees those on both sides, and no padding") {
  const Bert<double> model(small_bert());
  Tensor<TokenId> tokens = bert_tokens({2, 7});
  const Tensor<std::int32_t> lengths = Tensor<std::int32_t>::from({7, 4});
  const Tensor<double> before = model.pass(tokens, lengths);
  tokens.data()[6] = 22;      // the last token of the first sequence
  tokens.data()[7 + 5] = 22;  // padding of the second
  const Tensor<double> after = model.pass(tokens, lengths);
  CHECK(row_of(before, 0, 0) != row_of(after, 0, 0));
  for (Index t = 0; t < 4; ++t) CHECK(row_of(before, 1, t) == row_of(after, 1, t));
  const Tensor<double> alone =
      model.pass(slice(tokens.cast<double>(), 0, 1, 2).cast<TokenId>(), Tensor<std::int32_t>::from({4}));
  for (Index t = 0; t < 4; ++t) CHECK(row_of(alone, 0, t) == row_of(after, 1, t));
}

TEST_CASE("Bert: with a separator the tokens after the first one are of segment 1") {
  BertConfig config = small_bert();
  config.separator = 5;
  const Bert<double> model(config);
  const Tensor<TokenId> tokens = Tensor<TokenId>::from({1, 5, 2, 5, 3, 1, 2, 3, 4, 6}, {2, 5});
  const Tensor<std::int32_t> segments = Tensor<std::int32_t>::from({0, 0, 1, 1, 1, 0, 0, 0, 0, 0}, {2, 5});
  CHECK(model.pass(tokens).to_vector() == model.pass(tokens, {}, segments).to_vector());
  CHECK(model.pass(tokens).to_vector() != model.pass(tokens, {}, Tensor<std::int32_t>::zeros({2, 5})).to_vector());
}

TEST_CASE("BertPreTraining: losses are those of the chosen tokens and of the relation") {
  const BertPreTraining<double> model{Bert<double>(small_bert())};
  const MaskedBatch batch = masked_batch();
  const BertLosses<double> losses = model.losses(batch);
  CHECK(losses.total.item() == losses.mlm.item() + losses.nsp.item());
  const Tensor<double> hidden = model.bert.pass(batch.tokens, batch.lengths);
  CHECK(losses.mlm.item() == doctest::Approx(cross_entropy(model.logits(hidden), batch.targets).item()).epsilon(1e-12));
  CHECK(losses.nsp.item() == cross_entropy(model.relation_logits(hidden), batch.unrelated).item());
  MaskedBatch unknown = batch;
  unknown.unrelated = {};
  CHECK(model.loss(unknown).item() == losses.mlm.item());
  CHECK_FALSE(model.losses(unknown).nsp.defined());
}

TEST_CASE("BertPreTraining: the same bits for 1, 2, 3 and 4 threads, also under dropout") {
  const auto bits = [](int threads) {
    set_num_threads(threads);
    BertConfig config = small_bert();
    config.dropout = 0.2;
    BertPreTraining<float> model{Bert<float>(config)};
    std::vector<float> all;
    for (int step = 0; step < 2; ++step) {
      Tensor<float> loss = model.loss(masked_batch());
      loss.backward();
      all.push_back(loss.item());
    }
    visit_parameters(model, [&](const std::string&, const Tensor<float>& weight) {
      const std::vector<float> gradient = weight.grad().to_vector();
      all.insert(all.end(), gradient.begin(), gradient.end());
    });
    set_num_threads(0);
    return all;
  };
  const std::vector<float> one = bits(1);
  for (const int threads : {2, 3, 4}) {
    const std::vector<float> many = bits(threads);
    REQUIRE(many.size() == one.size());
    CHECK(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)) == 0);
  }
}

TEST_CASE("Bert is a backbone of a TaskModel, but no language model") {
  const TaskModel model(Bert<float>(small_bert()), {.n_class = 3});
  TaskBatch<float> batch;
  batch.tokens = bert_tokens({2, 6});
  batch.lengths = Tensor<std::int32_t>::from({6, 3});
  batch.labels = Tensor<std::int32_t>::from({2, 0});
  CHECK(model.logits(batch).shape() == Shape{2, 3});
  CHECK(model.loss(batch).item() > 0);
  CHECK(message_of<ConfigError>([&] { model.loss(batch, 0.5); }) ==
        "[TaskModel] lambda is 0.5, but the backbone is no language model: it has no L1, use 0");
}

TEST_CASE("Bert: what does not fit is refused") {
  const Bert<float> model(small_bert());
  const auto shape_error = [&](auto f) { return message_of<ShapeError>(f); };
  CHECK(shape_error([&] { model.pass(bert_tokens({7})); }) == "[Bert] tokens must be (B, T), got (7)");
  CHECK(shape_error([&] {
          model.pass(bert_tokens({1, 10}));
        }) == "[Bert] sequences of 10 tokens exceed block_size 9: tokens (1, 10)");
  CHECK(shape_error([&] {
          model.pass(bert_tokens({1, 4}), {}, Tensor<std::int32_t>::zeros({1, 3}));
        }) == "[Bert] segments must be (1, 4) as the tokens are, got (1, 3)");
  CHECK(message_of<IndexError>([&] {
          model.pass(bert_tokens({1, 4}), {}, Tensor<std::int32_t>::full({1, 4}, 2));
        }) == "[embedding] token 2 at position 0 is outside the vocabulary of 2");
  const auto config_error = [&](auto change) {
    BertConfig config = small_bert();
    change(config);
    return message_of<ConfigError>([&] { const Bert<float> made(config); });
  };
  CHECK(config_error([](BertConfig& c) { c.vocab_size = 0; }) == "[BertConfig] vocab_size must be positive, got 0");
  CHECK(config_error([](BertConfig& c) { c.n_head = 3; }) == "[BertConfig] n_embd 8 is not divisible by n_head 3");
  CHECK(config_error([](BertConfig& c) { c.dropout = 1; }) ==
        "[BertConfig] dropout must be at least 0 and below 1, got 1");
  CHECK(config_error([](BertConfig& c) { c.separator = 1, c.type_vocab_size = 1; }) ==
        "[BertConfig] a separator needs type_vocab_size 2 or more, got 1");
  BertConfig without = small_bert();
  without.pooler = false;
  CHECK(message_of<ConfigError>([&] { const BertPreTraining<float> made{Bert<float>(without)}; }) ==
        "[BertPreTraining] needs a Bert with a pooler");
  const BertPreTraining<float> pre_training{Bert<float>(small_bert())};
  MaskedBatch batch = masked_batch();
  batch.targets = Tensor<TokenId>::full({3, 7}, ignore_index);
  CHECK(message_of<DataError>([&] { pre_training.loss(batch); }) ==
        "[BertPreTraining] no token of the batch was chosen to be predicted");
  batch.targets = Tensor<TokenId>::full({3, 6}, ignore_index);
  CHECK(shape_error([&] { pre_training.loss(batch); }) ==
        "[BertPreTraining] targets must be (3, 7) as the tokens are, got (3, 6)");
}
