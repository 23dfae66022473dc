#pragma once
// softmax and log_softmax over the last axis.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/softmax.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// softmax(x) = exp(x) / sum(exp(x)) over the last axis.
/// x: (..., n). Returns the same shape. Throws ShapeError for a scalar. Saves the result.
template <class T>
Tensor<T> softmax(const Tensor<T>& x) {
  check<ShapeError>(x.rank() >= 1, "softmax", "needs an axis, got a scalar");
  const Index n = x.shape()[-1], rows = x.shape().numel_between(0, x.rank() - 1);
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::softmax_forward(y.data(), x.data(), rows, n);
  return record("softmax", y, {x.without_data()}, [saved = y.detach(), rows, n](Inputs<T> in, const Tensor<T>& dy) {
    kernels::softmax_backward(in[0].grad_target(), dy.data(), saved.data(), rows, n);  // dx += y (dy - sum(dy y))
  });
}

/// log_softmax(x) = x - log(sum(exp(x))) over the last axis.
/// x: (..., n). Returns the same shape. Throws ShapeError for a scalar. Saves the result.
template <class T>
Tensor<T> log_softmax(const Tensor<T>& x) {
  check<ShapeError>(x.rank() >= 1, "log_softmax", "needs an axis, got a scalar");
  const Index n = x.shape()[-1], rows = x.shape().numel_between(0, x.rank() - 1);
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::log_softmax_forward(y.data(), x.data(), rows, n);
  return record("log_softmax", y, {x.without_data()}, [saved = y.detach(), rows, n](Inputs<T> in, const Tensor<T>& dy) {
    kernels::log_softmax_backward(in[0].grad_target(), dy.data(), saved.data(), rows, n);  // dx += dy - exp(y) sum(dy)
  });
}

GPTLITE_COMPILED_FUNCTION(softmax)
GPTLITE_COMPILED_FUNCTION(log_softmax)

}  // namespace gptlite::inline GPTLITE_ABI
