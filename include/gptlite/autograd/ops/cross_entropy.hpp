#pragma once
// cross_entropy: the loss of a language model and of a classifier.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/softmax.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// A target with this value does not count, as in PyTorch.
inline constexpr std::int32_t ignore_index = -100;

/// Mean over the targets that count of -log softmax(logits)[target].
/// logits: (..., n), targets: the leading shape of logits, each 0..n-1 or ignore_index. Returns a scalar.
/// Throws ShapeError if the shapes do not fit, IndexError for a target outside 0..n-1, DataError if no target counts.
/// Saves logits, targets and a number a row.
template <class T>
Tensor<T> cross_entropy(const Tensor<T>& logits, const Tensor<std::int32_t>& targets) {
  check<ShapeError>(logits.rank() >= 1 && targets.shape() == logits.shape().without(-1), "cross_entropy", "logits ",
                    logits.shape(), " need targets of the leading shape, got ", targets.shape());
  const Index n = logits.shape()[-1], rows = targets.size();
  Index counted = 0;
  for (Index i = 0; i < rows; ++i) {
    const std::int32_t target = targets.data()[i];
    check<IndexError>(target == ignore_index || (target >= 0 && target < n), "cross_entropy", "target ", target,
                      " at position ", i, " is outside the ", n, " classes");
    counted += target != ignore_index;
  }
  check<DataError>(counted > 0, "cross_entropy", "no target counts: ", rows == 0 ? "there are none" : "all are ignored",
                   ", targets ", targets.shape());

  const Storage<T> losses(rows), lse(rows);
  kernels::cross_entropy_forward(losses.data(), lse.data(), logits.data(), targets.data(), rows, n, ignore_index);
  double sum = 0;
  for (Index i = 0; i < rows; ++i) sum += static_cast<double>(losses.data()[i]);
  Tensor<T> loss = Tensor<T>::scalar(static_cast<T>(sum / static_cast<double>(counted)));

  return record("cross_entropy", loss, {logits}, [targets, lse, rows, n, counted](Inputs<T> in, const Tensor<T>& dy) {
    const T scale = dy.item() / static_cast<T>(counted);  // dlogits += scale (softmax(logits) - onehot(target))
    kernels::cross_entropy_backward(in[0].grad(), scale, lse.data(), in[0].data(), targets.data(), rows, n,
                                    ignore_index);
  });
}

}  // namespace gptlite::inline GPTLITE_ABI
