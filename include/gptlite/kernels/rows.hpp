#pragma once
// Gathers rows of a table by index (embeddings, gather); the backward scatters them.

#include <algorithm>
#include <cstdint>

#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// y[i] = table[ids[i]]. table: (any, n), ids: (count), y: (count, n).
template <class T>
void gather_rows_forward(T* y, const T* table, const std::int32_t* ids, Index count, Index n) {
  const Index rows = std::max<Index>(1, elementwise_grain / std::max<Index>(n, 1));
  parallel_for_ranges(count, rows, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) std::copy_n(table + ids[i] * n, n, y + i * n);
  });
}
/// dtable[ids[i]] += dy[i], for i in order. Each job owns a stripe of columns, since ids may repeat: no two threads
/// write to the same number.
template <class T>
void gather_rows_backward(T* dtable, const T* dy, const std::int32_t* ids, Index count, Index n) {
  using V = simd::Vec<T>;
  parallel_for_ranges(n, 64, [&](Index begin, Index end) {
    for (Index i = 0; i < count; ++i) {
      T* to = dtable + ids[i] * n + begin;
      simd::transform(
          to, end - begin, [](V a, V b) { return a + b; }, to, dy + i * n + begin);
    }
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
