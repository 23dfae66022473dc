#pragma once
// layer_norm over the last axis, and of a sum.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/layer_norm.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

/// layer_norm of x, or of x + added with the sum in `sum`.
template <class T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias, double eps,
                     const Tensor<T>& added, Tensor<T>& sum) {
  check<ShapeError>(x.rank() >= 1, "layer_norm", "x must have features, got ", x.shape());
  const Index n = x.shape()[-1], rows = x.shape().numel_between(0, x.rank() - 1);
  check<ShapeError>(weight.shape() == Shape{n} && bias.shape() == Shape{n}, "layer_norm", "x has ", n, " features: x ",
                    x.shape(), ", weight ", weight.shape(), ", bias ", bias.shape());
  Tensor<T> y = Tensor<T>::empty(x.shape());
  const Storage<T> mean(rows), rstd(rows);
  if (added.defined()) {
    check<ShapeError>(added.shape() == x.shape(), "add_layer_norm", "needs two equal shapes, got ", x.shape(), " and ",
                      added.shape());
    sum = Tensor<T>::empty(x.shape());
    kernels::layer_norm_forward(y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows, n, eps,
                                sum.data(), added.data());
    sum =
        record("add_layer_norm", sum, {x.without_data(), added.without_data()}, [](Inputs<T> in, const Tensor<T>& dy) {
          for (std::size_t i = 0; i < 2; ++i)
            if (in[i].wants_grad()) in[i].add_grad(dy);
        });
  } else {
    kernels::layer_norm_forward(y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows, n, eps);
  }
  return record("layer_norm", y, {added.defined() ? sum : x, weight, bias.without_data()},
                [mean, rstd, rows, n](Inputs<T> in, const Tensor<T>& dy) {
                  const auto dx = in[0].grad_target(), dweight = in[1].grad_target(), dbias = in[2].grad_target();
                  kernels::layer_norm_backward(dx, dweight, dbias, dy.data(), in[0].data(), in[1].data(), mean.data(),
                                               rstd.data(), rows, n);
                });
}

}  // namespace detail

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, with the biased variance (Ba et al. 2016).
/// x: (..., n), weight and bias: (n). Returns x's shape. Throws ShapeError if they do not fit. Saves x, weight and, for
/// each row, mean and 1 / sqrt(variance + eps).
template <class T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias, double eps = 1e-5) {
  Tensor<T> no_sum;
  return detail::layer_norm(x, weight, bias, eps, {}, no_sum);
}

/// A sum and its layer norm.
template <class T>
struct NormedSum {
  Tensor<T> sum;
  Tensor<T> norm;
};

/// a + b, and layer_norm of it, in one pass over memory: what a transformer does after each of its parts.
/// a, b: one shape (..., n), weight and bias: (n). Throws ShapeError if they do not fit. Saves what layer_norm saves.
template <class T>
NormedSum<T> add_layer_norm(const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& weight, const Tensor<T>& bias,
                            double eps = 1e-5) {
  NormedSum<T> result;
  result.norm = detail::layer_norm(a, weight, bias, eps, b, result.sum);
  return result;
}

GPTLITE_COMPILED_FUNCTION(detail::layer_norm)

}  // namespace gptlite::inline GPTLITE_ABI
