// Fine-tunes a small random GPT on made-up examples of one task and writes all that another implementation needs to do
// the same, and what came out. For compare_finetune.py.
//
// usage: finetune_reference TASK post|pre FOLDER
// FOLDER/initial and FOLDER/final are models by save_task_model, FOLDER/run.json has the recipe, examples, batches,
// losses and predictions.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/gptlite.hpp"
#include "gptlite/io.hpp"

using namespace gptlite;

namespace {

constexpr Index vocab_size = 297, classes = 3, answers = 3, grades = 6;
constexpr Index train_examples = 400, held_out = 64;
constexpr double lambda = 0.5;

// Texts here are numbers of tokens, "17 4 230".
struct NumberTexts {
  text::Tokens encode(const std::string& text) const {
    std::istringstream numbers(text);
    text::Tokens tokens;
    for (TokenId token; numbers >> token;) tokens.push_back(token);
    return tokens;
  }
  text::Tokens special_tokens() const { return {}; }
};

// 1 to `longest` random tokens. A share of them, and the first, are the five tokens of a kind, 5 kind to 5 kind + 4,
// which is what can be learned.
std::string random_text(Generator& random, Index longest, Index kind, double share) {
  const Index length = 1 + random.below(longest);
  std::string text;
  for (Index i = 0; i < length; ++i) {
    const bool tells = random.uniform() < share;
    const Index token = tells ? 5 * kind + random.below(5) : 20 + random.below(vocab_size - 20);
    text += (i > 0 ? " " : "") + std::to_string(token);
  }
  return text;
}

// Two texts of up to 40 tokens are often longer than the model can read.
data::TaskExample random_example(Generator& random, Task task) {
  const Index nothing = 3;
  data::TaskExample example;
  example.label = random.below(classes);
  switch (task) {
    case Task::classification:
      example.texts = {random_text(random, 60, example.label, 0.4)};
      break;
    case Task::entailment:
      example.texts = {random_text(random, 40, nothing, 0.1), random_text(random, 40, example.label, 0.4)};
      break;
    case Task::similarity:  // graded in tenths
      example.score = static_cast<double>(random.below(51)) / 10;
      for (int i = 0; i < 2; ++i) example.texts.push_back(random_text(random, 40, 0, example.score / 5));
      break;
    case Task::multiple_choice:
      example.texts = {random_text(random, 40, nothing, 0.1)};
      for (Index i = 0; i < answers; ++i)
        example.texts.push_back(random_text(random, 20, i == example.label ? 1 : 0, 0.6));
  }
  return example;
}

data::TaskSet random_set(Generator& random, Task task, Index size) {
  data::TaskSet set{task, "made up", {}, {}};
  for (Index i = 0; i < size; ++i) set.examples.push_back(random_example(random, task));
  return set;
}

nlohmann::ordered_json json_of(const data::TaskSet& set) {
  nlohmann::ordered_json examples = nlohmann::ordered_json::array();
  for (const data::TaskExample& example : set.examples)
    examples.push_back({{"texts", example.texts}, {"label", example.label}, {"score", example.score}});
  return examples;
}

// The numbers of the examples in each batch. TaskBatches does not give them away, but labels it does.
std::vector<std::vector<Index>> batch_members(std::vector<data::EncodedExample> inputs, Index steps,
                                              const data::TaskBatchesOptions& options) {
  for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i].label = static_cast<Index>(i);
  data::TaskBatches<float> numbered(std::move(inputs), Task::classification, options);
  std::vector<std::vector<Index>> batches;
  for (Index step = 0; step < steps; ++step) {
    const TaskBatch<float> batch = numbered.next();
    batches.emplace_back(batch.labels.data(), batch.labels.data() + batch.labels.numel());
  }
  return batches;
}

// The class or answer of the greatest score; similarity: the expected grade.
double prediction(const float* scores, Index n, Task task) {
  const float* const greatest = std::max_element(scores, scores + n);
  if (task != Task::similarity) return static_cast<double>(greatest - scores);
  double sum = 0, expected = 0;
  for (Index k = 0; k < n; ++k) {
    const double weight = std::exp(static_cast<double>(scores[k] - *greatest));
    sum += weight;
    expected += weight * static_cast<double>(k);
  }
  return expected / sum;
}

void run(Task task, NormOrder norm_order, const std::string& folder) {
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte)
    bytes.push_back(text::to_byte_alphabet(std::string(1, static_cast<char>(byte))));
  const text::TaskTokenizer tokenizer = text::with_task_tokens(text::ByteBpe(bytes, {}), vocab_size);
  GPT<float> gpt({.vocab_size = vocab_size,
                  .block_size = 48,
                  .n_layer = 2,
                  .n_head = 4,
                  .n_embd = 32,
                  .norm_order = norm_order,
                  .initializer_range = 0.1,
                  .seed = 1});
  gpt.add_tokens(3, 2);
  const Index n_class = task == Task::similarity ? grades : classes;
  TaskModel<GPT<float>> model(gpt, {.task = task, .n_class = n_class, .dropout = 0, .seed = 3});
  std::vector<std::string> labels;
  if (task == Task::classification || task == Task::entailment) labels = {"first", "second", "third"};
  io::make_folder(folder);
  io::save_task_model<float>(folder + "/initial", {model, tokenizer, labels});

  Generator random(4);
  const data::TaskSet train_set = random_set(random, task, train_examples),
                      test_set = random_set(random, task, held_out);
  const text::TaskLayout layout{tokenizer.tokens, gpt.config.block_size};
  const std::vector<data::EncodedExample> inputs = data::encode_task(train_set, NumberTexts{}, layout);
  const data::TaskBatchesOptions batching{.batch_size = 8, .n_class = n_class, .seed = 5};
  const train::Schedule schedule{train::Decay::linear, 2e-3, 0, /*warmup_steps=*/10, /*max_steps=*/100};
  train::AdamW optimizer(model, {.weight_decay = 0.1, .max_grad_norm = 1});
  const train::AdamWOptions& adamw = optimizer.options();

  data::TaskBatches<float> batches(inputs, task, batching);
  std::vector<double> l2, l1, l3, grad_norms;
  for (Index step = 0; step < schedule.max_steps; ++step) {
    optimizer.set_learning_rate(schedule(step));
    const TaskLosses<float> losses = model.losses(batches.next(), lambda);
    losses.l3.backward();
    l2.push_back(losses.l2.item());
    l1.push_back(losses.l1.item());
    l3.push_back(losses.l3.item());
    grad_norms.push_back(optimizer.step().grad_norm);
  }
  model.eval();
  io::save_task_model<float>(folder + "/final", {model, tokenizer, labels});

  const NoGrad no_grad;
  std::vector<Index> all(static_cast<std::size_t>(held_out));
  std::iota(all.begin(), all.end(), Index{0});
  const auto tests = data::encode_task(test_set, NumberTexts{}, layout);
  const Tensor<float> scores = model.logits(data::collate<float>(tests, all, task, n_class));
  const Index n = scores.shape()[1];
  std::vector<double> predictions;
  for (Index i = 0; i < held_out; ++i) predictions.push_back(prediction(scores.data() + i * n, n, task));

  const text::TaskTokens& special = tokenizer.tokens;
  const nlohmann::ordered_json result = {{"task", std::string(name_of(task))},
                                         {"n_class", n_class},
                                         {"labels", labels},
                                         {"start", special.start},
                                         {"delimiter", special.delimiter},
                                         {"extract", special.extract},
                                         {"lambda", lambda},
                                         {"learning_rate", schedule.learning_rate},
                                         {"warmup_steps", schedule.warmup_steps},
                                         {"max_steps", schedule.max_steps},
                                         {"betas", adamw.betas},
                                         {"eps", adamw.eps},
                                         {"weight_decay", adamw.weight_decay},
                                         {"max_grad_norm", adamw.max_grad_norm},
                                         {"train", json_of(train_set)},
                                         {"held_out", json_of(test_set)},
                                         {"batches", batch_members(inputs, schedule.max_steps, batching)},
                                         {"l2", l2},
                                         {"l1", l1},
                                         {"l3", l3},
                                         {"grad_norms", grad_norms},
                                         {"scores", std::vector<double>(scores.data(), scores.data() + scores.numel())},
                                         {"predictions", predictions}};
  io::write_text(folder + "/run.json", result.dump() + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string order = argc == 4 ? argv[2] : "";
    check<ConfigError>(order == "post" || order == "pre", "finetune_reference",
                       "the arguments are a task, post or pre, and a folder to write to");
    run(parse<Task>(argv[1]), parse<NormOrder>(order), argv[3]);
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
