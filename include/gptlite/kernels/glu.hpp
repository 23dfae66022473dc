#pragma once
// Gated linear units: y = activation(a) b for x = [a, b], and their gradient.
//
// Sizes:  x (rows, 2H)    y (rows, H)

#include "gptlite/kernels/activations.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// y = activation(a) b, of n numbers, on the calling thread. S: T, or BFloat16, which rounds.
template <class T, class S>
[[gnu::noinline]] void glu_row(Activation activation, S* y, const S* a, const S* b, Index n) {
  with_activation<T>(activation, [&]<class A>(A) {
    simd::for_vectors<T>(n, [&](Index i, Index count) {
      simd::store_numbers(y + i, A::value(simd::load_numbers(a + i, count)) * simd::load_numbers(b + i, count), count);
    });
  });
}
/// da = dy b activation'(a),  db = dy activation(a).
template <class T, class S>
[[gnu::noinline]] void glu_row_backward(Activation activation, S* da, S* db, const T* dy, const S* a, const S* b,
                                        Index n) {
  with_activation<T>(activation, [&]<class A>(A) {
    simd::for_vectors<T>(n, [&](Index i, Index count) {
      const simd::Vec<T> d = simd::load_numbers(dy + i, count);
      const auto [value, slope] = A::both(simd::load_numbers(a + i, count));
      simd::store_numbers(da + i, d * simd::load_numbers(b + i, count) * slope, count);
      simd::store_numbers(db + i, d * value, count);
    });
  });
}
/// Calls f(row) for each row, in parallel.
template <class F>
void for_glu_rows(Index rows, Index H, F&& f) {
  parallel_for_ranges(rows, std::max<Index>(1, elementwise_grain / std::max<Index>(H, 1)), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) f(row);
  });
}

}  // namespace detail

/// y = activation(a) b for each row [a, b] of x. S: T, or BFloat16, which rounds.
template <class T, class S>
void glu_forward(Activation activation, S* y, const S* x, Index rows, Index H) {
  detail::for_glu_rows(rows, H, [&](Index row) {
    const S* const a = x + row * 2 * H;
    detail::glu_row<T>(activation, y + row * H, a, a + H, H);
  });
}
/// dx = [dy b activation'(a), dy activation(a)] for each row.
template <class T>
void glu_backward(Activation activation, T* dx, const T* dy, const T* x, Index rows, Index H) {
  detail::for_glu_rows(rows, H, [&](Index row) {
    const Index at = row * 2 * H;
    detail::glu_row_backward(activation, dx + at, dx + at + H, dy + row * H, x + at, x + at + H, H);
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
