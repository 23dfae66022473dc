#pragma once
// mlp: y = activation(x w1 + b1) w2 + b2, the feed-forward part of a block, and its gradient. The wide result between
// the two products is written once, in the format that the second product reads. With products in bf16 it is never
// whole in fp32.
//
// Sizes:  x (rows, C)    w1 (C, H)    b1 (H)    w2 (H, N)    b2 (N)    y (rows, N)    hidden, slope (rows, H)

#include "gptlite/kernels/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Sizes and options of one mlp.
struct MlpParams {
  Index rows, C, H, N;
  Activation activation = Activation::gelu_tanh;
  Precision precision = Precision::fp32;
};

/// hidden = activation(x w1 + b1), slope = activation'(x w1 + b1) unless it is null, y = hidden w2 + b2. A null bias is
/// zero. S, the type of hidden and slope, is T, or BFloat16 if the products are in bf16.
template <class S, class T>
void mlp_forward(T* y, S* hidden, S* slope, const T* x, const T* w1, const T* b1, const T* w2, const T* b2,
                 const MlpParams& s) {
  gemm(s.precision, s.rows, s.H, s.C, MatrixView<T>{x, s.C}, MatrixView<T>{w1, s.H}, static_cast<T*>(nullptr), 0, false,
       {.bias = b1}, [&](const GemmPart<T>& part) {
         for (Index r = 0; r < part.rows; ++r) {
           const Index at = (part.row + r) * s.H + part.column;
           detail::activate_row(s.activation, hidden + at, slope == nullptr ? nullptr : slope + at,
                                part.data + r * part.stride, part.columns);
         }
       });
  gemm(s.precision, s.rows, s.N, s.H, MatrixView<S>{hidden, s.H}, MatrixView<T>{w2, s.N}, y, s.N, false, {.bias = b2});
}

/// The gradients that mlp_backward() writes.
template <class T>
struct MlpGradients {
  GradTarget<T> x, w1, b1, w2, b2;
};

/// Gradients of mlp_forward. With dz = (dy w2^T) slope:  dx (+)= dz w1^T,  dw1 (+)= x^T dz, db1 (+)= column sums of dz,
/// dw2 (+)= hidden^T dy,  db2 (+)= column sums of dy.
template <class S, class T>
void mlp_backward(const MlpGradients<T>& d, const T* dy, const T* x, const S* hidden, const S* slope, const T* w1,
                  const T* w2, const MlpParams& s) {
  const MatrixView<T> dy_view{dy, s.N};
  weight_gradient(s.precision, d.w2, d.b2, s.rows, s.H, s.N, MatrixView<S>{hidden, s.H}, dy_view);
  if (!d.x && !d.w1 && !d.b1) return;
  const Storage<S> dz(s.rows * s.H);
  gemm(s.precision, s.rows, s.H, s.N, dy_view, MatrixView<T>{w2, s.N}.transposed(), static_cast<T*>(nullptr), 0, false,
       {}, [&](const GemmPart<T>& part) {
         detail::for_part(part, s.H, [&](simd::Vec<T> dhidden, Index at, Index count) {
           simd::store_numbers(dz.data() + at, dhidden * simd::load_numbers(slope + at, count), count);
         });
       });
  linear_gradients(d.x, d.w1, d.b1, std::as_const(dz).data(), x, w1,
                   LinearParams{.rows = s.rows, .K = s.C, .N = s.H, .precision = s.precision});
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
