#pragma once
// Moves numbers without changing them: exchange of two axes, and pieces of an axis copied in or out.

#include <algorithm>

#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// y (outer, b, middle, a, inner) = x (outer, a, middle, b, inner) with the axes a and b exchanged.
template <class T>
void exchange_axes(T* y, const T* x, Index outer, Index a, Index middle, Index b, Index inner) {
  // A job writes the rows (o, j). Within them the source moves by `inner` per j and by middle * b * inner per i.
  parallel_for(outer * b, [&](Index job) {
    const Index o = job / b, j = job % b;
    for (Index m = 0; m < middle; ++m) {
      const T* from = x + ((o * a * middle + m) * b + j) * inner;
      T* to = y + (job * middle + m) * a * inner;
      for (Index i = 0; i < a; ++i) std::copy_n(from + i * middle * b * inner, inner, to + i * inner);
    }
  });
}

/// Copies `rows` rows of n numbers, from rows that start from_stride numbers apart to rows that start to_stride apart.
template <class T>
void copy_rows(T* to, Index to_stride, const T* from, Index from_stride, Index rows, Index n) {
  const Index grain = std::max<Index>(1, elementwise_grain / std::max<Index>(n, 1));
  parallel_for_ranges(rows, grain, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) std::copy_n(from + row * from_stride, n, to + row * to_stride);
  });
}
/// Adds `rows` rows of n numbers, which start from_stride numbers apart, to rows that start to_stride apart.
template <class T>
void accumulate_rows(T* to, Index to_stride, const T* from, Index from_stride, Index rows, Index n) {
  using V = simd::Vec<T>;
  const Index grain = std::max<Index>(1, elementwise_grain / std::max<Index>(n, 1));
  parallel_for_ranges(rows, grain, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      T* sum = to + row * to_stride;
      simd::transform(
          sum, n, [](V a, V b) { return a + b; }, sum, from + row * from_stride);
    }
  });
}

GPTLITE_COMPILED_FUNCTION(exchange_axes)
GPTLITE_COMPILED_FUNCTION(copy_rows)
GPTLITE_COMPILED_FUNCTION(accumulate_rows)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
