#pragma once
// Packing: copies the operands of a product into the layout that the micro-kernel reads and the format that it
// multiplies.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "gptlite/kernels/gemm/matrix_view.hpp"
#include "gptlite/kernels/gemm/sizes.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Packs a K x `columns` matrix with contiguous rows as panel[element][Width], columns <= Width; the columns up to
/// `padded` become zero. Parts are `part_stride` numbers apart.
template <class Format, Index Width, class S, class T = typename Format::Number>
void pack_panel(T* panel, Index part_stride, Index K, Index columns, Index padded, MatrixView<S> b) {
  constexpr Index width = simd::Vec<T>::width, k_per_element = Format::k_per_element;
  static_assert(Width % width == 0, "a vector does not reach into the next row");
  for (Index e = 0; e < sizes_of<Format>.element_count(K); ++e)
    for (Index j = 0; j < padded; j += width)
      pack_across<Format>(panel + e * Width + j, part_stride, b.data + e * k_per_element * b.row_stride + j,
                          b.row_stride, K - e * k_per_element, columns - j);
}

/// Packs a panel of Tile::nr columns from a K x `columns` matrix with contiguous columns: squares of width x width
/// elements are transposed. Squares at the end of K are first copied into whole ones, padded with zeros.
template <class Format, class S, class T = typename Format::Number>
void pack_panel_transposed(T* panel, Index part_stride, Index K, Index columns, MatrixView<S> b) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width, k_per_element = Format::k_per_element, line = k_per_element * width,
                  panel_width = Tile<T>::nr;
  const Index elements = sizes_of<Format>.element_count(K);
  for (Index e = 0; e < elements; e += width) {
    const Index k = e * k_per_element, rows = elements - e;
    // Prefetches the same columns further along K or, near their end, the start of the next panel.
    const Index ahead = k + 4 * line, whole = K / k_per_element * k_per_element;
    const Index later = (ahead < whole ? ahead : panel_width * b.column_stride + ahead - whole) - k;
    for (Index j = 0; j < columns; j += width) {
      const S* from = b.data + j * b.column_stride + k;
      Index stride = b.column_stride, last = std::min(width, columns - j) - 1;  // the last column replaces missing ones
      std::array<S, static_cast<std::size_t>(width * line)> end;
      if (k + line > K) {
        end.fill(S{});
        for (Index i = 0; i <= last; ++i) std::copy_n(from + i * stride, K - k, end.data() + i * line);
        from = end.data(), stride = line;
      } else {
        for (Index i = 0; i <= last; ++i)
          for (Index d = 0; d < k_per_element; ++d) simd::prefetch_l2(from + i * stride + later + d * width);
      }
      for_parts<Format>([&]<class Part>(Part, Index p) {
        std::array<V, static_cast<std::size_t>(width)> square;
#pragma GCC unroll 16
        for (Index i = 0; i < width; ++i)
          square[static_cast<std::size_t>(i)] = load_along<Part>(from + std::min(i, last) * stride);
        simd::transpose<T>(square);
#pragma GCC unroll 16
        for (Index i = 0; i < width; ++i)
          if (i < rows) square[static_cast<std::size_t>(i)].store(panel + p * part_stride + (e + i) * panel_width + j);
      });
    }
  }
  for (Index p = 0; p < Format::parts && columns < panel_width; ++p)
    for (Index i = 0; i < elements; ++i)
      std::fill_n(panel + p * part_stride + i * panel_width + columns, panel_width - columns, T(0));
}

/// Packs `count` panels of Width columns of a matrix with contiguous rows, `stride` numbers apart and their parts
/// `part_stride`; panel i starts at column column_of(i). Eight rows of every panel at a time, unrolled: memory is read
/// sequentially with many requests in flight (Zen 5: 8 cycles for a vector from memory and 3 to 5 from the L2 and L3
/// caches; 32 rows at a time with prefetches take 12 and 4 to 8).
template <class Format, Index Width, class T, class S, class ColumnOf>
void pack_panels(T* packed, Index stride, Index part_stride, Index K, Index count, MatrixView<S> b,
                 ColumnOf&& column_of) {
  constexpr Index k_per_element = Format::k_per_element, few = 8 / k_per_element,
                  whole_step = std::max(few, Format::group);
  const Index whole = K / (whole_step * k_per_element) * whole_step;
  for (Index e = 0; e < whole; e += few)
    for (Index i = 0; i < count; ++i) {
      const S* from = b.offset(e * k_per_element, column_of(i)).data;
      T* to = packed + i * stride + e * Width;
#pragma GCC unroll 16
      for (Index row = 0; row < few; ++row)
#pragma GCC unroll 16
        for (Index j = 0; j < Width; j += simd::Vec<T>::width)
          pack_across<Format>(to + row * Width + j, part_stride, from + row * k_per_element * b.row_stride + j,
                              b.row_stride);
    }
  for (Index i = 0; i < count && whole * k_per_element < K; ++i)
    pack_panel<Format, Width>(packed + i * stride + whole * Width, part_stride, K - whole * k_per_element, Width, Width,
                              b.offset(whole * k_per_element, column_of(i)));
}

/// Packs the K x N matrix B of a product into panels of Tile::nr columns, `stride` numbers apart.
template <class Format, class S, class T = typename Format::Number>
void pack_b(T* packed, Index stride, Index K, Index N, MatrixView<S> b) {
  constexpr Index columns = Tile<T>::nr;
  const Index part_stride = stride / Format::parts;
  if (b.column_stride != 1) {
    for (Index n = 0; n < N; n += columns, packed += stride)
      pack_panel_transposed<Format>(packed, part_stride, K, std::min(columns, N - n), b.offset(0, n));
    return;
  }
  const Index whole = N / columns, rest = whole * columns;
  pack_panels<Format, columns>(packed, stride, part_stride, K, whole, b, [](Index i) { return i * columns; });
  if (rest < N)
    pack_panel<Format, columns>(packed + whole * stride, part_stride, K, N - rest, columns, b.offset(0, rest));
}

/// sums[n] (+)= the sum of column n of a matrix that pack_b() packed, of the numbers as rounded. The order depends on K
/// alone. The sums of several parts are added.
template <class Format, class T = typename Format::Number>
void packed_column_sums(T* sums, const T* packed, Index stride, Index K, Index N, bool accumulate) {
  using V = simd::Vec<T>;
  constexpr Index columns = Tile<T>::nr, width = V::width;
  const Index elements = sizes_of<Format>.element_count(K);
  for_parts<Format>([&](auto, Index part) {
    for (Index n = 0; n < N; n += width) {
      const T* from = packed + part * (stride / Format::parts) + n / columns * stride + n % columns;
      std::array<V, 4> totals{V::zero(), V::zero(), V::zero(), V::zero()};  // four: an addition takes a few cycles
      for (Index e = 0; e < elements; ++e) {
        V& total = totals[static_cast<std::size_t>(e % 4)];
        total = total + Format::total(V::load(from + e * columns));
      }
      const V sum = (totals[0] + totals[1]) + (totals[2] + totals[3]);
      const Index count = std::min(width, N - n);
      (accumulate ? V::load_first(sums + n, count) + sum : sum).store_first(sums + n, count);
    }
    accumulate = true;
  });
}

/// A packed tile of a matrix A, as the micro-kernel reads it.
template <class T>
struct TileA {
  const T* data;
  Index step;  ///< numbers from one element of the summed axis to the next, in the order of columns
  OrderA order;
  Index part_stride = 0;  ///< numbers from one part to the next

  /// The tile from `element` of the summed axis on; in the order of rows `element` must be a whole vector.
  TileA from(const FormatSizes& sizes, Index element) const {
    return {data + element * (order == OrderA::rows ? sizes.mr : step), step, order, part_stride};
  }
};

/// A packed tile in the order of rows, with K numbers per row.
template <class T>
TileA<T> tile_of_rows(const FormatSizes& sizes, const T* packed, Index K) {
  return {packed, 1, OrderA::rows, sizes.a_part_size(sizes.element_count(K))};
}

/// Packs `rows` <= FormatTile::mr contiguous rows of A, K numbers each. Rows missing up to the micro-kernel's multiple
/// become zero.
template <class Format, class S, class T = typename Format::Number>
void pack_a(T* packed, Index rows, Index K, MatrixView<S> a) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width, k_per_element = Format::k_per_element, tile_line = FormatTile<Format>::mr * width;
  const Index elements = sizes_of<Format>.element_count(K), part_stride = sizes_of<Format>.a_part_size(elements);
  for (Index m = 0; m < rows; ++m) {
    const S* from = a.data + m * a.row_stride;
    T* to = packed + m * width;
    Index e = 0;
    for (; (e + width) * k_per_element <= K; e += width, to += tile_line)
      pack_along<Format>(to, part_stride, from + e * k_per_element);
    for (; e < elements; e += width, to += tile_line)
      pack_along<Format>(to, part_stride, from + e * k_per_element, K - e * k_per_element);
  }
  if constexpr (!AmxTiled<Format>)
    for (Index m = rows; m < round_up(rows, Tile<T>::row_unit); ++m)
      for (Index e = 0; e < elements; e += width) V::zero().store(packed + m * width + e / width * tile_line);
}

/// `count` tiles of an A with M rows, starting with tile `first`. The first `readable` rows may be read.
struct TileRange {
  Index M, first, count, readable;
};

/// pack_a_columns() in the order of rows: squares are transposed. For formats whose groups are as wide as a vector.
template <class Format, class T, class S>
void pack_a_transposed(T* packed, Index stride, const TileRange& range, Index K, MatrixView<S> a) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width, k_per_element = Format::k_per_element;
  constexpr FormatSizes sizes = sizes_of<Format>;
  const Index elements = sizes.element_count(K), part_stride = sizes.a_part_size(elements);
  for (Index e = 0; e < elements; e += width)
    for (Index i = 0; i < range.count; ++i) {  // all tiles together, so memory is read in longer pieces
      const Index begin = sizes.tile_begin(range.M, range.first + i);
      for (Index m = begin; m < sizes.tile_begin(range.M, range.first + i + 1); m += width) {
        T* const to = packed + i * stride + e * FormatTile<Format>::mr + (m - begin) * width;
        const Index k = e * k_per_element, lines = std::min(k_per_element * width, K - k),
                    length = std::min(width, range.readable - m);
        const S* from = a.data + k * a.column_stride + m;
        Index line = a.column_stride;
        std::array<S, static_cast<std::size_t>(k_per_element * width * width)> end;
        if (lines < k_per_element * width || length < width) {  // copied into a whole square, padded with zeros
          end.fill(S{});
          for (Index j = 0; j < lines; ++j) std::copy_n(from + j * line, length, end.data() + j * width);
          from = end.data(), line = width;
        }
        for_parts<Format>([&]<class Part>(Part, Index p) {
          std::array<V, static_cast<std::size_t>(width)> square;
#pragma GCC unroll 16
          for (Index j = 0; j < width; ++j)
            square[static_cast<std::size_t>(j)] = load_across<Part>(from + j * k_per_element * line, line);
          simd::transpose<T>(square);
#pragma GCC unroll 16
          for (Index j = 0; j < width; ++j) square[static_cast<std::size_t>(j)].store(to + p * part_stride + j * width);
        });
      }
    }
}

/// Packs tiles of a matrix A with contiguous columns, `stride` numbers apart.
template <class Format, class T, class S>
void pack_a_columns(TileA<T>* tiles, T* packed, Index stride, const TileRange& range, Index K, MatrixView<S> a) {
  constexpr FormatSizes sizes = sizes_of<Format>;
  if constexpr (AmxTiled<Format>) {
    pack_a_transposed<Format>(packed, stride, range, K, a);
    for (Index i = 0; i < range.count; ++i) tiles[i] = tile_of_rows(sizes, packed + i * stride, K);
  } else {
    constexpr Index step = sizes.a_step();
    const auto row_of = [&](Index i) { return sizes.tile_begin(range.M, range.first + i); };
    // A tile is read in whole vectors: with rows after it or, at the end of the matrix, rows before it.
    std::vector<Index> first_read(static_cast<std::size_t>(range.count));
    for (Index i = 0; i < range.count; ++i)
      first_read[static_cast<std::size_t>(i)] = std::min(row_of(i), range.readable - step);
    const auto first_read_of = [&](Index i) { return first_read[static_cast<std::size_t>(i)]; };
    const bool whole = range.readable >= step;
    if (whole) pack_panels<Format, step>(packed, stride, 0, K, range.count, a.transposed(), first_read_of);
    for (Index i = 0; i < range.count; ++i) {
      const Index rows = row_of(i + 1) - row_of(i), skipped = whole ? row_of(i) - first_read_of(i) : 0;
      if (!whole) pack_panel<Format, step>(packed + i * stride, 0, K, rows, rows, a.offset(row_of(i), 0).transposed());
      tiles[i] = {packed + i * stride + skipped, step, OrderA::columns};
    }
  }
}

/// The rows of A that are packed next, to be prefetched while a tile is multiplied.
template <class T>
struct NextRows {
  MatrixOperand<T> a;
  Index rows, K;

  /// Prefetches slice `part` of `parts` of the rows that pack_a() reads next.
  void prefetch(Index part, Index parts) const {
    constexpr Index line = 64;
    const Index row_bytes = a.row_stride() * a.number_bytes(), last = K * a.number_bytes() - 1;
    const std::byte* row = a.bytes() + rows * part / parts * row_bytes;
    const std::byte* const end = a.bytes() + rows * (part + 1) / parts * row_bytes;
    for (; row != end; row += row_bytes) {
      for (Index at = 0; at < last; at += line) simd::prefetch_l2(row + at);
      simd::prefetch_l2(row + last);
    }
  }
};

/// Arguments of one product C (+)= A B + bias, for one tile of A and a packed B.
template <class T>
struct TileProduct {
  Index rows, N, elements;  ///< elements: number of elements along the summed axis
  TileA<T> a;
  const T* packed;
  Index panel_stride;  ///< numbers from one panel of B to the next
  T* c;
  Index ldc;
  bool accumulate = false;
  const T* bias = nullptr;            ///< N numbers, or null
  const NextRows<T>* next = nullptr;  ///< rows to prefetch during the product, or null
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
