#pragma once
// gated_mlp: y = (activation(a) b) w2 + b2 with [a, b] = x w1 + b1, the gated feed-forward part of a block, and its
// gradient. With products in bf16 nothing between the two products is ever whole in fp32.
//
// Sizes:  x (rows, C)    w1 (C, 2H)    b1 (2H)    w2 (H, N)    b2 (N)    y (rows, N)    pre (rows, 2H)    hidden (rows,
// H)

#include "gptlite/kernels/glu.hpp"
#include "gptlite/kernels/mlp.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// pre = x w1 + b1, hidden = activation(a) b of its halves, y = hidden w2 + b2. A null bias is zero. S, the type of pre
/// and hidden, is T, or BFloat16 if the products are in bf16.
template <class S, class T>
void gated_mlp_forward(T* y, S* pre, S* hidden, const T* x, const T* w1, const T* b1, const T* w2, const T* b2,
                       const MlpParams& s) {
  linear_forward(pre, x, w1, b1, LinearParams{.rows = s.rows, .K = s.C, .N = 2 * s.H, .precision = s.precision});
  glu_forward<T>(s.activation, hidden, std::as_const(pre), s.rows, s.H);
  gemm(s.precision, s.rows, s.N, s.H, MatrixView<S>{hidden, s.H}, MatrixView<T>{w2, s.N}, y, s.N, false, {.bias = b2});
}

/// Gradients of gated_mlp_forward. With dh = dy w2^T:  da = dh b activation'(a),  db = dh activation(a),  and of [da,
/// db] those of a linear; dw2 (+)= hidden^T dy,  db2 (+)= column sums of dy.
template <class S, class T>
void gated_mlp_backward(const MlpGradients<T>& d, const T* dy, const T* x, const S* pre, const S* hidden, const T* w1,
                        const T* w2, const MlpParams& s) {
  const MatrixView<T> dy_view{dy, s.N};
  weight_gradient(s.precision, d.w2, d.b2, s.rows, s.H, s.N, MatrixView<S>{hidden, s.H}, dy_view);
  if (!d.x && !d.w1 && !d.b1) return;
  const Storage<S> dpre(s.rows * 2 * s.H);
  gemm(s.precision, s.rows, s.H, s.N, dy_view, MatrixView<T>{w2, s.N}.transposed(), static_cast<T*>(nullptr), 0, false,
       {}, [&](const GemmPart<T>& part) {
         for (Index r = 0; r < part.rows; ++r) {
           const Index at = (part.row + r) * 2 * s.H + part.column;
           detail::glu_row_backward(s.activation, dpre.data() + at, dpre.data() + at + s.H, part.data + r * part.stride,
                                    pre + at, pre + at + s.H, part.columns);
         }
       });
  linear_gradients(d.x, d.w1, d.b1, std::as_const(dpre).data(), x, w1,
                   LinearParams{.rows = s.rows, .K = s.C, .N = 2 * s.H, .precision = s.precision});
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
