#pragma once
// Softmax, its logarithm and cross-entropy, row by row. x, y: (rows, n).

#include <cmath>
#include <cstdint>

#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Number of rows of n numbers per job.
inline Index rows_per_job(Index n) { return std::max<Index>(1, (1 << 12) / std::max<Index>(n, 1)); }

/// log(sum(exp(x))) of one row in two parts: its largest number, and log(sum(exp(x - largest))). They are kept apart,
/// because their sum would round a small logarithm to the precision of a large number.
template <class T>
struct LogSumExp {
  T largest, log_sum;
};
template <class T>
LogSumExp<T> log_sum_exp(const T* x, Index n) {
  using V = simd::Vec<T>;
  const T largest = simd::max_of(n, x);
  if (!(largest > -std::numeric_limits<T>::infinity())) return {largest, T(0)};  // an empty row, or all -inf
  return {largest, std::log(simd::sum_of(
                       n, [=](V v) { return simd::exp_nonpositive(v - largest); }, x))};
}

/// y = exp(x) / sum(exp(x)) for each row. x, y: (rows, n).
template <class T>
void softmax_forward(T* y, const T* x, Index rows, Index n) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, rows_per_job(n), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      T* to = y + row * n;
      const T largest = simd::max_of(n, x + row * n);
      simd::transform(
          to, n, [=](V v) { return simd::exp_nonpositive(v - largest); }, x + row * n);
      const T scale = T(1) / simd::sum_of(
                                 n, [](V v) { return v; }, to);
      simd::transform(
          to, n, [=](V v) { return v * scale; }, to);
    }
  });
}
/// dx (+)= y (dy - sum(dy y)) for each row.
template <class T>
void softmax_backward(GradTarget<T> dx, const T* dy, const T* y, Index rows, Index n) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, rows_per_job(n), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const T *d = dy + row * n, *p = y + row * n;
      const T dot = simd::sum_of(
          n, [](V a, V b) { return a * b; }, d, p);
      simd::add_to(
          dx.offset(row * n), n, [=](V a, V b) { return b * (a - dot); }, d, p);
    }
  });
}

/// y = x - log(sum(exp(x))) for each row. x, y: (rows, n).
template <class T>
void log_softmax_forward(T* y, const T* x, Index rows, Index n) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, rows_per_job(n), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const auto [largest, log_sum] = log_sum_exp(x + row * n, n);
      simd::transform(
          y + row * n, n, [m = largest, s = log_sum](V v) { return v - m - s; }, x + row * n);
    }
  });
}
/// dx (+)= dy - exp(y) sum(dy) for each row.
template <class T>
void log_softmax_backward(GradTarget<T> dx, const T* dy, const T* y, Index rows, Index n) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, rows_per_job(n), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const T *d = dy + row * n, *p = y + row * n;
      const T total = simd::sum_of(
          n, [](V a) { return a; }, d);
      simd::add_to(
          dx.offset(row * n), n, [=](V a, V b) { return a - simd::exp(b) * total; }, d, p);
    }
  });
}

/// losses[row] = lse[row] - logits[row][targets[row]], 0 for an ignored target; lse = log(sum(exp(logits))). logits:
/// (rows, n), targets, losses and lse: (rows).
template <class T>
void cross_entropy_forward(T* losses, LogSumExp<T>* lse, const T* logits, const std::int32_t* targets, Index rows,
                           Index n, std::int32_t ignored) {
  parallel_for_ranges(rows, rows_per_job(n), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      lse[row] = log_sum_exp(logits + row * n, n);
      const auto [largest, log_sum] = lse[row];
      losses[row] = targets[row] == ignored ? T(0) : log_sum - (logits[row * n + targets[row]] - largest);
    }
  });
}
/// dlogits (+)= scale (exp(logits - lse) - onehot(target)) for the rows that are not ignored. With `weights` (rows),
/// scale is multiplied by the row's weight.
template <class T>
void cross_entropy_backward(GradTarget<T> dlogits, T scale, const LogSumExp<T>* lse, const T* logits,
                            const std::int32_t* targets, Index rows, Index n, std::int32_t ignored,
                            const T* weights = nullptr) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, rows_per_job(n), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const GradTarget<T> to = dlogits.offset(row * n);
      if (targets[row] == ignored) {
        if (!to.accumulate) std::fill_n(to.data, n, T(0));
        continue;
      }
      const auto [largest, log_sum] = lse[row];
      const T factor = weights == nullptr ? scale : scale * weights[row];
      simd::add_to(
          to, n, [=, m = largest, s = log_sum](V v) { return simd::exp_nonpositive(v - m - s) * factor; },
          logits + row * n);
      to.data[targets[row]] -= factor;
    }
  });
}

GPTLITE_COMPILED_FUNCTION(softmax_forward)
GPTLITE_COMPILED_FUNCTION(softmax_backward)
GPTLITE_COMPILED_FUNCTION(log_softmax_forward)
GPTLITE_COMPILED_FUNCTION(log_softmax_backward)
GPTLITE_COMPILED_FUNCTION(cross_entropy_forward)
GPTLITE_COMPILED_FUNCTION(cross_entropy_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
