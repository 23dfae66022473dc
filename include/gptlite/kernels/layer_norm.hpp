#pragma once
// Layer normalization of rows: y = (x - mean) rstd * weight + bias, rstd = 1 / sqrt(variance + eps), biased variance.

#include <cmath>

#include "gptlite/kernels/reduce.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {
inline constexpr Index layer_norm_rows = 32;  // rows per job
}

/// Layer norm of the rows of x. x, y: (rows, n). weight, bias: (n); a null bias is zero. Saves mean and rstd: (rows).
/// With `added` (rows, n), the norm is of x + added, which is written to `sum` in the same pass; otherwise both are
/// null.
template <class T>
void layer_norm_forward(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, Index rows, Index n,
                        double eps, T* sum = nullptr, const T* added = nullptr) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, detail::layer_norm_rows, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const T* from = x + row * n;
      if (added != nullptr) {
        simd::transform(
            sum + row * n, n, [](V a, V b) { return a + b; }, from, added + row * n);
        from = sum + row * n;
      }
      const T m = simd::sum_of(
                      n, [](V v) { return v; }, from) /
                  static_cast<T>(n);
      const T variance = simd::sum_of(
                             n, [=](V v) { return (v - m) * (v - m); }, from) /
                         static_cast<T>(n);
      const T r = T(1) / std::sqrt(variance + static_cast<T>(eps));
      if (bias != nullptr)
        simd::transform(
            y + row * n, n, [=](V v, V w, V b) { return simd::fma((v - m) * r, w, b); }, from, weight, bias);
      else
        simd::transform(
            y + row * n, n, [=](V v, V w) { return (v - m) * r * w; }, from, weight);
      mean[row] = m;
      rstd[row] = r;
    }
  });
}

/// Gradient of layer_norm_forward. With h = (x - mean) rstd and g = dy weight:
///   dx (+)= rstd (g - mean(g) - h mean(g h)),  dweight (+)= sum over rows of dy h,  dbias (+)= sum over rows of dy.
template <class T>
void layer_norm_backward(GradTarget<T> dx, GradTarget<T> dweight, GradTarget<T> dbias, const T* dy, const T* x,
                         const T* weight, const T* mean, const T* rstd, Index rows, Index n) {
  using V = simd::Vec<T>;
  constexpr Index block = detail::layer_norm_rows;
  const Index blocks = (rows + block - 1) / block;
  const bool parameters = dweight || dbias;
  const Storage<T> partial(parameters ? blocks * 2 * n : 0);  // each block's share of dweight and dbias
  parallel_for(blocks, [&](Index i) {
    T* dw = partial.data() + i * 2 * n;
    T* db = dw + n;
    if (parameters) std::fill_n(dw, 2 * n, T(0));
    for (Index row = i * block; row < std::min(rows, (i + 1) * block); ++row) {
      const T *d = dy + row * n, *from = x + row * n;
      const T m = mean[row], r = rstd[row];
      if (dx) {
        const T g = simd::sum_of(
                        n, [](V a, V w) { return a * w; }, d, weight) /
                    static_cast<T>(n);
        const T gh = simd::sum_of(
                         n, [=](V a, V w, V v) { return a * w * ((v - m) * r); }, d, weight, from) /
                     static_cast<T>(n);
        simd::add_to(
            dx.offset(row * n), n, [=](V a, V w, V v) { return (a * w - g - (v - m) * r * gh) * r; }, d, weight, from);
      }
      if (parameters) {
        simd::transform(
            dw, n, [=](V sum, V a, V v) { return simd::fma(a, (v - m) * r, sum); }, dw, d, from);
        simd::transform(
            db, n, [](V sum, V a) { return sum + a; }, db, d);
      }
    }
  });
  const auto add_shares = [&](GradTarget<T> to, Index offset) {
    if (!to) return;
    if (!to.accumulate) std::fill_n(to.data, n, T(0));
    for (Index i = 0; i < blocks; ++i)
      simd::transform(
          to.data, n, [](V a, V b) { return a + b; }, to.data, partial.data() + i * 2 * n + offset);
  };
  add_shares(dweight, 0);
  add_shares(dbias, n);
}

GPTLITE_COMPILED_FUNCTION(layer_norm_forward)
GPTLITE_COMPILED_FUNCTION(layer_norm_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
