#pragma once
// TaskModel: a GPT with the head of a task, and the losses that fine-tuning minimises (Radford et al. 2018, 3.2):
//   L2(C) = sum log P(y | x^1 ... x^m),  P = softmax(h_l^m Wy);    L3(C) = L2(C) + lambda L1(C).

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/autograd/ops/reduce.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/models/task.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct TaskModelOptions {
  Task task = Task::classification;
  Index n_class = 2;     ///< classes; similarity: grades, 6 for scores from 0 to 5; multiple choice: not used
  double dropout = 0.1;  ///< on what the head reads
  std::uint64_t seed = 1337;
};

/// What TaskModel::losses returns. All are scalars, to be minimised.
template <class T>
struct TaskLosses {
  Tensor<T> l2;  ///< of the task
  Tensor<T> l1;  ///< of the language model on the task's texts; undefined if lambda is 0
  Tensor<T> l3;  ///< l2 + lambda l1; with lambda 0 it is l2
};

/// A GPT and a linear head on its last hidden state at the extract token. Copies are handles on the same weights.
template <class T>
struct TaskModel {
  using value_type = T;

  Task task;
  GPT<T> transformer;
  std::shared_ptr<Mode> mode;  // the GPT's
  Dropout<T> drop;
  Linear<T> score;  // Wy (C, n_class), without bias; multiple choice: (C, 1), the same for every answer

  /// The GPT's weights are shared, not copied. The head's ~ N(0, initializer_range^2). Throws ConfigError
  /// for options that cannot work.
  TaskModel(GPT<T> gpt, const TaskModelOptions& options)
      : TaskModel(std::move(gpt), options, Generator(options.seed, RandomUse::head)) {}

  void visit(auto&& f) {
    f("transformer", transformer);
    f("score", score);
  }
  void train() { transformer.train(); }
  void eval() { transformer.eval(); }

  /// Scores before the softmax. Returns (B, n_class), for multiple choice (B, S).
  Tensor<T> logits(const TaskBatch<T>& batch) const {
    return head(at_extract(hidden(batch, transformer.tables()), batch));
  }

  /// L3 = L2 + lambda L1 in one pass through the backbone. L1 is the mean over sequences of the mean over the
  /// sequence's tokens, delimiter and extract tokens among them. Throws ConfigError for a negative lambda.
  TaskLosses<T> losses(const TaskBatch<T>& batch, double lambda) const {
    check<ConfigError>(lambda >= 0 && is_finite(lambda), "TaskModel", "lambda must be 0 or positive and finite, got ",
                       lambda);
    const typename GPT<T>::Tables w = transformer.tables();
    const Tensor<T> h = hidden(batch, w);
    const Tensor<T> scores = head(at_extract(h, batch));
    TaskLosses<T> losses;
    losses.l2 =
        task == Task::similarity ? cross_entropy(scores, batch.probabilities) : cross_entropy(scores, batch.labels);
    if (lambda == 0) {
      losses.l3 = losses.l2;
      return losses;
    }
    losses.l1 = language_model_loss(h, batch, w);
    losses.l3 = losses.l2 + losses.l1 * static_cast<T>(lambda);
    return losses;
  }
  /// L3, or L2 with lambda 0.
  Tensor<T> loss(const TaskBatch<T>& batch, double lambda = 0) const { return losses(batch, lambda).l3; }

 private:
  TaskModel(GPT<T> gpt, const TaskModelOptions& options, Generator init)
      : task(options.task),
        transformer(std::move(gpt)),
        mode(transformer.mode),
        drop{options.dropout, mode},
        score(transformer.config.n_embd, options.task == Task::multiple_choice ? 1 : options.n_class,
              transformer.config.initializer_range, init) {
    check<ConfigError>(options.task == Task::multiple_choice || options.n_class >= 2, "TaskModel",
                       "n_class must be 2 or more, got ", options.n_class);
    check<ConfigError>(options.dropout >= 0 && options.dropout < 1, "TaskModel",
                       "dropout must be in 0..1 and below 1, got ", options.dropout);
    score.bias = {};  // as in the paper's formula and transformers' ForSequenceClassification
  }

  // The last hidden states of every token. Returns (B S, T, C).
  Tensor<T> hidden(const TaskBatch<T>& batch, const typename GPT<T>::Tables& w) const {
    const Shape &tokens = batch.tokens.shape(), &lengths = batch.lengths.shape();
    check<ShapeError>(tokens.rank() == 2 && lengths == Shape{tokens[0]}, "TaskModel", "tokens ", tokens,
                      " must be (sequences, T), with a length for each, got lengths ", lengths);
    check<ShapeError>(batch.sequences > 0 && tokens[0] % batch.sequences == 0, "TaskModel", tokens[0],
                      " sequences are no multiple of ", batch.sequences, " an example");
    for (Index s = 0; s < tokens[0]; ++s) {
      const std::int32_t length = batch.lengths.data()[s];
      check<IndexError>(length >= 1 && length <= tokens[1], "TaskModel", "length ", length, " of sequence ", s,
                        " is outside 1..", tokens[1]);
    }
    return transformer.hidden(batch.tokens, w);
  }
  // Those of the extract tokens. Returns (B, S, C).
  Tensor<T> at_extract(const Tensor<T>& h, const TaskBatch<T>& batch) const {
    const Index N = h.shape()[0], positions = h.shape()[1], C = h.shape()[2];
    Tensor<std::int32_t> rows = Tensor<std::int32_t>::empty({N});
    for (Index s = 0; s < N; ++s)
      rows.data()[s] = static_cast<std::int32_t>(s * positions) + batch.lengths.data()[s] - 1;
    return reshape(gather_rows(reshape(h, {N * positions, C}), rows), {N / batch.sequences, batch.sequences, C});
  }
  // Wy on the sum of an example's states (similarity has two), or on each, where one shared Wy scores the answers.
  Tensor<T> head(const Tensor<T>& states) const {  // (B, S, C)
    const Index B = states.shape()[0], S = states.shape()[1], C = states.shape()[2];
    if (task == Task::multiple_choice && transformer.config.openai_exact && drop.active() > 0) {
      const Tensor<T> mask = drop(Tensor<T>::full({B, 1, C}, 1));  // the same for all answers
      return reshape(score(states * mask), {B, S});
    }
    if (task == Task::multiple_choice) return reshape(score(drop(states)), {B, S});
    return score(drop(sum(states, 1)));
  }
  // The padding is left out before the product with the vocabulary, which is most of the work.
  Tensor<T> language_model_loss(const Tensor<T>& h, const TaskBatch<T>& batch, const typename GPT<T>::Tables& w) const {
    const Index N = h.shape()[0], positions = h.shape()[1];
    std::vector<std::int32_t> rows, targets;
    std::vector<T> weights;
    for (Index s = 0; s < N; ++s) {
      const std::int32_t predicted = batch.lengths.data()[s] - 1;
      for (std::int32_t t = 0; t < predicted; ++t) {
        rows.push_back(static_cast<std::int32_t>(s * positions) + t);
        targets.push_back(batch.tokens.data()[s * positions + t + 1]);
        weights.push_back(T(1) / static_cast<T>(N * predicted));
      }
    }
    check<DataError>(!rows.empty(), "TaskModel", "no sequence has a second token, which L1 needs");
    const Tensor<T> states = gather_rows(reshape(h, {N * positions, h.shape()[2]}), Tensor<std::int32_t>::from(rows));
    return transformer.head_loss(states, Tensor<TokenId>::from(targets), Tensor<T>::from(weights), w);
  }
};

GPTLITE_COMPILED_CLASS(TaskModel)

}  // namespace gptlite::inline GPTLITE_ABI
