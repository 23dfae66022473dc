// predict_task: the answers are those of the model, whatever the batches; task_metrics: the right ones for each task.

#include "gptlite/train/task_evaluation.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

TaskModel<GPT<double>> model_of(Task task) {
  GPT<double> gpt(
      {.vocab_size = 20, .block_size = 12, .n_layer = 1, .n_head = 2, .n_embd = 8, .dropout = 0.5, .seed = 3});
  TaskModel<GPT<double>> model(gpt, {.task = task, .n_class = 4, .dropout = 0.5, .seed = 4});
  for (Index i = 0; i < model.score.weight.numel(); ++i) model.score.weight.data()[i] *= 40;
  model.train();
  return model;
}

std::vector<data::EncodedExample> inputs_of(Task task, Index count) {
  Generator random(9, RandomUse::other);
  const std::size_t sequences = task == Task::similarity ? 2 : task == Task::multiple_choice ? 3 : 1;
  std::vector<data::EncodedExample> inputs;
  for (Index i = 0; i < count; ++i) {
    data::EncodedExample input{{}, i % 3, 0.5 * static_cast<double>(i % 7)};
    for (std::size_t s = 0; s < sequences; ++s) {
      text::Tokens tokens;
      const Index length = 3 + random.below(9);
      for (Index t = 0; t < length; ++t) tokens.push_back(static_cast<TokenId>(random.below(20)));
      input.sequences.push_back(tokens);
    }
    inputs.push_back(input);
  }
  return inputs;
}

}  // namespace

TEST_CASE("answers are in the order of the inputs, whatever the size of a batch") {
  for (const Task task : {Task::classification, Task::entailment, Task::similarity, Task::multiple_choice}) {
    const TaskModel<GPT<double>> model = model_of(task);
    const std::vector<data::EncodedExample> inputs = inputs_of(task, 11);
    const auto all = train::predict_task(model, inputs), some = train::predict_task(model, inputs, 3);
    CHECK(model.mode->training);  // as before
    REQUIRE(all.size() == 11);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const auto alone = train::predict_task(model, {inputs[i]}, 1);
      REQUIRE(all[i].probabilities.size() == (task == Task::multiple_choice ? 3 : 4));
      double sum = 0, mean = 0, highest = 0;
      for (std::size_t k = 0; k < all[i].probabilities.size(); ++k) {
        const double p = all[i].probabilities[k];
        CHECK(p == doctest::Approx(alone[0].probabilities[k]).epsilon(1e-12));
        CHECK(p == doctest::Approx(some[i].probabilities[k]).epsilon(1e-12));
        sum += p;
        mean += p * static_cast<double>(k);
        highest = std::max(highest, p);
      }
      CHECK(sum == doctest::Approx(1));
      CHECK(all[i].score == doctest::Approx(mean));
      CHECK(all[i].probabilities[static_cast<std::size_t>(all[i].label)] == highest);
      CHECK(all[i].label == alone[0].label);
    }
  }
  CHECK(train::predict_task(model_of(Task::entailment), {}).empty());
}

TEST_CASE("the metrics of a task, the one that chooses a model first") {
  std::vector<data::EncodedExample> inputs;
  std::vector<train::TaskPrediction> predictions;
  for (const Index label : {0, 0, 1, 1}) inputs.push_back({{}, label, 2.0 * static_cast<double>(label)});
  for (const Index label : {0, 0, 1, 0}) predictions.push_back({{0.5, 0.5}, label, static_cast<double>(label)});
  const train::TaskMetrics classes = train::task_metrics(Task::multiple_choice, predictions, inputs);
  REQUIRE(classes.size() == 3);
  CHECK(classes[0] == std::pair<std::string, double>("accuracy", 0.75));
  CHECK(classes[1].first == "macro_f1");
  CHECK(classes[1].second == doctest::Approx((0.8 + 2.0 / 3) / 2));
  CHECK(classes[2].first == "matthews");
  CHECK(classes[2].second == doctest::Approx(1 / std::sqrt(3.0)));
  predictions[2].probabilities[1] = std::nan("");
  for (const auto& [name, value] : train::task_metrics(Task::classification, predictions, inputs)) CHECK(is_nan(value));
  for (const auto& [name, value] : train::task_metrics(Task::similarity, predictions, inputs)) CHECK(is_nan(value));
  predictions[2].probabilities[1] = 0.5;
  const train::TaskMetrics scores = train::task_metrics(Task::similarity, predictions, inputs);
  REQUIRE(scores.size() == 2);
  CHECK(scores[0].first == "pearson");
  CHECK(scores[0].second == doctest::Approx(1 / std::sqrt(3.0)));
  CHECK(scores[1].first == "spearman");
}

TEST_CASE("what cannot be answered or measured is refused") {
  const TaskModel<GPT<double>> model = model_of(Task::entailment);
  CHECK(message_of<ConfigError>([&] { train::predict_task(model, {}, 0); }) ==
        "[predict_task] batch_size must be positive, got 0");
  CHECK(message_of<DataError>([] { train::task_metrics(Task::entailment, {}, {}); }) ==
        "[task_metrics] there are no examples");
  CHECK(message_of<ShapeError>([] { train::task_metrics(Task::entailment, {{}}, {}); }) ==
        "[task_metrics] there are 1 predictions for 0 examples");
}
