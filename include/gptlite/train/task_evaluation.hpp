#pragma once
// predict_task and task_metrics: the predictions of a TaskModel, and their scores.

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/autograd/ops/softmax.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/large_vector.hpp"
#include "gptlite/data/task_batches.hpp"
#include "gptlite/models/task_model.hpp"
#include "gptlite/train/scores.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Prediction for one example.
struct TaskPrediction {
  std::vector<double> probabilities;  ///< of each class, grade or choice
  Index label = 0;                    ///< the most probable, the first of several
  double score = 0;                   ///< for similarity: the mean grade
};

/// Predictions for all inputs, in their order and without dropout. Does not write to the model. before_batch is called
/// before each batch; an exception that it throws ends the evaluation. Throws ConfigError for a batch_size that is not
/// positive.
template <class Backbone>
std::vector<TaskPrediction> predict_task(const TaskModel<Backbone>& model,
                                         const std::vector<data::EncodedExample>& inputs, Index batch_size = 32,
                                         const std::function<void()>& before_batch = {}) {
  using T = typename Backbone::value_type;
  check<ConfigError>(batch_size > 0, "predict_task", "batch_size must be positive, got ", batch_size);
  const NoGrad no_grad;
  const EvalScope eval;
  LargeVector<Index> order(inputs.size());  // by length, so that little is padding
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return inputs[static_cast<std::size_t>(a)].length() < inputs[static_cast<std::size_t>(b)].length();
  });
  std::vector<TaskPrediction> predictions;
  memory::reserve(predictions, inputs.size());
  predictions.resize(inputs.size());
  for (auto from = order.begin(); from != order.end();) {
    if (before_batch) before_batch();
    const auto to = order.end() - from > batch_size ? from + batch_size : order.end();
    const std::vector<Index> chosen(from, to);
    const Tensor<T> probabilities =
        softmax(model.logits(data::collate<T>(inputs, chosen, model.task, model.score.weight.shape()[1])));
    const Index n = probabilities.shape()[1];
    const T* row = probabilities.data();
    for (const Index example : chosen) {
      TaskPrediction& prediction = predictions[static_cast<std::size_t>(example)];
      prediction.probabilities.assign(row, row + n);
      prediction.label = std::max_element(row, row + n) - row;
      for (Index k = 0; k < n; ++k) prediction.score += static_cast<double>(k) * static_cast<double>(row[k]);
      row += n;
    }
    from = to;
  }
  return predictions;
}

/// Names and values of metrics. The first is the one to select a model by: accuracy, or pearson for similarity.
using TaskMetrics = std::vector<std::pair<std::string, double>>;

/// Metrics of predictions: accuracy, macro_f1 and matthews of the labels; for similarity pearson and spearman of the
/// scores. All are NaN if a probability is not finite. Throws ShapeError if the sizes differ, DataError if they are 0.
inline TaskMetrics task_metrics(Task task, const std::vector<TaskPrediction>& predictions,
                                const std::vector<data::EncodedExample>& inputs) {
  check<ShapeError>(predictions.size() == inputs.size(), "task_metrics", "there are ", predictions.size(),
                    " predictions for ", inputs.size(), " examples");
  check<DataError>(!inputs.empty(), "task_metrics", "there are no examples");
  std::vector<Index> labels, target_labels;
  std::vector<double> scores, target_scores;
  Index n = 0;
  bool finite = true;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    labels.push_back(predictions[i].label);
    target_labels.push_back(inputs[i].label);
    scores.push_back(predictions[i].score);
    target_scores.push_back(inputs[i].score);
    n = std::max(n, static_cast<Index>(predictions[i].probabilities.size()));
    finite = finite && all_finite(predictions[i].probabilities);
  }
  const double none = std::numeric_limits<double>::quiet_NaN();
  if (task == Task::similarity && !finite) return {{"pearson", none}, {"spearman", none}};
  if (!finite) return {{"accuracy", none}, {"macro_f1", none}, {"matthews", none}};
  if (task == Task::similarity)
    return {{"pearson", pearson(scores, target_scores)}, {"spearman", spearman(scores, target_scores)}};
  const ConfusionMatrix confusion(labels, target_labels, n);
  return {{"accuracy", accuracy(labels, target_labels)},
          {"macro_f1", macro_f1(confusion)},
          {"matthews", matthews(confusion)}};
}

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
