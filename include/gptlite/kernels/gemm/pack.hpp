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

/// Elements that K numbers along the summed axis become, in whole groups.
template <class Format>
constexpr Index element_count(Index K) {
  constexpr Index numbers = Format::depth * Format::group;
  return (K + numbers - 1) / numbers * Format::group;
}
/// Elements of one panel of a right-hand matrix of depth K, plane after plane, and of all its panels for N columns.
template <class Format>
constexpr Index panel_size(Index K) {
  return Format::planes * Tile<typename Format::Number>::columns * element_count<Format>(K);
}
template <class Format>
Index packed_size(Index K, Index N) {
  using T = typename Format::Number;
  return (N + Tile<T>::columns - 1) / Tile<T>::columns * panel_size<Format>(K) + simd::Vec<T>::width;
}

/// Packs a K x `columns` matrix as panel[element][Width], columns <= Width; what is left over up to `padded` becomes
/// zero. Planes are `plane` numbers apart.
template <class Format, Index Width, class S, class T = typename Format::Number>
void pack_panel(T* panel, Index plane, Index K, Index columns, Index padded, MatrixView<S> b) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width, depth = Format::depth;
  static_assert(Width % width == 0, "a vector does not reach into the next row");
  const Index elements = element_count<Format>(K);
  if (b.column_stride == 1) {
    for (Index e = 0; e < elements; ++e)
      for (Index j = 0; j < padded; j += width)
        pack_across<Format>(panel + e * Width + j, plane, b.data + e * depth * b.row_stride + j, b.row_stride,
                            K - e * depth, columns - j);
    return;
  }
  // Squares of width x width elements, turned; the last ones may have fewer numbers, and zeros in their place.
  const auto turn = [&](Index e, Index j, auto&& load, Index rows) {
    for_planes<Format>([&]<class Plane>(Plane of_plane, Index p) {
      std::array<V, static_cast<std::size_t>(width)> square;
#pragma GCC unroll 16
      for (Index i = 0; i < width; ++i) square[static_cast<std::size_t>(i)] = load(of_plane, p, j + i);
      simd::transpose<T>(square);
#pragma GCC unroll 16
      for (Index i = 0; i < width; ++i)
        if (i < rows) square[static_cast<std::size_t>(i)].store(panel + p * plane + (e + i) * Width + j);
    });
  };
  const auto column = [&](Index j) { return b.data + std::min(j, columns - 1) * b.column_stride; };
  Index e = 0;
  for (; (e + width) * depth <= K; e += width) {
    // Asks for the same columns further on or, near their end, for the next panel's first numbers.
    const Index ahead = (e + 4 * width) * depth, whole = K / depth * depth;
    const Index later = ahead < whole ? ahead : Width * b.column_stride + ahead - whole;
    const auto load = [&]<class Plane>(Plane, Index p, Index j) {
      for (Index d = 0; d < depth && p == 0; ++d) simd::prefetch_for_later(column(j) + later + d * width);
      return load_along<Plane>(column(j) + e * depth);
    };
    if (columns == Width)  // a loop that the compiler knows the length of
      for (Index j = 0; j < Width; j += width) turn(e, j, load, width);
    else
      for (Index j = 0; j < columns; j += width) turn(e, j, load, width);
  }
  for (; e < elements; e += width)
    for (Index j = 0; j < columns; j += width)
      turn(
          e, j,
          [&]<class Plane>(Plane, Index, Index at) { return load_along<Plane>(column(at) + e * depth, K - e * depth); },
          elements - e);
  for (Index p = 0; p < Format::planes && columns < padded; ++p)
    for (Index i = 0; i < elements; ++i) {
      T* const row = panel + p * plane + i * Width;
      std::fill(row + columns, row + padded, T(0));
    }
}

/// Packs `count` panels of Width columns of a matrix with contiguous rows, `stride` elements apart and their planes
/// `plane`; panel i begins at column column_of(i). Eight rows of every panel at a time, unrolled: memory is read from
/// end to end and has many requests at once (Zen 5: 8 cycles for a vector from memory and 3 to 5 from the L2 and L3
/// caches, where 32 rows at a time with prefetches take 12 and 4 to 8).
template <class Format, Index Width, class T, class S, class ColumnOf>
void pack_panels(T* packed, Index stride, Index plane, Index K, Index count, MatrixView<S> b, ColumnOf&& column_of) {
  constexpr Index depth = Format::depth, few = 8 / depth, whole_step = std::max(few, Format::group);
  const Index whole = K / (whole_step * depth) * whole_step;
  for (Index e = 0; e < whole; e += few)
    for (Index i = 0; i < count; ++i) {
      const S* from = b.offset(e * depth, column_of(i)).data;
      T* to = packed + i * stride + e * Width;
#pragma GCC unroll 16
      for (Index row = 0; row < few; ++row)
#pragma GCC unroll 16
        for (Index j = 0; j < Width; j += simd::Vec<T>::width)
          pack_across<Format>(to + row * Width + j, plane, from + row * depth * b.row_stride + j, b.row_stride);
    }
  for (Index i = 0; i < count && whole * depth < K; ++i)
    pack_panel<Format, Width>(packed + i * stride + whole * Width, plane, K - whole * depth, Width, Width,
                              b.offset(whole * depth, column_of(i)));
}

/// Packs the right-hand K x N matrix of a product: panels of Tile::columns, `stride` elements apart.
template <class Format, class S, class T = typename Format::Number>
void pack_right(T* packed, Index stride, Index K, Index N, MatrixView<S> b) {
  constexpr Index columns = Tile<T>::columns;
  const Index side_by_side = b.column_stride == 1 ? N / columns : 0, plane = stride / Format::planes;
  pack_panels<Format, columns>(packed, stride, plane, K, side_by_side, b, [](Index i) { return i * columns; });
  for (Index i = side_by_side; i * columns < N; ++i)
    pack_panel<Format, columns>(packed + i * stride, plane, K, std::min(columns, N - i * columns), columns,
                                b.offset(0, i * columns));
}

/// sums[n] (+)= the sum of column n of a matrix that pack_right() packed: of its numbers as they were rounded. The
/// order depends on K alone.
template <class Format, class T = typename Format::Number>
void packed_column_sums(T* sums, const T* packed, Index stride, Index K, Index N, bool accumulate) {
  using V = simd::Vec<T>;
  constexpr Index columns = Tile<T>::columns, width = V::width;
  const Index elements = element_count<Format>(K);
  for (Index n = 0; n < N; n += width) {
    const T* from = packed + n / columns * stride + n % columns;
    std::array<V, 4> totals{V::zero(), V::zero(), V::zero(), V::zero()};  // four, as an addition takes a few cycles
    for (Index e = 0; e < elements; ++e) {
      V& total = totals[static_cast<std::size_t>(e % 4)];
      total = total + Format::total(V::load(from + e * columns));
    }
    const V sum = (totals[0] + totals[1]) + (totals[2] + totals[3]);
    const Index count = std::min(width, N - n);
    (accumulate ? V::load_first(sums + n, count) + sum : sum).store_first(sums + n, count);
  }
}
/// The same for several planes, whose sums are added up.
template <PlanarForm Format, class T = typename Format::Number>
void packed_column_sums(T* sums, const T* packed, Index stride, Index K, Index N, bool accumulate) {
  for_planes<Format>([&]<class Plane>(Plane, Index plane) {
    packed_column_sums<Plane>(sums, packed + plane * (stride / Format::planes), stride, K, N, accumulate);
    accumulate = true;
  });
}

/// A tile of a left-hand matrix as the micro-kernel takes it.
template <class T>
struct LeftTile {
  const T* data;
  Index step;  ///< elements from one of the summed axis to the next, in the order of columns
  LeftOrder order;
  Index plane = 0;  ///< numbers from one plane to the next

  /// The tile from an element of the summed axis on: in the order of rows, from a whole vector on.
  template <class Format>
  LeftTile from(Index element) const {
    return {data + element * (order == LeftOrder::rows ? FormatTile<Format>::rows : step), step, order, plane};
  }
};
/// Tiles that M rows take, and the row at which tile i begins, M for all behind the last one. Rows are dealt out
/// evenly, 32 rows become 16 + 16, not 28 + 4; but not with AMX, which takes as long for any number of them.
template <class Format>
constexpr Index tile_count(Index M) {
  return (M + FormatTile<Format>::rows - 1) / FormatTile<Format>::rows;
}
template <class Format>
Index tile_begin(Index M, Index i) {
  const Index tiles = tile_count<Format>(M);
  return AmxForm<Format> ? std::min(M, i * FormatTile<Format>::rows) : M * std::min(i, tiles) / tiles;
}
/// Elements from one of the summed axis to the next in a tile packed by columns.
template <class Format>
constexpr Index left_step() {
  constexpr Index width = simd::Vec<typename Format::Number>::width;
  return round_up(FormatTile<Format>::rows, width);
}

/// Room for one plane of a packed tile of the left-hand matrix, for its elements along the summed axis.
template <class Format>
constexpr Index left_plane_size(Index elements) {
  constexpr Index width = simd::Vec<typename Format::Number>::width;
  return std::max(FormatTile<Format>::rows * round_up(elements, width), left_step<Format>() * elements) + width;
}
/// Room for all planes of a packed tile of the left-hand matrix, K numbers deep.
template <class Format>
constexpr Index left_size(Index K) {
  return Format::planes * left_plane_size<Format>(element_count<Format>(K));
}

/// A packed tile in the order of rows, K numbers deep.
template <class Format, class T>
LeftTile<T> left_of_rows(const T* packed, Index K) {
  return {packed, 1, LeftOrder::rows, left_plane_size<Format>(element_count<Format>(K))};
}

/// Packs `rows` <= FormatTile::rows rows of the left-hand matrix, which are contiguous, K numbers deep.
template <class Format, class S, class T = typename Format::Number>
LeftTile<T> pack_left(T* packed, Index rows, Index K, MatrixView<S> a) {
  constexpr Index width = simd::Vec<T>::width, depth = Format::depth;
  const Index elements = element_count<Format>(K), plane = left_plane_size<Format>(elements);
  for (Index m = 0; m < rows; ++m) {
    const S* from = a.data + m * a.row_stride;
    T* to = packed + m * width;
    Index e = 0;
    for (; (e + width) * depth <= K; e += width, to += FormatTile<Format>::rows * width)
      pack_along<Format>(to, plane, from + e * depth);
    for (; e < elements; e += width, to += FormatTile<Format>::rows * width)
      pack_along<Format>(to, plane, from + e * depth, K - e * depth);
  }
  return left_of_rows<Format>(packed, K);
}

/// pack_left_columns() in the order of rows: squares are turned. For forms of whole groups, as wide as a vector.
template <class Format, class T, class S, class RowOf>
void pack_left_turned(T* packed, Index stride, Index count, Index K, MatrixView<S> a, Index M, RowOf&& row_of) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width, depth = Format::depth;
  const Index elements = element_count<Format>(K), plane = left_plane_size<Format>(elements);
  const auto load = [&]<class Plane>(Plane, Index k, Index m) {
    return load_across<Plane>(a.data + k * a.column_stride + m, a.column_stride, K - k, M - m);
  };
  for (Index e = 0; e < elements; e += width)
    for (Index i = 0; i < count; ++i)  // of all tiles, so that memory is read in longer pieces
      for (Index m = row_of(i); m < row_of(i + 1); m += width) {
        T* const to = packed + i * stride + e * FormatTile<Format>::rows + (m - row_of(i)) * width;
        for_planes<Format>([&]<class Plane>(Plane of_plane, Index p) {
          std::array<V, static_cast<std::size_t>(width)> square;
#pragma GCC unroll 16
          for (Index j = 0; j < width; ++j) square[static_cast<std::size_t>(j)] = load(of_plane, (e + j) * depth, m);
          simd::transpose<T>(square);
#pragma GCC unroll 16
          for (Index j = 0; j < width; ++j) square[static_cast<std::size_t>(j)].store(to + p * plane + j * width);
        });
      }
}

/// Packs `count` tiles of a left-hand matrix with contiguous columns, `stride` elements apart; tile i has the rows
/// row_of(i) .. row_of(i + 1) - 1 of the matrix's M.
template <class Format, class T, class S, class RowOf>
void pack_left_columns(LeftTile<T>* tiles, T* packed, Index stride, Index count, Index K, MatrixView<S> a, Index M,
                       RowOf&& row_of) {
  if constexpr (AmxForm<Format>) {
    pack_left_turned<Format>(packed, stride, count, K, a, M, row_of);
    for (Index i = 0; i < count; ++i) tiles[i] = left_of_rows<Format>(packed + i * stride, K);
    return;
  }
  constexpr Index step = left_step<Format>();
  // A tile is read in whole vectors: the rows behind it too or, at the end of the matrix, some before it.
  const auto first_read = [&](Index i) { return std::min(row_of(i), M - step); };
  if (M >= step) {
    pack_panels<Format, step>(packed, stride, 0, K, count, a.transposed(), first_read);
    for (Index i = 0; i < count; ++i)
      tiles[i] = {packed + i * stride + row_of(i) - first_read(i), step, LeftOrder::columns};
    return;
  }
  for (Index i = 0; i < count; ++i) {
    const Index rows = row_of(i + 1) - row_of(i);
    pack_panel<Format, step>(packed + i * stride, 0, K, rows, rows, a.offset(row_of(i), 0).transposed());
    tiles[i] = {packed + i * stride, step, LeftOrder::columns};
  }
}

/// Asks for part `part` of `parts` of what pack_left() will read.
template <class S>
void prefetch_left(Index rows, Index K, MatrixView<S> a, Index part, Index parts) {
  for (Index m = rows * part / parts; m < rows * (part + 1) / parts; ++m)
    for (Index k = 0; k < K + simd::line<S> - 1; k += simd::line<S>)
      simd::prefetch_for_later(a.offset(m, std::min(k, K - 1)).data);
}

/// Packs a whole left-hand M x K matrix whose rows are contiguous, as tiles left_size<Format>(K) elements apart.
template <class Format, class S, class T = typename Format::Number>
void pack_left_tiles(T* packed, Index M, Index K, MatrixView<S> a) {
  constexpr Index rows = FormatTile<Format>::rows;
  for (Index m = 0; m < M; m += rows, packed += left_size<Format>(K)) {
    prefetch_left(std::clamp<Index>(M - m - rows, 0, rows), K, a.offset(m + rows, 0), 0, 1);
    pack_left<Format>(packed, std::min(rows, M - m), K, a.offset(m, 0));
  }
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
