#pragma once
// rms_norm over the last axis.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/rms_norm.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019).
/// x: (..., n), weight: (n). Returns x's shape.
/// Throws ShapeError if they do not fit. Saves x, weight and, per row, 1 / sqrt(mean(x^2) + eps).
template <class T>
Tensor<T> rms_norm(const Tensor<T>& x, const Tensor<T>& weight, double eps = 1e-5) {
  check<ShapeError>(x.rank() >= 1, "rms_norm", "x must have features, got ", x.shape());
  const Index n = x.shape()[-1], rows = x.shape().numel_between(0, x.rank() - 1);
  check<ShapeError>(weight.shape() == Shape{n}, "rms_norm", "x has ", n, " features: x ", x.shape(), ", weight ",
                    weight.shape());
  const Storage<T> inverse_rms(rows);
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::rms_norm_forward(y.data(), inverse_rms.data(), x.data(), weight.data(), rows, n, eps);
  return record("rms_norm", y, {x, weight}, [rows, n, inverse_rms](Inputs<T> in, const Tensor<T>& dy) {
    const auto dx = in[0].grad_target(), dweight = in[1].grad_target();
    kernels::rms_norm_backward(dx, dweight, dy.data(), in[0].data(), in[1].data(), inverse_rms.data(), rows, n);
  });
}

GPTLITE_COMPILED_FUNCTION(rms_norm)

}  // namespace gptlite::inline GPTLITE_ABI
