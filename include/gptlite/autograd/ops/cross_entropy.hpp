#pragma once
// cross_entropy: the loss of a language model and of a classifier. linear_cross_entropy: the head and its loss as one
// operation.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/reduce.hpp"
#include "gptlite/autograd/ops/softmax.hpp"
#include "gptlite/kernels/linear_cross_entropy.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Value of a target that does not count, as in PyTorch.
inline constexpr std::int32_t ignore_index = -100;

namespace detail {
/// Number of targets that count. Throws IndexError for a target outside 0..n-1, DataError if none counts.
inline Index count_targets(const Tensor<std::int32_t>& targets, Index n, const char* operation) {
  Index counted = 0;
  for (Index i = 0; i < targets.numel(); ++i) {
    const std::int32_t target = targets.data()[i];
    check<IndexError>(target == ignore_index || (target >= 0 && target < n), operation, "target ", target,
                      " at position ", i, " is outside the ", n, " classes");
    counted += target != ignore_index;
  }
  check<DataError>(counted > 0, operation,
                   "no target counts: ", targets.numel() == 0 ? "there are none" : "all are ignored", ", targets ",
                   targets.shape());
  return counted;
}

/// Mean loss over the targets that count; an ignored target's loss is 0.
template <class T>
Tensor<T> mean_loss(const Storage<T>& losses, Index counted) {
  double sum = 0;
  for (Index i = 0; i < losses.size(); ++i) sum += static_cast<double>(losses.data()[i]);
  return Tensor<T>::scalar(static_cast<T>(sum / static_cast<double>(counted)));
}
/// Sum of the losses, each multiplied by its weight.
template <class T>
Tensor<T> weighted_loss(const Storage<T>& losses, const Tensor<T>& weights) {
  double sum = 0;
  for (Index i = 0; i < losses.size(); ++i)
    sum += static_cast<double>(losses.data()[i]) * static_cast<double>(weights.data()[i]);
  return Tensor<T>::scalar(static_cast<T>(sum));
}
}  // namespace detail

/// Mean of -log softmax(logits)[target] over the targets that count.
/// logits: (..., n), targets: the leading shape of logits, each 0..n-1 or ignore_index. Returns a scalar.
/// Throws ShapeError if the shapes do not fit, IndexError for a target outside 0..n-1, DataError if no target counts.
/// Saves logits, targets and two numbers per row.
template <class T>
Tensor<T> cross_entropy(const Tensor<T>& logits, const Tensor<std::int32_t>& targets) {
  check<ShapeError>(logits.rank() >= 1 && targets.shape() == logits.shape().without(-1), "cross_entropy", "logits ",
                    logits.shape(), " need targets of the leading shape, got ", targets.shape());
  const Index n = logits.shape()[-1], rows = targets.numel();
  const Index counted = detail::count_targets(targets, n, "cross_entropy");
  const Storage<T> losses(rows);
  const Storage<kernels::LogSumExp<T>> lse(rows);
  kernels::cross_entropy_forward(losses.data(), lse.data(), logits.data(), targets.data(), rows, n, ignore_index);
  const Tensor<T> loss = detail::mean_loss(losses, counted);
  return record("cross_entropy", loss, {logits}, [targets, lse, rows, n, counted](Inputs<T> in, const Tensor<T>& dy) {
    const T scale = dy.item() / static_cast<T>(counted);  // dlogits += scale (softmax(logits) - onehot(target))
    kernels::cross_entropy_backward(in[0].grad_target(), scale, lse.data(), in[0].data(), targets.data(), rows, n,
                                    ignore_index);
  });
}

/// Mean over the rows of -sum_k probabilities_k log softmax(logits)_k, for targets that are distributions.
/// logits and probabilities: (..., n), the same shape. Returns a scalar.
/// Throws ShapeError if the shapes differ, DataError if there are no rows. Saves log_softmax(logits) and the
/// probabilities, which get a gradient if they require one.
template <class T>
Tensor<T> cross_entropy(const Tensor<T>& logits, const Tensor<T>& probabilities) {
  check<ShapeError>(logits.rank() >= 1 && logits.shape() == probabilities.shape(), "cross_entropy", "logits ",
                    logits.shape(), " need probabilities of the same shape, got ", probabilities.shape());
  check<DataError>(logits.numel() > 0, "cross_entropy", "there are no rows: logits ", logits.shape());
  const Index rows = logits.numel() / logits.shape()[-1];
  return sum(log_softmax(logits) * probabilities) * (T(-1) / static_cast<T>(rows));
}

/// cross_entropy(h weight^T, targets), the head of a GPT and its loss, without all logits in memory: they are computed
/// for a block of rows at a time, together with the gradients, in the forward pass.
/// h: (..., C), weight: (V, C), targets: the leading shape of h, each 0..V-1 or ignore_index. Returns a scalar.
/// row_weights: undefined, or one number per target; the loss is then the sum of the rows' losses times their weights,
/// not their mean. softcap: c, of logits that become c tanh(logits / c); 0: they stay. Throws as cross_entropy does.
/// Saves the gradients of h and weight.
template <class T>
Tensor<T> linear_cross_entropy(const Tensor<T>& h, const Tensor<T>& weight, const Tensor<std::int32_t>& targets,
                               const Tensor<T>& row_weights = {}, double softcap = 0) {
  check<ShapeError>(weight.rank() == 2 && h.rank() >= 1 && h.shape()[-1] == weight.shape()[1], "linear_cross_entropy",
                    "h ", h.shape(), " does not fit weight ", weight.shape(), ", which must be (V, C)");
  check<ShapeError>(targets.shape() == h.shape().without(-1), "linear_cross_entropy", "h ", h.shape(),
                    " needs targets of its leading shape, got ", targets.shape());
  check<ShapeError>(!row_weights.defined() || row_weights.shape() == targets.shape(), "linear_cross_entropy",
                    "targets ", targets.shape(), " need row_weights of their shape, got ", row_weights.shape());
  const kernels::LinearCrossEntropyShape shape{targets.numel(), weight.shape()[1],    weight.shape()[0],
                                               ignore_index,    autocast_precision(), softcap};
  const Index counted = detail::count_targets(targets, shape.V, "linear_cross_entropy");
  const Storage<T> losses(shape.rows);
  Tensor<T> dh, dweight;
  if (grad_enabled() && (h.requires_grad() || weight.requires_grad())) dh = Tensor<T>::empty(h.shape());
  if (dh.defined() && weight.requires_grad()) dweight = Tensor<T>::empty(weight.shape());
  kernels::linear_cross_entropy(losses.data(), dh.defined() ? dh.data() : nullptr,
                                dweight.defined() ? dweight.data() : nullptr,
                                row_weights.defined() ? T(1) : T(1) / static_cast<T>(counted), h.data(), weight.data(),
                                targets.data(), shape, row_weights.defined() ? row_weights.data() : nullptr);
  const Tensor<T> loss =
      row_weights.defined() ? detail::weighted_loss(losses, row_weights) : detail::mean_loss(losses, counted);
  return record("linear_cross_entropy", loss, {h.without_data(), weight.without_data()},
                [dh, dweight](Inputs<T> in, const Tensor<T>& dy) {
                  const T scale = dy.item();
                  const auto add = [&](const Input<T>& input, const Tensor<T>& grad) {
                    if (!input.wants_grad()) return;
                    if (scale == T(1)) return input.accumulate_grad(grad);
                    kernels::add_to(
                        input.grad_target(), grad.numel(), [scale](kernels::simd::Vec<T> g) { return g * scale; },
                        grad.data());
                  };
                  add(in[0], dh);
                  add(in[1], dweight);
                });
}

GPTLITE_COMPILED_FUNCTION(linear_cross_entropy)

}  // namespace gptlite::inline GPTLITE_ABI
