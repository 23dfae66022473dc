#pragma once
// linear: x W + b for the rows of x, with a fused activation after the product.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// activation(x weight + bias).
/// x: (..., K), weight: (K, N) as GPT's checkpoints store it, bias: (N) or undefined. Returns (..., N).
/// Throws ShapeError if they do not fit. Saves x, weight and, with an activation, its input.
template <class T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias = {},
                 Activation activation = Activation::none) {
  check<ShapeError>(weight.rank() == 2, "linear", "weight must be a matrix, got ", weight.shape());
  const Index K = weight.shape()[0], N = weight.shape()[1];
  check<ShapeError>(x.rank() >= 1, "linear", "x must have features, got ", x.shape());
  check<ShapeError>(x.shape()[-1] == K, "linear", "x has ", x.shape()[-1], " features, weight expects ", K, ": x ",
                    x.shape(), ", weight ", weight.shape());
  check<ShapeError>(!bias.defined() || bias.shape() == Shape{N}, "linear", "bias ", bias.shape(),
                    " does not fit weight ", weight.shape());
  const kernels::LinearParams shape{x.shape().numel_between(0, x.rank() - 1), K, N, activation, autocast_precision()};
  const T* shift = bias.defined() ? bias.data() : nullptr;
  Tensor<T> z = Tensor<T>::empty(x.shape().with(-1, N));
  Tensor<T> y = activation == Activation::none ? z : Tensor<T>::empty(z.shape());
  kernels::linear_forward(z.data(), y.data(), x.data(), weight.data(), shift, shape);
  if (activation == Activation::none) z = {};  // backward needs it only to undo the activation

  return record("linear", y, {x, weight, bias.without_data()}, [z, shape](Inputs<T> in, const Tensor<T>& dy) {
    const auto dx = in[0].grad_target(), dweight = in[1].grad_target(), dbias = in[2].grad_target();
    kernels::linear_backward(dx, dweight, dbias, dy.data(), in[0].data(), in[1].data(),
                             z.defined() ? z.data() : nullptr, shape);
  });
}

GPTLITE_COMPILED_FUNCTION(linear)

}  // namespace gptlite::inline GPTLITE_ABI
