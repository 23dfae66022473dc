#pragma once
// linear: y = activation(x W + b), with bias and activation fused into the product, and its gradient.
//
// Sizes:  x (rows, K)    weight (K, N)    bias (N)    z = x weight + bias and y = activation(z): (rows, N)
//
// Results between two products are stored as S: T, or BFloat16 if both products are in bf16, which round them anyway.

#include "gptlite/kernels/activations.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace kernels {

/// Sizes and options of one linear.
struct LinearParams {
  Index rows, K, N;
  Activation activation = Activation::none;
  Precision precision = Precision::fp32;
};

/// z = x weight + bias and, with an activation, y = activation(z). A null bias is zero.
template <class T>
void linear_forward(T* z, T* y, const T* x, const T* weight, const T* bias, const LinearParams& s) {
  const auto activate = [&](const GemmPart<T>& part) {
    if (s.activation == Activation::none) return;
    for (Index r = part.row; r < part.row + part.rows; ++r) {
      T* const to = y + r * s.N + part.column;
      // Prefetch the same columns of the next rows, so the stores find them in cache.
      for (Index j = 0; j < part.columns; j += simd::line<T>) simd::prefetch_for_write(to + part.rows * s.N + j);
      detail::activate_row(s.activation, to, z + r * s.N + part.column, part.columns);
    }
  };
  gemm(s.precision, s.rows, s.N, s.K, MatrixView<T>{x, s.K}, MatrixView<T>{weight, s.N}, z, s.N, false, {.bias = bias},
       activate);
}

namespace detail {
/// Calls f(numbers, at, count) for the vectors of a part of a matrix with rows of N numbers: `numbers` holds `count`
/// numbers, and `at` is the index in the matrix of the first.
template <class T, class F>
void for_part(const GemmPart<T>& part, Index N, F&& f) {
  for (Index r = 0; r < part.rows; ++r)
    simd::for_vectors<T>(part.columns, [&](Index j, Index count) {
      f(simd::load_numbers(part.data + r * part.stride + j, count), (part.row + r) * N + part.column + j, count);
    });
}
}  // namespace detail

/// z = x weight + bias, stored as S. If S is not T, z is never whole in T. `s` has no activation.
template <class S, class T>
void linear_forward(S* z, const T* x, const T* weight, const T* bias, const LinearParams& s) {
  if constexpr (std::is_same_v<S, T>)
    linear_forward(z, z, x, weight, bias, s);
  else
    gemm(s.precision, s.rows, s.N, s.K, MatrixView<T>{x, s.K}, MatrixView<T>{weight, s.N}, static_cast<T*>(nullptr), 0,
         false, {.bias = bias}, [&](const GemmPart<T>& part) {
           detail::for_part(part, s.N, [&](simd::Vec<T> numbers, Index at, Index count) {
             simd::store_numbers(z + at, numbers, count);
           });
         });
}

/// dweight (+)= x^T dz and dbias (+)= column sums of dz. x: (rows, K), dz: (rows, N).
template <class T, class X, class Z>
void weight_gradient(Precision precision, GradTarget<T> dweight, GradTarget<T> dbias, Index rows, Index K, Index N,
                     MatrixView<X> x, MatrixView<Z> dz) {
  if (dweight)
    gemm(precision, K, N, rows, x.transposed(), dz, dweight.data, N, dweight.accumulate, {.b_sums = dbias});
  else if (dbias)
    column_sums_of_product(precision, N, rows, dz, dbias);
}

/// Gradients of z = x weight + bias:  dx (+)= dz weight^T;  dweight (+)= x^T dz;  dbias (+)= column sums of dz.
template <class S, class T>
void linear_gradients(GradTarget<T> dx, GradTarget<T> dweight, GradTarget<T> dbias, const S* dz, const T* x,
                      const T* weight, const LinearParams& s) {
  const MatrixView<S> dz_view{dz, s.N};
  if (dx)
    gemm(s.precision, s.rows, s.K, s.N, dz_view, MatrixView<T>{weight, s.N}.transposed(), dx.data, s.K, dx.accumulate);
  weight_gradient(s.precision, dweight, dbias, s.rows, s.K, s.N, MatrixView<T>{x, s.K}, dz_view);
}

/// Gradients of linear_forward. With dz = dy activation'(z):
///   dx (+)= dz weight^T;  dweight (+)= x^T dz;  dbias (+)= column sums of dz.
template <class T>
void linear_backward(GradTarget<T> dx, GradTarget<T> dweight, GradTarget<T> dbias, const T* dy, const T* x,
                     const T* weight, const T* z, const LinearParams& s) {
  const T* dz = dy;
  Storage<T> buffer;
  if (s.activation != Activation::none) {
    buffer = Storage<T>(s.rows * s.N);
    activation_backward(s.activation, GradTarget<T>{buffer.data(), false}, dy, z, s.rows * s.N);
    dz = buffer.data();
  }
  linear_gradients(dx, dweight, dbias, dz, x, weight, s);
}

GPTLITE_COMPILED_FUNCTION(linear_forward)
GPTLITE_COMPILED_FUNCTION(linear_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
