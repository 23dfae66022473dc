#pragma once
// Packing: the operands of a product, laid out as the micro-kernel reads them and in the form it multiplies.

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

/// Elements that K numbers along the summed axis become.
template <class Format>
constexpr Index element_count(Index K) {
  return (K + Format::depth - 1) / Format::depth;
}
/// Elements of one panel of a right-hand matrix of depth K, and of all its panels for N columns.
template <class Format>
constexpr Index panel_size(Index K) {
  return Tile<typename Format::Number>::columns * element_count<Format>(K);
}
template <class Format>
Index packed_size(Index K, Index N) {
  using T = typename Format::Number;
  return (N + Tile<T>::columns - 1) / Tile<T>::columns * panel_size<Format>(K) + simd::Vec<T>::width;
}

/// Packs a K x `columns` matrix as panel[element][Width], columns <= Width; what is left over up to `padded` becomes
/// zero. Room for one more vector must follow the panel.
template <class Format, Index Width, class T = typename Format::Number>
void pack_panel(T* panel, Index K, Index columns, Index padded, MatrixView<T> b) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width, depth = Format::depth;
  const Index whole = K / depth, elements = element_count<Format>(K);
  // Where vectors of columns begin; the last one overlaps the one before.
  const auto for_vectors = [&](auto&& f) {
    for (Index j = 0; j + width <= columns; j += width) f(j);
    if (columns % width != 0) f(std::max<Index>(0, columns - width));
  };
  Index e = 0;
  if (b.column_stride == 1) {
    if (columns >= width)
      for (; e < whole; ++e)
        for_vectors([&](Index j) {
          Format::across(b.data + e * depth * b.row_stride + j, b.row_stride).store(panel + e * Width + j);
        });
  } else {  // squares of width x width elements, turned
    std::array<V, static_cast<std::size_t>(width)> square;
    for (; e + width <= whole; e += width)
      for_vectors([&](Index j) {
        for (Index i = 0; i < width; ++i)
          square[static_cast<std::size_t>(i)] =
              Format::along(b.data + std::min(j + i, columns - 1) * b.column_stride + e * depth);
        simd::transpose<T>(square);
        for (Index i = 0; i < width; ++i) square[static_cast<std::size_t>(i)].store(panel + (e + i) * Width + j);
      });
  }
  for (Index rest = e; rest < elements; ++rest)
    for (Index j = 0; j < columns; ++j)
      panel[rest * Width + j] = Format::element(b.data + rest * depth * b.row_stride + j * b.column_stride,
                                                b.row_stride, std::min(depth, K - rest * depth));
  if (columns < padded)
    for (Index i = 0; i < elements; ++i) std::fill(panel + i * Width + columns, panel + i * Width + padded, T(0));
}

/// Packs the right-hand K x N matrix of a product: panels of Tile::columns, `stride` elements apart.
template <class Format, class T = typename Format::Number>
void pack_right(T* packed, Index stride, Index K, Index N, MatrixView<T> b) {
  constexpr Index columns = Tile<T>::columns;
  for (Index n = 0; n < N; n += columns)
    pack_panel<Format, columns>(packed + n / columns * stride, K, std::min(columns, N - n), columns, b.offset(0, n));
}
/// Packs `rows` rows of the left-hand matrix, K numbers deep: one tile of up to Tile::rows.
template <class Format, class T = typename Format::Number>
void pack_left(T* packed, Index rows, Index K, MatrixView<T> a) {
  pack_panel<Format, Tile<T>::rows>(packed, K, rows, rows, a.transposed());
}

/// Asks for part `part` of `parts` of what pack_left() will read.
template <class T>
void prefetch_left(Index rows, Index K, MatrixView<T> a, Index part, Index parts) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  const bool by_rows = a.column_stride == 1;
  const Index lines = by_rows ? rows : K, length = by_rows ? K : rows,
              stride = by_rows ? a.row_stride : a.column_stride;
  for (Index i = lines * part / parts; i < lines * (part + 1) / parts; ++i)
    for (Index j = 0; j < length + line - 1; j += line)
      simd::prefetch_for_later(a.data + i * stride + std::min(j, length - 1));
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
