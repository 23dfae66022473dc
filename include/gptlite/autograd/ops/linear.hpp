#pragma once
// linear: x W + b for the rows of x, with an activation fused behind the product.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/activations.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"
#include "gptlite/kernels/reduce.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// What linear applies to its result while the result is in cache.
enum class Activation { none, gelu };

namespace detail {

/// z = x weight + bias and, fused behind it, y = gelu(z). x: (rows, K), weight: (K, N), bias: (N) or null, z and y:
/// (rows, N). For Activation::none y is not written.
template <class T>
void linear_forward(T* z, T* y, const T* x, const T* weight, const T* bias, Index rows, Index K, Index N,
                    Activation activation) {
  using V = kernels::simd::Vec<T>;
  const auto finish = [&](Index row, Index count, Index column, Index columns) {
    for (Index r = row; r < row + count; ++r) {
      T* out = z + r * N + column;
      if (bias != nullptr)
        kernels::simd::transform(
            out, columns, [](V a, V b) { return a + b; }, out, bias + column);
      if (activation == Activation::gelu)
        kernels::simd::transform(
            y + r * N + column, columns, [](V v) { return kernels::detail::Gelu<T>::value(v); }, out);
    }
  };
  kernels::gemm(rows, N, K, kernels::MatrixView<T>{x, K}, kernels::MatrixView<T>{weight, N}, z, N, false, finish);
}

}  // namespace detail

/// activation(x weight + bias).
/// x: (..., K), weight: (K, N) as GPT's checkpoints store it, bias: (N) or undefined. Returns (..., N).
/// Throws ShapeError if they do not fit. Saves x, weight and, with an activation, what went into it.
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
  const Index rows = x.shape().numel_between(0, x.rank() - 1);
  const T* shift = bias.defined() ? bias.data() : nullptr;
  Tensor<T> z = Tensor<T>::empty(x.shape().with(-1, N));
  Tensor<T> y = activation == Activation::none ? z : Tensor<T>::empty(z.shape());
  detail::linear_forward(z.data(), y.data(), x.data(), weight.data(), shift, rows, K, N, activation);
  if (activation == Activation::none) z = {};  // backward needs it only to undo the activation

  return record("linear", y, {x, weight, bias.without_data()}, [z, rows, K, N](Inputs<T> in, const Tensor<T>& dy) {
    Tensor<T> dz = dy;
    if (z.defined()) {
      dz = Tensor<T>::zeros(dy.shape());
      kernels::gelu_backward(dz.data(), dy.data(), z.data(), dy.size());
    }
    const kernels::MatrixView<T> dz_view{dz.data(), N};
    if (in[0].wants_grad()) {  // dx += dz weight^T
      const auto [dx, accumulate] = in[0].grad_target();
      kernels::gemm(rows, K, N, dz_view, kernels::MatrixView<T>{in[1].data(), N}.transposed(), dx, K, accumulate);
    }
    if (in[1].wants_grad()) {  // dweight += x^T dz
      const auto [dweight, accumulate] = in[1].grad_target();
      kernels::gemm(K, N, rows, kernels::MatrixView<T>{in[0].data(), K}.transposed(), dz_view, dweight, N, accumulate);
    }
    if (in[2].wants_grad()) {  // dbias += column sums of dz
      const auto [dbias, accumulate] = in[2].grad_target();
      kernels::column_sums(dbias, dz.data(), rows, N, accumulate);
    }
  });
}

}  // namespace gptlite::inline GPTLITE_ABI
