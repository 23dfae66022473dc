#pragma once
// Sums along an axis, in an order that depends on the shape alone.

#include <algorithm>

#include "gptlite/core/storage.hpp"
#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// sums[row] = sum of the n numbers of that row of x. x: (rows, n).
template <class T>
void row_sums(T* sums, const T* x, Index rows, Index n) {
  using V = simd::Vec<T>;
  const auto sum_range = [&](const T* from, Index count) {
    return simd::sum_of(
        count, [](V v) { return v; }, from);
  };
  if (rows != 1 || n <= elementwise_grain) {
    const Index rows_per_job = std::max<Index>(1, elementwise_grain / std::max<Index>(n, 1));
    parallel_for_ranges(rows, rows_per_job, [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) sums[row] = sum_range(x + row * n, n);
    });
    return;
  }
  // One long row: its pieces are summed in parallel, their sums in order.
  const Index pieces = (n + elementwise_grain - 1) / elementwise_grain;
  const Storage<T> partial(pieces);
  parallel_for(pieces, [&](Index i) {
    const Index begin = i * elementwise_grain;
    partial.data()[i] = sum_range(x + begin, std::min(elementwise_grain, n - begin));
  });
  sums[0] = sum_range(partial.data(), pieces);
}

/// sums[column] = (accumulate ? sums[column] : 0) + sum of that column of x. x: (rows, n).
template <class T>
void column_sums(T* sums, const T* x, Index rows, Index n, bool accumulate) {
  using V = simd::Vec<T>;
  const auto add_rows = [n](T* to, const T* from, Index count) {
    for (Index row = 0; row < count; ++row)
      simd::transform(
          to, n, [](V a, V b) { return a + b; }, to, from + row * n);
  };
  if (!accumulate) std::fill_n(sums, n, T(0));
  constexpr Index block = 64;  // rows that one job sums
  if (rows <= block) return add_rows(sums, x, rows);
  const Index blocks = (rows + block - 1) / block;
  const Storage<T> partial(blocks * n);
  parallel_for(blocks, [&](Index i) {
    T* to = partial.data() + i * n;
    std::fill_n(to, n, T(0));
    add_rows(to, x + i * block * n, std::min(block, rows - i * block));
  });
  add_rows(sums, partial.data(), blocks);
}

/// y (outer, inner) = sum over the middle axis of x (outer, n, inner).
template <class T>
void sum_axis(T* y, const T* x, Index outer, Index n, Index inner) {
  if (inner == 1) return row_sums(y, x, outer, n);
  if (outer == 1) return column_sums(y, x, n, inner, false);
  parallel_for(outer, [&](Index i) { column_sums(y + i * inner, x + i * n * inner, n, inner, false); });
}

GPTLITE_COMPILED_FUNCTION(row_sums)
GPTLITE_COMPILED_FUNCTION(column_sums)
GPTLITE_COMPILED_FUNCTION(sum_axis)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
