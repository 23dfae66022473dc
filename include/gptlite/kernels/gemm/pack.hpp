#pragma once
// Packing: the right-hand matrix of a product, laid out as the micro-kernel reads it.

#include <algorithm>

#include "gptlite/core/storage.hpp"
#include "gptlite/kernels/gemm/micro_kernel.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// A matrix in memory: element (i, j) is data[i * row_stride + j * column_stride], and one of the strides is 1.
template <class T>
struct MatrixView {
  const T* data;
  Index row_stride;
  Index column_stride = 1;

  MatrixView transposed() const { return {data, column_stride, row_stride}; }
  MatrixView offset(Index row, Index column) const {
    return {data + row * row_stride + column * column_stride, row_stride, column_stride};
  }
};

/// Elements that a packed K x N matrix takes: whole panels of Tile<T>::columns.
template <class T>
Index packed_size(Index K, Index N) {
  constexpr Index columns = Tile<T>::columns;
  return (N + columns - 1) / columns * columns * K;
}

/// Packs columns n .. n + Tile::columns - 1 of the K x N matrix b as panel[k][column]; columns beyond N are zero.
template <class T>
void pack_panel(T* panel, Index K, Index N, Index n, MatrixView<T> b) {
  using V = simd::Vec<T>;
  constexpr Index columns = Tile<T>::columns, width = V::width;
  const Index filled = std::min(columns, N - n);
  b = b.offset(0, n);
  if (b.column_stride == 1) {
    for (Index k = 0; k < K; ++k, panel += columns) {
      std::copy_n(b.data + k * b.row_stride, filled, panel);
      std::fill_n(panel + filled, columns - filled, T(0));
    }
    return;
  }
  // Columns are contiguous: turn squares of width x width.
  Index k = 0;
  if (filled == columns && b.row_stride == 1) {
    std::array<V, static_cast<std::size_t>(width)> square;
    for (; k + width <= K; k += width)
      for (Index j = 0; j < columns; j += width) {
        for (Index i = 0; i < width; ++i)
          square[static_cast<std::size_t>(i)] = V::load(b.data + (j + i) * b.column_stride + k);
        simd::transpose<T>(square);
        for (Index i = 0; i < width; ++i) square[static_cast<std::size_t>(i)].store(panel + (k + i) * columns + j);
      }
  }
  for (; k < K; ++k) {
    for (Index j = 0; j < filled; ++j) panel[k * columns + j] = b.data[k * b.row_stride + j * b.column_stride];
    std::fill_n(panel + k * columns + filled, columns - filled, T(0));
  }
}

/// Packs a whole K x N matrix, panel by panel.
template <class T>
void pack(T* packed, Index K, Index N, MatrixView<T> b) {
  for (Index n = 0; n < N; n += Tile<T>::columns) pack_panel(packed + n * K, K, N, n, b);
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
