// GPTConfig::openai_exact: what the code released with GPT-1 does in training and the paper does not say.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "gptlite/autograd/gradcheck.hpp"
#include "gptlite/models/task_model.hpp"

namespace {

using namespace gptlite;

constexpr Index V = 12, positions = 8, C = 8;

GPT<double> gpt_of(double dropout, bool exact = true) {
  return GPT<double>({.vocab_size = V,
                      .block_size = positions,
                      .n_layer = 1,
                      .n_head = 2,
                      .n_embd = C,
                      .dropout = dropout,
                      .initializer_range = 0.3,
                      .seed = 5,
                      .openai_exact = exact});
}
const Tensor<TokenId> tokens = Tensor<TokenId>::from({3, 4, 3, 7, 1, 3}, {2, 3});
const Tensor<TokenId> targets = Tensor<TokenId>::from({4, 3, 7, 1, 3, 3}, {2, 3});

}  // namespace

TEST_CASE("the loss's softmax covers the position rows; logits are those of the vocabulary") {
  const GPT<double> gpt = gpt_of(0);
  const Tensor<double> h = gpt.hidden(tokens);
  const Tensor<double> all = matmul(h, concat<double>({gpt.wte.weight, gpt.wpe.weight}, 0), {.transpose_b = true});
  CHECK(all.shape() == Shape{2, 3, V + positions});
  CHECK(gpt.loss(tokens, targets).item() == doctest::Approx(cross_entropy(all, targets).item()).epsilon(1e-12));
  const Tensor<double> logits = gpt.logits(tokens);
  CHECK(logits.shape() == Shape{2, 3, V});
  CHECK(cross_entropy(logits, targets).item() < gpt.loss(tokens, targets).item());
  CHECK(gpt_of(0, false).loss(tokens, targets).item() ==
        doctest::Approx(cross_entropy(logits, targets).item()).epsilon(1e-12));
}

TEST_CASE("one dropout mask of the embedding matrices, seen by the input and by the head") {
  GPT<double> gpt = gpt_of(0.4);
  const std::uint64_t position = gpt.mode->generator.position();
  const Tensor<double> head = gpt.pass(tokens).head;  // We and Wp
  CHECK(head.shape() == Shape{V + positions, C});
  const auto weight = [&](Index i) { return i < V * C ? gpt.wte.weight.data()[i] : gpt.wpe.weight.data()[i - V * C]; };
  Index dropped = 0;
  for (Index i = 0; i < head.numel(); ++i) {
    if (head.data()[i] != 0) CHECK(head.data()[i] == doctest::Approx(weight(i) / 0.6));
    dropped += head.data()[i] == 0 ? 1 : 0;
  }
  CHECK(static_cast<double>(dropped) == doctest::Approx(0.4 * (V + positions) * C).epsilon(0.25));

  // The head reads every row, so that a gradient is 0 where the mask is, whether or not the input has the row.
  gpt.mode->generator.set_position(position);
  gpt.loss(tokens, targets).backward();
  for (Index i = 0; i < V * C; ++i) {
    CAPTURE(i);
    CHECK((gpt.wte.weight.grad().data()[i] == 0) == (head.data()[i] == 0));
  }
  for (Index i = 0; i < positions * C; ++i)
    CHECK((gpt.wpe.weight.grad().data()[i] == 0) == (head.data()[V * C + i] == 0));

  gpt.eval();
  CHECK(std::equal(gpt.wte.weight.data(), gpt.wte.weight.data() + V * C, gpt.pass(tokens).head.data()));
}

TEST_CASE("the gradient of the loss is right through the whole model") {
  GPT<double> gpt = gpt_of(0.3);
  const std::uint64_t position = gpt.mode->generator.position();
  std::vector<Tensor<double>> parameters;
  visit_parameters(gpt, [&](const std::string&, Tensor<double>& parameter) { parameters.push_back(parameter); });
  const auto loss = [&](const std::vector<Tensor<double>>&) {
    gpt.mode->generator.set_position(position);  // the same masks every time
    return gpt.loss(tokens, targets);
  };
  const GradcheckResult result = gradcheck(loss, parameters);
  CHECK_MESSAGE(result, result.message);
}

TEST_CASE("answers of one example lose the same channels before the head") {
  const auto answers_differ = [](bool exact) {
    TaskModel<GPT<double>> model(gpt_of(0, exact), {.task = Task::multiple_choice, .dropout = 0.5, .seed = 4});
    model.train();
    // Two answers of the same tokens: only the masks can tell them apart.
    TaskBatch<double> batch;
    batch.tokens = Tensor<TokenId>::from({1, 3, 5, 1, 3, 5, 1, 4, 5, 1, 4, 5}, {4, 3});
    batch.lengths = Tensor<std::int32_t>::from({3, 3, 3, 3});
    batch.sequences_per_example = 2;
    batch.labels = Tensor<std::int32_t>::from({0, 1});
    const Tensor<double> scores = model.logits(batch), again = model.logits(batch);
    CHECK(scores.at({0, 0}) != again.at({0, 0}));  // dropout is at work
    return scores.at({0, 0}) != scores.at({0, 1}) || scores.at({1, 0}) != scores.at({1, 1});
  };
  CHECK_FALSE(answers_differ(true));
  CHECK(answers_differ(false));
}

TEST_CASE("L1 of a task, with the mask that its L2 has") {
  TaskModel<GPT<double>> model(gpt_of(0.4), {.task = Task::classification, .dropout = 0, .seed = 4});
  TaskBatch<double> batch;
  batch.tokens = Tensor<TokenId>::from({1, 3, 5}, {1, 3});
  batch.lengths = Tensor<std::int32_t>::from({3});
  batch.labels = Tensor<std::int32_t>::from({1});
  const std::uint64_t position = model.mode->generator.position();
  const Tensor<double> head = model.backbone.pass(batch.tokens).head;
  model.mode->generator.set_position(position);
  model.loss(batch, 0.5).backward();
  for (Index i = 0; i < V * C; ++i) CHECK((model.backbone.wte.weight.grad().data()[i] == 0) == (head.data()[i] == 0));
}
