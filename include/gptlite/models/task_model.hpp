#pragma once
// TaskModel: a backbone with the head of a task, and the losses that fine-tuning minimizes (Radford et al. 2018, 3.2):
//   L2(C) = sum log P(y | x^1 ... x^m),  P = softmax(h_l^m Wy);    L3(C) = L2(C) + lambda L1(C).

#include <concepts>
#include <cstdint>
#include <memory>
#include <utility>

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/autograd/ops/reduce.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/models/task.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// A model that can carry a task's head. base_model_prefix is its name inside Hugging Face's models with a head.
/// summary() turns the result of pass() into one state per sequence, (B, C).
template <class M>
concept Backbone = requires(const M& model, const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths) {
  { M::base_model_prefix } -> std::convertible_to<const char*>;
  { model.mode } -> std::convertible_to<std::shared_ptr<TrainingMode>>;
  { model.config.n_embd } -> std::convertible_to<Index>;
  { model.config.initializer_range } -> std::convertible_to<double>;
  { model.summary(model.pass(tokens, lengths), lengths) } -> std::same_as<Tensor<typename M::value_type>>;
};

/// A backbone that is a language model too: sequence_loss() computes L1, the loss of the sequences themselves.
template <class M>
concept LanguageModel = requires(const M& model, const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths) {
  { model.sequence_loss(model.pass(tokens, lengths), tokens, lengths) } -> std::same_as<Tensor<typename M::value_type>>;
};

/// Options of a TaskModel.
struct TaskModelOptions {
  Task task = Task::classification;
  Index n_class = 2;     ///< classes; similarity: grades, 6 for scores from 0 to 5; multiple choice: not used
  double dropout = 0.1;  ///< on what the head reads
  std::uint64_t seed = 1337;
};

/// Losses of a batch, as TaskModel::losses returns them: scalars, to be minimized.
template <class T>
struct TaskLosses {
  Tensor<T> l2;  ///< loss of the task
  Tensor<T> l1;  ///< loss of the language model on the task's texts; undefined if lambda is 0
  Tensor<T> l3;  ///< l2 + lambda l1; l2 itself if lambda is 0
};

/// A backbone with a linear head on its summary of each sequence: `TaskModel model(gpt, {.task = Task::entailment});`
/// is a TaskModel<GPT<float>>. Copies are handles on the same weights.
template <class BackboneModel>
struct TaskModel {
  using value_type = typename BackboneModel::value_type;
  using T = value_type;
  static_assert(Backbone<BackboneModel>, "a backbone has what the concept Backbone of models/task_model.hpp says");

  Task task;
  BackboneModel backbone;
  std::shared_ptr<TrainingMode> mode;  // the backbone's
  Dropout<T> drop;
  Linear<T> score;  // Wy (C, n_class), without bias; multiple choice: (C, 1), the same for every answer

  /// Puts a head on a backbone, whose weights are shared, not copied. The head's weights ~ N(0, initializer_range^2).
  /// Throws ConfigError for options that cannot work.
  TaskModel(BackboneModel model, const TaskModelOptions& options)
      : TaskModel(std::move(model), options, Generator(options.seed, RandomUse::head)) {}

  void visit(auto&& f) {
    f(BackboneModel::base_model_prefix, backbone);
    f("score", score);
  }
  /// Switches backbone and head to training: dropout is in force.
  void train() { mode->training = true; }
  /// Switches backbone and head to evaluation: no dropout.
  void eval() { mode->training = false; }

  /// Computes the logits of the classes. Returns (B, n_class), for multiple choice (B, S). Throws ShapeError for tokens
  /// and lengths that do not fit each other, IndexError for a length outside 1..T.
  Tensor<T> logits(const TaskBatch<T>& batch) const {
    check_batch(batch);
    return head(backbone.summary(backbone.pass(batch.tokens, batch.lengths), batch.lengths), batch);
  }

  /// Computes L3 = L2 + lambda L1 in one pass through the backbone. L1 is the mean over sequences of the mean over
  /// their tokens, including delimiter and extract tokens. Throws ConfigError for a lambda that is negative or not
  /// finite, and for one above 0 if the backbone is no language model; otherwise as logits() does.
  TaskLosses<T> losses(const TaskBatch<T>& batch, double lambda) const {
    check<ConfigError>(lambda >= 0 && is_finite(lambda), "TaskModel", "lambda must be 0 or positive and finite, got ",
                       lambda);
    check<ConfigError>(lambda == 0 || LanguageModel<BackboneModel>, "TaskModel", "lambda is ", lambda,
                       ", but the backbone is no language model: it has no L1, use 0");
    check_batch(batch);
    const auto pass = backbone.pass(batch.tokens, batch.lengths);
    const Tensor<T> logits = head(backbone.summary(pass, batch.lengths), batch);
    TaskLosses<T> losses;
    losses.l2 =
        task == Task::similarity ? cross_entropy(logits, batch.probabilities) : cross_entropy(logits, batch.labels);
    losses.l3 = losses.l2;
    if constexpr (LanguageModel<BackboneModel>) {
      if (lambda > 0) {
        losses.l1 = backbone.sequence_loss(pass, batch.tokens, batch.lengths);
        losses.l3 = losses.l2 + losses.l1 * static_cast<T>(lambda);
      }
    }
    return losses;
  }
  /// Computes L3, which is L2 if lambda is 0. Returns a scalar. Throws as losses() does.
  Tensor<T> loss(const TaskBatch<T>& batch, double lambda = 0) const { return losses(batch, lambda).l3; }

 private:
  TaskModel(BackboneModel model, const TaskModelOptions& options, Generator generator)
      : task(options.task),
        backbone(std::move(model)),
        mode(backbone.mode),
        drop{options.dropout, mode},
        score(backbone.config.n_embd, options.task == Task::multiple_choice ? 1 : options.n_class,
              Init::normal(backbone.config.initializer_range), generator) {
    check<ConfigError>(options.task == Task::multiple_choice || options.n_class >= 2, "TaskModel",
                       "n_class must be 2 or more, got ", options.n_class);
    check<ConfigError>(options.dropout >= 0 && options.dropout < 1, "TaskModel",
                       "dropout must be in 0..1 and below 1, got ", options.dropout);
    score.bias = {};  // as in the paper's formula and transformers' ForSequenceClassification
  }

  static void check_batch(const TaskBatch<T>& batch) {
    const Shape &tokens = batch.tokens.shape(), &lengths = batch.lengths.shape();
    check<ShapeError>(tokens.rank() == 2 && lengths == Shape{tokens[0]}, "TaskModel", "tokens ", tokens,
                      " must be (sequences, T), with a length for each, got lengths ", lengths);
    check<ShapeError>(batch.sequences_per_example > 0 && tokens[0] % batch.sequences_per_example == 0, "TaskModel",
                      tokens[0], " sequences are no multiple of ", batch.sequences_per_example, " an example");
    for (Index s = 0; s < tokens[0]; ++s) {
      const std::int32_t length = batch.lengths.data()[s];
      check<IndexError>(length >= 1 && length <= tokens[1], "TaskModel", "length ", length, " of sequence ", s,
                        " is outside 1..", tokens[1]);
    }
  }
  // Applies Wy to the sum of an example's states (similarity has two); for multiple choice to each state, so that one
  // shared Wy scores the answers.
  Tensor<T> head(const Tensor<T>& summaries, const TaskBatch<T>& batch) const {  // (B S, C)
    const Index S = batch.sequences_per_example, B = summaries.shape()[0] / S, C = summaries.shape()[1];
    const Tensor<T> states = reshape(summaries, {B, S, C});
    if (task != Task::multiple_choice) return score(drop(sum(states, 1)));
    if (same_channels_dropped() && drop.rate() > 0)
      return reshape(score(states * drop(Tensor<T>::full({B, 1, C}, 1))), {B, S});
    return reshape(score(drop(states)), {B, S});
  }
  // True if dropout drops the same channels for all answers of an example.
  bool same_channels_dropped() const {
    if constexpr (requires { backbone.config.openai_exact; }) return backbone.config.openai_exact;
    return false;
  }
};

template <class BackboneModel>
TaskModel(BackboneModel, TaskModelOptions) -> TaskModel<BackboneModel>;

#if GPTLITE_COMPILED
GPTLITE_EXTERN template struct TaskModel<GPT<float>>;
GPTLITE_EXTERN template struct TaskModel<GPT<double>>;
#endif

}  // namespace gptlite::inline GPTLITE_ABI
