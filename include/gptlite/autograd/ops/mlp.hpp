#pragma once
// mlp: activation(x w1 + b1) w2 + b2 as one operation. gated_mlp: the same with a gate.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/gated_mlp.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// The sizes of an mlp whose first product gives `halves` times the features that the second takes. Throws ShapeError
/// if they do not fit.
template <class T>
kernels::MlpParams mlp_params(const char* where, const Tensor<T>& x, const Tensor<T>& w1, const Tensor<T>& b1,
                              const Tensor<T>& w2, const Tensor<T>& b2, Index halves, Activation activation) {
  check<ShapeError>(w1.rank() == 2 && w2.rank() == 2, where, "weights must be matrices, got ", w1.shape(), " and ",
                    w2.shape());
  const Index C = w1.shape()[0], H = w2.shape()[0], N = w2.shape()[1];
  check<ShapeError>(w1.shape()[1] == halves * H, where, "w1 ", w1.shape(), " gives ", w1.shape()[1], " features, w2 ",
                    w2.shape(), halves == 1 ? " expects " : " expects twice ", H);
  check<ShapeError>(x.rank() >= 1 && x.shape()[-1] == C, where, "x ", x.shape(), " does not have the ", C,
                    " features that w1 ", w1.shape(), " expects");
  check<ShapeError>(!b1.defined() || b1.shape() == Shape{halves * H}, where, "b1 ", b1.shape(), " does not fit w1 ",
                    w1.shape());
  check<ShapeError>(!b2.defined() || b2.shape() == Shape{N}, where, "b2 ", b2.shape(), " does not fit w2 ", w2.shape());
  return {x.shape().numel_between(0, x.rank() - 1), C, H, N, activation, autocast_precision()};
}

/// gated_mlp with the numbers between its two products stored as S.
template <class S, class T>
Tensor<T> gated_mlp(const Tensor<T>& x, const Tensor<T>& w1, const Tensor<T>& b1, const Tensor<T>& w2,
                    const Tensor<T>& b2, const kernels::MlpParams& shape) {
  Tensor<T> y = Tensor<T>::empty(x.shape().with(-1, shape.N));
  const auto data = [](const Tensor<T>& bias) { return bias.defined() ? bias.data() : nullptr; };
  const Storage<S> pre(shape.rows * 2 * shape.H), hidden(shape.rows * shape.H);
  kernels::gated_mlp_forward(y.data(), pre.data(), hidden.data(), x.data(), w1.data(), data(b1), w2.data(), data(b2),
                             shape);
  return record("gated_mlp", y, {x, w1, b1.without_data(), w2, b2.without_data()},
                [pre, hidden, shape](Inputs<T> in, const Tensor<T>& dy) {
                  // The second layer's targets first, in the order in which the kernel writes them.
                  kernels::MlpGradients<T> d;
                  d.w2 = in[3].grad_target();
                  d.b2 = in[4].grad_target();
                  d.x = in[0].grad_target();
                  d.w1 = in[1].grad_target();
                  d.b1 = in[2].grad_target();
                  kernels::gated_mlp_backward(d, dy.data(), in[0].data(), std::as_const(pre).data(),
                                              std::as_const(hidden).data(), in[1].data(), in[3].data(), shape);
                });
}

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
  const kernels::MlpParams shape = detail::mlp_params("mlp", x, w1, b1, w2, b2, 1, activation);
  if constexpr (std::is_same_v<T, float>)
    if (shape.precision == Precision::bf16) return detail::mlp<BFloat16>(x, w1, b1, w2, b2, shape);
  return detail::mlp<T>(x, w1, b1, w2, b2, shape);
}

/// (activation(a) b) w2 + b2 with [a, b] = x w1 + b1, the feed-forward part of a block with a gate: SwiGLU with
/// Activation::silu (Shazeer 2020). Equivalent to linear, glu and linear, with less memory traffic between them.
/// x: (..., C), w1: (C, 2H), b1: (2H) or undefined, w2: (H, N), b2: (N) or undefined. Returns (..., N).
/// Throws ShapeError if they do not fit. Saves x, w1, w2, x w1 + b1 and the gate's result, these two as bfloat16 under
/// an Autocast to bf16.
template <class T>
Tensor<T> gated_mlp(const Tensor<T>& x, const Tensor<T>& w1, const Tensor<T>& b1, const Tensor<T>& w2,
                    const Tensor<T>& b2, Activation activation = Activation::silu) {
  const kernels::MlpParams shape = detail::mlp_params("gated_mlp", x, w1, b1, w2, b2, 2, activation);
  if constexpr (std::is_same_v<T, float>)
    if (shape.precision == Precision::bf16) return detail::gated_mlp<BFloat16>(x, w1, b1, w2, b2, shape);
  return detail::gated_mlp<T>(x, w1, b1, w2, b2, shape);
}

GPTLITE_COMPILED_FUNCTION(mlp)
GPTLITE_COMPILED_FUNCTION(gated_mlp)

}  // namespace gptlite::inline GPTLITE_ABI
