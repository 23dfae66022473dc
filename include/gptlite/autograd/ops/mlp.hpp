#pragma once
// mlp: activation(x w1 + b1) w2 + b2 as one operation.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/mlp.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// mlp with the numbers between its two products stored as S.
template <class S, class T>
Tensor<T> mlp(const Tensor<T>& x, const Tensor<T>& w1, const Tensor<T>& b1, const Tensor<T>& w2, const Tensor<T>& b2,
              const kernels::MlpParams& shape) {
  Tensor<T> y = Tensor<T>::empty(x.shape().with(-1, shape.N));
  const auto data = [](const Tensor<T>& bias) { return bias.defined() ? bias.data() : nullptr; };
  std::vector<Tensor<T>> inputs{x, w1, b1.without_data(), w2, b2.without_data()};
  const bool recorded = is_recorded(inputs);
  const Storage<S> hidden(shape.rows * shape.H), slope(recorded ? hidden.size() : 0);
  kernels::mlp_forward(y.data(), hidden.data(), recorded ? slope.data() : nullptr, x.data(), w1.data(), data(b1),
                       w2.data(), data(b2), shape);
  return record("mlp", y, std::move(inputs), [hidden, slope, shape](Inputs<T> in, const Tensor<T>& dy) {
    // The second layer's targets first, in the order in which the kernel writes them.
    kernels::MlpGradients<T> d;
    d.w2 = in[3].grad_target();
    d.b2 = in[4].grad_target();
    d.x = in[0].grad_target();
    d.w1 = in[1].grad_target();
    d.b1 = in[2].grad_target();
    kernels::mlp_backward(d, dy.data(), in[0].data(), hidden.data(), slope.data(), in[1].data(), in[3].data(), shape);
  });
}
}  // namespace detail

/// activation(x w1 + b1) w2 + b2, the feed-forward part of a block: equivalent to two linear operations, with less
/// memory traffic between them.
/// x: (..., C), w1: (C, H), b1: (H) or undefined, w2: (H, N), b2: (N) or undefined. Returns (..., N).
/// Throws ShapeError if they do not fit. Saves x, w1, w2, and value and derivative of the activation, these two as
/// bfloat16 under an Autocast to bf16. Bitwise equal to two linear() calls, except that under bf16 the gradient uses a
/// rounded derivative.
template <class T>
Tensor<T> mlp(const Tensor<T>& x, const Tensor<T>& w1, const Tensor<T>& b1, const Tensor<T>& w2, const Tensor<T>& b2,
              Activation activation = Activation::gelu_tanh) {
  check<ShapeError>(w1.rank() == 2 && w2.rank() == 2, "mlp", "weights must be matrices, got ", w1.shape(), " and ",
                    w2.shape());
  const Index C = w1.shape()[0], H = w1.shape()[1], N = w2.shape()[1];
  check<ShapeError>(w2.shape()[0] == H, "mlp", "w1 ", w1.shape(), " gives ", H, " features, w2 ", w2.shape(),
                    " expects ", w2.shape()[0]);
  check<ShapeError>(x.rank() >= 1 && x.shape()[-1] == C, "mlp", "x ", x.shape(), " does not have the ", C,
                    " features that w1 ", w1.shape(), " expects");
  check<ShapeError>(!b1.defined() || b1.shape() == Shape{H}, "mlp", "b1 ", b1.shape(), " does not fit w1 ", w1.shape());
  check<ShapeError>(!b2.defined() || b2.shape() == Shape{N}, "mlp", "b2 ", b2.shape(), " does not fit w2 ", w2.shape());
  const kernels::MlpParams shape{x.shape().numel_between(0, x.rank() - 1), C, H, N, activation, autocast_precision()};
  if constexpr (std::is_same_v<T, float>)
    if (shape.precision == Precision::bf16) return detail::mlp<BFloat16>(x, w1, b1, w2, b2, shape);
  return detail::mlp<T>(x, w1, b1, w2, b2, shape);
}

GPTLITE_COMPILED_FUNCTION(mlp)

}  // namespace gptlite::inline GPTLITE_ABI
