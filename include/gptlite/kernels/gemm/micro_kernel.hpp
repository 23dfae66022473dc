#pragma once
// The innermost loop of every matrix product: a tile of C held in registers while the depth runs by.
//
// Sizes:  M rows of C and A    N columns of C and B    K depth: columns of A, rows of B

#include "gptlite/kernels/simd.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The tile of C that one call of the micro-kernel computes: rows x columns accumulators, beside which one row of B and
/// one broadcast element of A must fit into the registers: (rows + 1) x vectors + 1 <= registers.
template <class T>
struct Tile {
  static constexpr Index vectors = 2;
  static constexpr Index rows = (simd::registers - 1) / vectors - 1;
  static constexpr Index columns = vectors * simd::Vec<T>::width;
};

/// C (+)= A B for a tile of Rows x Tile<T>::columns. Element (m, k) of A is a[m * a_row + k * a_depth], and a_depth is
/// 1 if ContiguousDepth. B is packed: its row k is b[k * columns ...]. `accumulate` adds to what C holds.
template <class T, Index Rows, bool ContiguousDepth>
void micro_kernel(Index K, const T* a, Index a_row, Index a_depth, const T* b, T* c, Index ldc, bool accumulate) {
  using V = simd::Vec<T>;
  constexpr Index vectors = Tile<T>::vectors;
  V sums[Rows][vectors];
  if (accumulate) {
#pragma GCC unroll 16
    for (Index m = 0; m < Rows; ++m)
#pragma GCC unroll 4
      for (Index v = 0; v < vectors; ++v) sums[m][v] = V::load(c + m * ldc + v * V::width);
  } else {
#pragma GCC unroll 16
    for (Index m = 0; m < Rows; ++m)
#pragma GCC unroll 4
      for (Index v = 0; v < vectors; ++v) sums[m][v] = V::zero();
  }
  const Index depth_step = ContiguousDepth ? 1 : a_depth;
  for (Index k = 0; k < K; ++k) {
    V row[vectors];
#pragma GCC unroll 4
    for (Index v = 0; v < vectors; ++v) row[v] = V::load(b + v * V::width);
#pragma GCC unroll 16
    for (Index m = 0; m < Rows; ++m) {
      const V element = V::broadcast(a[m * a_row]);
#pragma GCC unroll 4
      for (Index v = 0; v < vectors; ++v) sums[m][v] = simd::fma(element, row[v], sums[m][v]);
    }
    a += depth_step;
    b += Tile<T>::columns;
  }
#pragma GCC unroll 16
  for (Index m = 0; m < Rows; ++m)
#pragma GCC unroll 4
    for (Index v = 0; v < vectors; ++v) sums[m][v].store(c + m * ldc + v * V::width);
}

namespace detail {
/// The micro-kernel for a number of rows known only at run time.
template <class T, bool ContiguousDepth, Index Rows = Tile<T>::rows>
void micro_kernel_rows(Index rows, Index K, const T* a, Index a_row, Index a_depth, const T* b, T* c, Index ldc,
                       bool accumulate) {
  if constexpr (Rows > 1) {
    if (rows < Rows)
      return micro_kernel_rows<T, ContiguousDepth, Rows - 1>(rows, K, a, a_row, a_depth, b, c, ldc, accumulate);
  }
  micro_kernel<T, Rows, ContiguousDepth>(K, a, a_row, a_depth, b, c, ldc, accumulate);
}
}  // namespace detail

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
