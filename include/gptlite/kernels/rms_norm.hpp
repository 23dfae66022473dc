#pragma once
// RMS normalization of rows: y = x r * weight, r = 1 / sqrt(mean(x^2) + eps).

#include <cmath>

#include "gptlite/kernels/reduce.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {
inline constexpr Index rms_norm_rows = 32;  // rows per job
}

/// RMS norm of the rows of x. x, y: (rows, n). weight: (n). Saves r = 1 / sqrt(mean(x^2) + eps): (rows).
template <class T>
void rms_norm_forward(T* y, T* inverse_rms, const T* x, const T* weight, Index rows, Index n, double eps) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, detail::rms_norm_rows, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const T* from = x + row * n;
      const T mean_square = simd::sum_of(
                                n, [](V v) { return v * v; }, from) /
                            static_cast<T>(n);
      const T r = T(1) / std::sqrt(mean_square + static_cast<T>(eps));
      simd::transform(
          y + row * n, n, [=](V v, V w) { return v * r * w; }, from, weight);
      inverse_rms[row] = r;
    }
  });
}

/// Gradient of rms_norm_forward. With h = x r and g = dy weight:
///   dx (+)= r (g - h mean(g h)),  dweight (+)= sum over rows of dy h.
template <class T>
void rms_norm_backward(GradTarget<T> dx, GradTarget<T> dweight, const T* dy, const T* x, const T* weight,
                       const T* inverse_rms, Index rows, Index n) {
  using V = simd::Vec<T>;
  constexpr Index block = detail::rms_norm_rows;
  const Index blocks = (rows + block - 1) / block;
  const Storage<T> partial(dweight ? blocks * n : 0);  // each block's share of dweight
  parallel_for(blocks, [&](Index i) {
    T* dw = partial.data() + i * n;
    if (dweight) std::fill_n(dw, n, T(0));
    for (Index row = i * block; row < std::min(rows, (i + 1) * block); ++row) {
      const T *d = dy + row * n, *from = x + row * n;
      const T r = inverse_rms[row];
      if (dx) {
        const T gh = simd::sum_of(
                         n, [=](V a, V w, V v) { return a * w * (v * r); }, d, weight, from) /
                     static_cast<T>(n);
        simd::add_to(
            dx.offset(row * n), n, [=](V a, V w, V v) { return (a * w - v * r * gh) * r; }, d, weight, from);
      }
      if (dweight)
        simd::transform(
            dw, n, [=](V sum, V a, V v) { return simd::fma(a, v * r, sum); }, dw, d, from);
    }
  });
  if (dweight) column_sums(dweight.data, partial.data(), blocks, n, dweight.accumulate);
}

GPTLITE_COMPILED_FUNCTION(rms_norm_forward)
GPTLITE_COMPILED_FUNCTION(rms_norm_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
