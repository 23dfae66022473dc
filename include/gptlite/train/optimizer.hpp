#pragma once
// Optimizer: the members that the training loop and checkpoints need of every optimizer.

#include <concepts>
#include <string>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Outcome of one optimizer step.
struct StepResult {
  double grad_norm;  ///< norm of all gradients together, before clipping
  bool skipped;      ///< the norm was not finite: nothing was updated
};

/// An optimizer of a model's parameters, such as AdamW. learning_rate() is the rate of the next step().
///
/// visit(f) calls f(name, state) for each piece of state that the following steps depend on. Names, types and order are
/// the same before the first step and after any. Options are not visited.
///   "step"                  std::int64_t&, the number of updates done
///   "<state>.<parameter>"   Tensor<T>&, state of one parameter of visit_parameters, such as "m.h.0.ln_1.weight";
///                           defined before the first update, then zeros
///   any other scalar        std::int64_t& or double&, a name of its own without a dot
/// f may write to the state or replace a tensor: an optimizer that receives the state of another one, on a model with
/// the same weights, continues bit for bit. Tensors are handles, so f clones those that it keeps.
template <class O>
concept Optimizer = requires(O& optimizer, const O& constant, double learning_rate) {
  { optimizer.step() } -> std::same_as<StepResult>;
  { constant.learning_rate() } -> std::same_as<double>;
  optimizer.set_learning_rate(learning_rate);
  optimizer.zero_grad();
  optimizer.visit([](const std::string&, auto&) {});
  constant.visit([](const std::string&, const auto&) {});
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
