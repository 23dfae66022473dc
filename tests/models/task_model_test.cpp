// TaskModel: the four heads, their losses and gradients, against the formulas written out.

#include "gptlite/models/task_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "gptlite/autograd/gradcheck.hpp"
#include "gptlite/nn/visit.hpp"
#include "support/throws.hpp"

namespace {

using namespace gptlite;

constexpr TokenId start = 9, delimiter = 10, extract = 11;

template <class T>
GPT<T> small_gpt(NormOrder norm_order = NormOrder::post, double dropout = 0) {
  return GPT<T>({.vocab_size = 12,
                 .block_size = 8,
                 .n_layer = 2,
                 .n_head = 2,
                 .n_embd = 8,
                 .dropout = dropout,
                 .norm_order = norm_order,
                 .initializer_range = 0.3,
                 .seed = 5});
}

// Two examples of sequences of different lengths.
template <class T>
TaskBatch<T> batch_of(Task task) {
  TaskBatch<T> batch;
  batch.labels = Tensor<std::int32_t>::from({1, 0});
  const TokenId S = start, D = delimiter, E = extract;
  switch (task) {
    case Task::classification:
      batch.tokens = Tensor<TokenId>::from({S, 3, 4, 5, E, 0, S, 6, E, 0, 0, 0}, {2, 6});
      batch.lengths = Tensor<std::int32_t>::from({5, 3});
      break;
    case Task::entailment:
      batch.tokens = Tensor<TokenId>::from({S, 3, D, 5, E, 0, S, 6, 1, D, 2, E}, {2, 6});
      batch.lengths = Tensor<std::int32_t>::from({5, 6});
      break;
    case Task::similarity:
      batch.tokens =
          Tensor<TokenId>::from({S, 3, D, 5, E, 0, S, 5, D, 3, E, 0, S, 6, 1, D, 2, E, S, 2, D, 6, 1, E}, {4, 6});
      batch.lengths = Tensor<std::int32_t>::from({5, 5, 6, 6});
      batch.sequences_per_example = 2;
      batch.probabilities = Tensor<T>::from({T(0.6), T(0.4), 0, 0, 0, 1}, {2, 3});
      break;
    case Task::multiple_choice:
      batch.tokens =
          Tensor<TokenId>::from({S, 3, D, 5, E, 0, S, 3, D, 7, 8, E, S, 6, 1, D, 2, E, S, 6, 1, D, 4, E}, {4, 6});
      batch.lengths = Tensor<std::int32_t>::from({5, 6, 6, 6});
      batch.sequences_per_example = 2;
      break;
  }
  return batch;
}

template <class T>
TaskModel<GPT<T>> model_for(Task task, NormOrder norm_order = NormOrder::post, double dropout = 0) {
  return TaskModel<GPT<T>>(small_gpt<T>(norm_order, dropout),
                           {.task = task, .n_class = task == Task::similarity ? 3 : 2, .dropout = dropout, .seed = 3});
}

constexpr Task tasks[] = {Task::classification, Task::entailment, Task::similarity, Task::multiple_choice};

// log P of the targets of one sequence, from the model's own logits: what L1 is made of.
double sequence_loss(const GPT<double>& gpt, const TaskBatch<double>& batch, Index s) {
  const Index positions = batch.tokens.shape()[1], V = gpt.config.vocab_size;
  const Tensor<double> p = log_softmax(gpt.logits(batch.tokens));
  const std::int32_t length = batch.lengths.data()[s];
  double sum = 0;
  for (std::int32_t t = 0; t + 1 < length; ++t) {
    const Index row = s * positions + t;
    sum -= p.data()[row * V + batch.tokens.data()[row + 1]];
  }
  return sum / (length - 1);
}

// The smallest backbone: the mean of the tokens' embeddings, no language model.
struct BagOfTokens {
  using value_type = double;
  static constexpr const char* base_model_prefix = "bag";
  struct Config {
    Index n_embd = 4;
    double initializer_range = 0.5;
  };
  Config config;
  std::shared_ptr<TrainingMode> mode = std::make_shared<TrainingMode>();
  Embedding<double> embeddings;

  explicit BagOfTokens(Generator init) : embeddings(20, 4, Init::normal(0.5), init) {}
  void visit(auto&& f) { f("embeddings", embeddings); }
  Tensor<double> pass(const Tensor<TokenId>& tokens, const Tensor<std::int32_t>&) const { return embeddings(tokens); }
  Tensor<double> summary(const Tensor<double>& states, const Tensor<std::int32_t>&) const { return mean(states, 1); }
};

}  // namespace

TEST_CASE("a TaskModel stands on any backbone, with L1 only on a language model") {
  static_assert(Backbone<GPT<float>> && LanguageModel<GPT<float>>);
  static_assert(Backbone<BagOfTokens> && !LanguageModel<BagOfTokens>);
  TaskModel model(BagOfTokens(Generator(3)), {.task = Task::entailment, .n_class = 3, .dropout = 0});
  std::vector<std::string> names;
  visit_parameters(model, [&](const std::string& name, Tensor<double>&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"bag.embeddings.weight", "score.weight"});
  const TaskBatch<double> batch = batch_of<double>(Task::entailment);
  CHECK(model.logits(batch).shape() == Shape{batch.labels.numel(), 3});
  model.loss(batch).backward();
  CHECK(model.backbone.embeddings.weight.has_grad());
  CHECK(message_of<ConfigError>([&] { model.loss(batch, 0.5); }) ==
        "[TaskModel] lambda is 0.5, but the backbone is no language model: it has no L1, use 0");
}

TEST_CASE("gradients of each head, L3, by gradcheck in double through the whole model") {
  for (const Task task : tasks)
    for (const NormOrder norm_order : {NormOrder::post, NormOrder::pre}) {
      CAPTURE(name_of(task));
      TaskModel<GPT<double>> model = model_for<double>(task, norm_order);
      const TaskBatch<double> batch = batch_of<double>(task);
      std::vector<Tensor<double>> parameters;
      visit_parameters(model, [&](const std::string&, Tensor<double>& tensor) { parameters.push_back(tensor); });
      const GradcheckResult result =
          gradcheck([&](const std::vector<Tensor<double>>&) { return model.loss(batch, 0.5); }, parameters);
      CHECK_MESSAGE(result.ok, result.message);
    }
}

TEST_CASE("L3 with lambda 0 is L2, bit for bit, in value and gradients") {
  for (const Task task : tasks) {
    CAPTURE(name_of(task));
    const TaskBatch<float> batch = batch_of<float>(task);
    const auto gradients = [&](auto&& loss_of) {
      TaskModel<GPT<float>> model = model_for<float>(task, NormOrder::post, 0.1);
      const Tensor<float> loss = loss_of(model);
      loss.backward();
      std::vector<float> all{loss.item()};
      visit_parameters(model, [&](const std::string& name, Tensor<float>& tensor) {
        CAPTURE(name);
        if (!tensor.has_grad()) return;
        const Tensor<float> grad = tensor.grad();
        all.insert(all.end(), grad.data(), grad.data() + grad.numel());
      });
      return all;
    };
    const auto l2 = gradients([&](TaskModel<GPT<float>>& model) {
      const Tensor<float> scores = model.logits(batch);
      return task == Task::similarity ? cross_entropy(scores, batch.probabilities)
                                      : cross_entropy(scores, batch.labels);
    });
    CHECK(l2.size() > 1000);
    CHECK(gradients([&](TaskModel<GPT<float>>& model) { return model.loss(batch, 0); }) == l2);
    CHECK(gradients([&](TaskModel<GPT<float>>& model) { return model.losses(batch, 0).l2; }) == l2);
    CHECK(gradients([&](TaskModel<GPT<float>>& model) { return model.loss(batch, 0.5); }) != l2);
  }
}

TEST_CASE("L1 is the mean over sequences of the mean over their tokens, L3 their sum") {
  for (const Task task : tasks) {
    CAPTURE(name_of(task));
    const TaskModel<GPT<double>> model = model_for<double>(task);
    const TaskBatch<double> batch = batch_of<double>(task);
    const Index N = batch.tokens.shape()[0];
    double expected = 0;
    for (Index s = 0; s < N; ++s) expected += sequence_loss(model.backbone, batch, s) / static_cast<double>(N);
    const TaskLosses<double> losses = model.losses(batch, 0.7);
    CHECK(losses.l1.item() == doctest::Approx(expected).epsilon(1e-12));
    CHECK(losses.l3.item() == doctest::Approx(losses.l2.item() + 0.7 * expected).epsilon(1e-12));
    CHECK_FALSE(model.losses(batch, 0).l1.defined());
  }
}

TEST_CASE("the heads read the extract tokens, and padding changes nothing") {
  for (const Task task : tasks) {
    CAPTURE(name_of(task));
    const TaskModel<GPT<double>> model = model_for<double>(task);
    const TaskBatch<double> batch = batch_of<double>(task);
    const Index B = 2, S = batch.sequences_per_example, C = 8, positions = batch.tokens.shape()[1];
    const Tensor<double> h = model.backbone.hidden(batch.tokens), scores = model.logits(batch);
    const Index n = task == Task::multiple_choice ? S : model.score.weight.shape()[1];
    CHECK(scores.shape() == Shape{B, n});
    const Index outputs = model.score.weight.shape()[1];
    for (Index b = 0; b < B; ++b)
      for (Index k = 0; k < n; ++k) {
        const Index output = task == Task::multiple_choice ? 0 : k;
        double expected = 0;
        for (Index s = 0; s < S; ++s) {
          if (task == Task::multiple_choice && s != k) continue;
          const double* state = h.data() + ((b * S + s) * positions + batch.lengths.data()[b * S + s] - 1) * C;
          for (Index c = 0; c < C; ++c) expected += state[c] * model.score.weight.data()[c * outputs + output];
        }
        CHECK(scores.at({b, k}) == doctest::Approx(expected).epsilon(1e-12));
      }
    TaskBatch<double> other = batch;
    other.tokens = batch.tokens.clone();
    for (Index s = 0; s < batch.tokens.shape()[0]; ++s)
      for (Index t = batch.lengths.data()[s]; t < positions; ++t) other.tokens.data()[s * positions + t] = 7;
    const Tensor<double> again = model.logits(other);
    CHECK(std::equal(scores.data(), scores.data() + scores.numel(), again.data()));
    CHECK(model.loss(batch, 0.5).item() == model.loss(other, 0.5).item());
  }
}

TEST_CASE("similarity does not depend on the order of the texts") {
  const TaskModel<GPT<double>> model = model_for<double>(Task::similarity);
  const TaskBatch<double> batch = batch_of<double>(Task::similarity);
  TaskBatch<double> exchanged = batch;
  exchanged.tokens = concat<TokenId>({slice(batch.tokens, 0, 1, 2), slice(batch.tokens, 0, 0, 1),
                                      slice(batch.tokens, 0, 3, 4), slice(batch.tokens, 0, 2, 3)},
                                     0);
  const Tensor<double> a = model.logits(batch), b = model.logits(exchanged);
  for (Index i = 0; i < a.numel(); ++i) CHECK(a.data()[i] == doctest::Approx(b.data()[i]).epsilon(1e-13));
}

TEST_CASE("names of parameters, and added tokens") {
  TaskModel<GPT<float>> model = model_for<float>(Task::classification);
  std::vector<std::string> names;
  visit_parameters(model, [&](const std::string& name, Tensor<float>&) { names.push_back(name); });
  CHECK(names.front() == "transformer.wte.weight");
  CHECK(names.back() == "score.weight");

  GPT<float> gpt = small_gpt<float>();
  const Tensor<float> before = gpt.wte.weight;
  gpt.add_tokens(3, 1);
  CHECK(gpt.config.vocab_size == 15);
  CHECK(gpt.wte.weight.shape() == Shape{15, 8});
  CHECK(gpt.wte.weight.requires_grad());
  CHECK(std::equal(before.data(), before.data() + before.numel(), gpt.wte.weight.data()));
  double squares = 0;
  for (Index i = before.numel(); i < gpt.wte.weight.numel(); ++i) squares += std::pow(gpt.wte.weight.data()[i], 2);
  CHECK(std::sqrt(squares / 24) == doctest::Approx(0.3).epsilon(0.5));
  GPT<float> same = small_gpt<float>(), other = small_gpt<float>();
  same.add_tokens(3, 1);
  other.add_tokens(3, 2);
  CHECK(std::equal(gpt.wte.weight.data(), gpt.wte.weight.data() + 120, same.wte.weight.data()));
  CHECK_FALSE(std::equal(gpt.wte.weight.data(), gpt.wte.weight.data() + 120, other.wte.weight.data()));
  CHECK(gpt.logits(Tensor<TokenId>::from({14, 0}, {1, 2})).shape() == Shape{1, 2, 15});
  CHECK(message_of<ConfigError>([&] { gpt.add_tokens(-1, 1); }) ==
        "[GPT] the number of tokens to add must be 0 or positive, got -1");
}

TEST_CASE("what a TaskModel refuses") {
  const auto refused = [](TaskModelOptions options, const char* message) {
    CHECK(message_of<ConfigError>([&] { TaskModel<GPT<float>>(small_gpt<float>(), options); }) == message);
  };
  refused({.n_class = 1}, "[TaskModel] n_class must be 2 or more, got 1");
  refused({.dropout = 1}, "[TaskModel] dropout must be in 0..1 and below 1, got 1");
  const TaskModel<GPT<float>> model = model_for<float>(Task::classification);
  TaskBatch<float> batch = batch_of<float>(Task::classification);
  CHECK(message_of<ConfigError>([&] { model.loss(batch, -0.5); }) ==
        "[TaskModel] lambda must be 0 or positive and finite, got -0.5");
  batch.sequences_per_example = 3;
  CHECK(message_of<ShapeError>([&] { model.loss(batch); }) ==
        "[TaskModel] 2 sequences are no multiple of 3 an example");
  batch.sequences_per_example = 1;
  batch.lengths = Tensor<std::int32_t>::from({5, 7});
  CHECK(message_of<IndexError>([&] { model.loss(batch); }) == "[TaskModel] length 7 of sequence 1 is outside 1..6");
  batch.lengths = Tensor<std::int32_t>::from({5});
  CHECK(message_of<ShapeError>([&] { model.loss(batch); }) ==
        "[TaskModel] tokens (2, 6) must be (sequences, T), with a length for each, got lengths (1)");
  batch.lengths = Tensor<std::int32_t>::from({1, 1});
  CHECK(message_of<DataError>([&] { model.loss(batch, 0.5); }) ==
        "[GPT] no sequence has a second token, which L1 needs");
  CHECK(message_of<ConfigError>([] { parse<Task>("sentiment"); }) ==
        "[parse] \"sentiment\" is no task; there are classification, entailment, similarity, "
        "multiple-choice");
  for (const Task task : tasks) CHECK(parse<Task>(name_of(task)) == task);
}
