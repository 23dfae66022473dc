#pragma once
// layer_norm over the last axis.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/layer_norm.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, with the biased variance (Ba et al. 2016).
/// x: (..., n), weight and bias: (n). Returns x's shape. Throws ShapeError if they do not fit. Saves x, weight and, for
/// each row, mean and 1 / sqrt(variance + eps).
template <class T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias, double eps = 1e-5) {
  check<ShapeError>(x.rank() >= 1, "layer_norm", "x must have features, got ", x.shape());
  const Index n = x.shape()[-1], rows = x.shape().numel_between(0, x.rank() - 1);
  check<ShapeError>(weight.shape() == Shape{n} && bias.shape() == Shape{n}, "layer_norm", "x has ", n, " features: x ",
                    x.shape(), ", weight ", weight.shape(), ", bias ", bias.shape());
  Tensor<T> y = Tensor<T>::empty(x.shape());
  const Storage<T> mean(rows), rstd(rows);
  kernels::layer_norm_forward(y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows, n, eps);
  return record("layer_norm", y, {x, weight, bias.without_data()},
                [mean, rstd, rows, n](Inputs<T> in, const Tensor<T>& dy) {
                  const auto dx = in[0].grad_target(), dweight = in[1].grad_target(), dbias = in[2].grad_target();
                  kernels::layer_norm_backward(dx, dweight, dbias, dy.data(), in[0].data(), in[1].data(), mean.data(),
                                               rstd.data(), rows, n);
                });
}

}  // namespace gptlite::inline GPTLITE_ABI
