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
    if (columns == Width && Width % width == 0) {  // a loop that the compiler knows the length of
      for (Index j = 0; j < Width; j += width) f(j);
      return;
    }
    for (Index j = 0; j + width <= columns; j += width) f(j);
    if (columns % width != 0) f(std::max<Index>(0, columns - width));
  };
  Index e = 0;
  if (b.column_stride == 1) {
    if (columns >= width)
      for (; e < whole; ++e) {
        const T* row = b.data + e * depth * b.row_stride;
        for_vectors(
            [&](Index j) { Format::across(load_numbers<Format>(row + j, b.row_stride)).store(panel + e * Width + j); });
      }
  } else {  // squares of width x width elements, turned
    std::array<V, static_cast<std::size_t>(width)> square;
    for (; e + width <= whole; e += width) {
      // Asks for the same columns further on or, near their end, for the next panel's first numbers.
      const Index ahead = e + 4 * width;
      const T* later = b.data + (ahead < whole ? ahead * depth : Width * b.column_stride + (ahead - whole) * depth);
      for_vectors([&](Index j) {
        for (Index i = 0; i < width; ++i) {
          const Index column = std::min(j + i, columns - 1) * b.column_stride;
          for (Index d = 0; d < depth; ++d) simd::prefetch_for_later(later + column + d * width);
          square[static_cast<std::size_t>(i)] = Format::along(load_numbers<Format>(b.data + column + e * depth, width));
        }
        simd::transpose<T>(square);
        for (Index i = 0; i < width; ++i) square[static_cast<std::size_t>(i)].store(panel + (e + i) * Width + j);
      });
    }
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
  if (b.column_stride != 1) {
    for (Index n = 0; n < N; n += columns)
      pack_panel<Format, columns>(packed + n / columns * stride, K, std::min(columns, N - n), columns, b.offset(0, n));
    return;
  }
  // A few rows at a time, from end to end as memory likes it; the next few are asked for meanwhile.
  constexpr Index few = 32;
  for (Index k = 0; k < K; k += few)
    for (Index n = 0; n < N; n += columns) {
      const Index rows = std::min(few, K - k);
      for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < columns; j += simd::line<T>) simd::prefetch_for_later(b.offset(k + few + i, n + j).data);
      pack_panel<Format, columns>(packed + n / columns * stride + k / Format::depth * columns, rows,
                                  std::min(columns, N - n), columns, b.offset(k, n));
    }
}

/// A tile of a left-hand matrix as the micro-kernel takes it.
template <class T>
struct LeftTile {
  const T* data;
  Index step;  ///< elements from one of the summed axis to the next, in the order of columns
  LeftOrder order;
};
/// Room for a packed tile of the left-hand matrix, K numbers deep.
template <class Format>
constexpr Index left_size(Index K) {
  using T = typename Format::Number;
  constexpr Index width = simd::Vec<T>::width, whole_rows = (Tile<T>::rows + width - 1) / width * width;
  return std::max(Tile<T>::rows * ((element_count<Format>(K) + width - 1) / width * width),
                  whole_rows * element_count<Format>(K)) +
         width;
}
/// Packs `rows` <= Tile::rows rows of the left-hand matrix, K numbers deep. `before` and `after`: how many more rows of
/// the matrix there are on either side, which are read where they fill up a vector.
template <class Format, class T = typename Format::Number>
LeftTile<T> pack_left(T* packed, Index rows, Index K, MatrixView<T> a, Index before = 0, Index after = 0) {
  constexpr Index width = simd::Vec<T>::width, depth = Format::depth;
  const Index whole = K / depth, elements = element_count<Format>(K);
  if (a.column_stride == 1) {
    for (Index m = 0; m < rows; ++m) {
      const T* from = a.data + m * a.row_stride;
      T* to = packed + m * width;
      Index e = 0;
      for (; e + width <= whole; e += width, to += Tile<T>::rows * width)
        Format::along(load_numbers<Format>(from + e * depth, width)).store(to);
      for (Index rest = e; rest < elements; ++rest)
        to[rest - e] = Format::element(from + rest * depth, 1, std::min(depth, K - rest * depth));
    }
    return {packed, 1, LeftOrder::rows};
  }
  constexpr Index step = (Tile<T>::rows + width - 1) / width * width;
  const Index vectors = (rows + width - 1) / width * width, spare = vectors - rows;
  const Index shift = spare <= after ? 0 : spare <= before ? spare : -1;
  if (shift < 0)
    pack_panel<Format, step>(packed, K, rows, rows, a.transposed());
  else
    pack_panel<Format, step>(packed, K, vectors, vectors, a.offset(-shift, 0).transposed());
  return {packed + std::max<Index>(shift, 0), step, LeftOrder::columns};
}

/// Asks for part `part` of `parts` of what pack_left() will read.
template <class T>
void prefetch_left(Index rows, Index K, MatrixView<T> a, Index part, Index parts) {
  constexpr Index line = simd::line<T>;
  const bool by_rows = a.column_stride == 1;
  const Index lines = by_rows ? rows : K, length = by_rows ? K : rows,
              stride = by_rows ? a.row_stride : a.column_stride;
  // Of a transposed matrix the first line of each column was read with the tile before.
  const Index first = by_rows ? 0 : line - 1;
  for (Index i = lines * part / parts; i < lines * (part + 1) / parts; ++i)
    for (Index j = first; j < length + line - 1; j += line)
      simd::prefetch_for_later(a.data + i * stride + std::min(j, length - 1));
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
