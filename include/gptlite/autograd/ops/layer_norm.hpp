#pragma once
// layer_norm over the last axis, of a tensor and of a sum.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/layer_norm.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

/// The rows of a layer norm, and the values that its backward needs per row: the mean and 1 / sqrt(variance + eps).
template <class T>
struct NormRows {
  Index rows, n;
  Storage<T> mean, rstd;

  /// Throws ShapeError unless weight and bias fit x.
  NormRows(const char* where, const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias) {
    check<ShapeError>(x.rank() >= 1, where, "x must have features, got ", x.shape());
    n = x.shape()[-1];
    rows = x.shape().numel_between(0, x.rank() - 1);
    check<ShapeError>(weight.shape() == Shape{n} && (!bias.defined() || bias.shape() == Shape{n}), where, "x has ", n,
                      " features: x ", x.shape(), ", weight ", weight.shape(), ", bias ", bias.shape());
    mean = Storage<T>(rows);
    rstd = Storage<T>(rows);
  }
  void backward(kernels::GradTarget<T> dx, kernels::GradTarget<T> dweight, kernels::GradTarget<T> dbias, const T* dy,
                const T* x, const T* weight) const {
    kernels::layer_norm_backward(dx, dweight, dbias, dy, x, weight, mean.data(), rstd.data(), rows, n);
  }
};

}  // namespace detail

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, with the biased variance (Ba et al. 2016).
/// x: (..., n), weight: (n), bias: (n) or undefined. Returns x's shape.
/// Throws ShapeError if they do not fit. Saves x, weight and, per row, mean and 1 / sqrt(variance + eps).
template <class T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias, double eps = 1e-5) {
  const detail::NormRows<T> r("layer_norm", x, weight, bias);
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::layer_norm_forward(y.data(), r.mean.data(), r.rstd.data(), x.data(), weight.data(),
                              bias.defined() ? bias.data() : nullptr, r.rows, r.n, eps);
  return record("layer_norm", y, {x, weight, bias.without_data()}, [r](Inputs<T> in, const Tensor<T>& dy) {
    const auto dx = in[0].grad_target(), dweight = in[1].grad_target(), dbias = in[2].grad_target();
    r.backward(dx, dweight, dbias, dy.data(), in[0].data(), in[1].data());
  });
}

/// A sum and its layer norm.
template <class T>
struct AddNorm {
  Tensor<T> sum;
  Tensor<T> norm;
};

/// a + b and its layer_norm, in one pass over memory: a transformer does both after each of its parts.
/// a, b: one shape (..., n), weight: (n), bias: (n) or undefined. Returns two tensors of that shape.
/// Throws ShapeError if they do not fit. Saves the sum, weight and, per row, mean and 1 / sqrt(variance + eps).
template <class T>
AddNorm<T> add_layer_norm(const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& weight, const Tensor<T>& bias,
                          double eps = 1e-5) {
  check<ShapeError>(a.shape() == b.shape(), "add_layer_norm", "needs two equal shapes, got ", a.shape(), " and ",
                    b.shape());
  const detail::NormRows<T> r("add_layer_norm", a, weight, bias);
  Tensor<T> sum = Tensor<T>::empty(a.shape()), norm = Tensor<T>::empty(a.shape());
  kernels::layer_norm_forward(norm.data(), r.mean.data(), r.rstd.data(), a.data(), weight.data(),
                              bias.defined() ? bias.data() : nullptr, r.rows, r.n, eps, sum.data(), b.data());
  const auto backward = [r, saved = sum.detach()](Inputs<T> in, std::span<const Tensor<T>> dy) {
    const bool wanted = in[0].wants_grad() || in[1].wants_grad();
    Tensor<T> dsum;  // with the gradient that reaches the sum through the norm
    if (wanted && dy[0].defined()) dsum = dy[0].storage().unique() ? dy[0] : dy[0].clone();  // it may be another's too
    if (dy[1].defined()) {
      const bool accumulate = dsum.defined();
      if (wanted && !accumulate) dsum = Tensor<T>::empty(saved.shape());
      const kernels::GradTarget<T> dx =
          wanted ? kernels::GradTarget<T>{dsum.data(), accumulate} : kernels::GradTarget<T>{};
      const auto dweight = in[2].grad_target(), dbias = in[3].grad_target();
      r.backward(dx, dweight, dbias, dy[1].data(), saved.data(), in[2].data());
    }
    for (std::size_t i = 0; i < 2; ++i)
      if (in[i].wants_grad()) in[i].accumulate_grad(dsum);
  };
  const auto outputs = record("add_layer_norm", std::vector<Tensor<T>>{sum, norm},
                              {a.without_data(), b.without_data(), weight, bias.without_data()}, backward);
  return {outputs[0], outputs[1]};
}

GPTLITE_COMPILED_FUNCTION(layer_norm)
GPTLITE_COMPILED_FUNCTION(add_layer_norm)

}  // namespace gptlite::inline GPTLITE_ABI
