#pragma once
// evaluate: the mean loss of a model over batches it does not learn from.

#include <functional>

#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/data/token_batches.hpp"
#include "gptlite/nn/dropout.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Mean of model.loss over the next `count` batches, without a graph and without dropout. Does not write to the model
/// and leaves its mode as it is. before_batch is called before each batch; an exception that it throws ends the
/// evaluation: `[&] { loop.throw_if_interrupted(); }`. Throws ConfigError if count is below 1.
template <class Model>
double evaluate(const Model& model, data::TokenBatches& batches, Index count,
                const std::function<void()>& before_batch = {}) {
  check<ConfigError>(count > 0, "evaluate", "needs at least one batch, got ", count);
  const NoGrad no_grad;
  const EvalScope eval;
  double sum = 0;
  for (Index i = 0; i < count; ++i) {
    if (before_batch) before_batch();
    const auto [inputs, targets] = batches.next();
    sum += static_cast<double>(model.loss(inputs, targets).item());
  }
  return sum / static_cast<double>(count);
}

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
