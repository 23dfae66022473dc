#pragma once
// The innermost loop of every matrix product: a tile of C stays in registers while the loop runs along the summed axis.
//
// Sizes:  M rows of C and A    N columns of C and B    K elements along the summed axis

#include <algorithm>
#include <array>
#include <utility>

#include "gptlite/kernels/gemm/format.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The tile of C that one call of the micro-kernel computes.
template <class T>
struct Tile {
  /// Two vectors of columns share a broadcast element of A, with as many rows as registers allow. 14 x 2 vectors reach
  /// the peak on Zen 5, where 28 x 1 reach 93%, and 87% of it on Ice Lake (28 x 1 53%; 9 x 3 99%, but a head of 64
  /// numbers would take two panels of 48). Sapphire Rapids takes one vector of columns and FMAs that broadcast from
  /// memory: a step is little more than its FMAs, and a core whose other hardware thread is busy keeps 85% of its peak,
  /// with 14 x 2 only 70%.
  static constexpr Index vectors = simd::broadcasts_from_memory ? 1 : 2;
  static constexpr Index mr = simd::broadcasts_from_memory ? 28 : (simd::registers - 1) / vectors - 1;
  static constexpr Index nr = vectors * simd::Vec<T>::width;
  /// The micro-kernel is compiled for multiples of row_unit rows, and for one row. Missing rows of a tile are computed
  /// and dropped: packing leaves numbers in their place.
  static constexpr Index row_unit = mr >= 28 ? 4 : 2;
  static_assert(mr % row_unit == 0);
  /// Elements of the summed axis that a tile takes at once (BLIS's kc): the tile's part of A stays in the L1 cache.
  static constexpr Index kc = 256;
};

/// The tile of a format's products.
template <class Format>
struct FormatTile : Tile<typename Format::Number> {
  static constexpr Index tiles_packed_at_once =
      4;  ///< tiles of columns that are packed at once, from longer pieces of memory
};
/// Tile of AMX: two registers of rows by two panels. AMX multiplies as fast as C can be written, so a tile takes as
/// many elements of the summed axis as possible.
template <AmxTiled Format>
struct FormatTile<Format> : Tile<float> {
  static constexpr Index mr = 2 * simd::amx_rows, kc = MultiPart<Format> ? 256 : 768, tiles_packed_at_once = 2;
};

/// One row of a packed panel, Tile::nr numbers, in registers.
template <class T>
using PanelRow = std::array<simd::Vec<T>, static_cast<std::size_t>(Tile<T>::vectors)>;

/// Memory order of a tile's part of A. rows: blocks of one vector of elements per row, [k /
/// width][FormatTile::mr][width]. columns: the elements of all rows side by side. The order is A's own, so packing
/// copies vectors; only AMX needs a transpose.
enum class OrderA { rows, columns };

namespace detail {

/// C (+)= A B for a tile of `rows` <= Rows rows by Tile::nr columns, plus bias in each row unless it is null. In the
/// order of columns, element k of A starts at a[k * a_step]. B is packed: its element k starts at b[k * Tile::nr]. Rows
/// rows of A must be readable.
template <class Format, Index Rows, OrderA Order>
void micro_kernel(Index K, const typename Format::Number* a, Index a_step, const typename Format::Number* b,
                  typename Format::Number* c, Index ldc, Index rows, bool accumulate,
                  const typename Format::Number* bias) {
  using T = typename Format::Number;
  using V = simd::Vec<T>;
  constexpr Index vectors = Tile<T>::vectors, width = V::width;
  constexpr bool by_rows = Order == OrderA::rows;
  constexpr Index row_stride = by_rows ? width : 1;
  if constexpr (by_rows) a_step = 1;
  V sums[static_cast<std::size_t>(Rows)][static_cast<std::size_t>(vectors)];
#pragma GCC unroll 2
  for (Index v = 0; v < vectors; ++v) {
    const V first = bias == nullptr ? V::zero() : V::load(bias + v * width);
#pragma GCC unroll 28
    for (Index m = 0; m < Rows; ++m) sums[m][v] = first;
  }

  const auto step = [&] {
    V row[static_cast<std::size_t>(vectors)];
#pragma GCC unroll 2
    for (Index v = 0; v < vectors; ++v) row[v] = V::load(b + v * width);
#pragma GCC unroll 28
    for (Index m = 0; m < Rows; ++m) {
      const V element = V::broadcast(a[m * row_stride]);
#pragma GCC unroll 2
      for (Index v = 0; v < vectors; ++v) sums[m][v] = Format::multiply_add(element, row[v], sums[m][v]);
    }
    a += a_step;
    b += Tile<T>::nr;
  };
  const T* line = c;
  for (Index k = 0; k < K; k += width) {
    const Index steps = std::min(width, K - k);
    Index i = 0;
    // C's lines are prefetched one row per step: all at once they would delay the loads of B.
    for (const Index lines = std::clamp<Index>(rows - k, 0, steps); i < lines; ++i, line += ldc) {
      simd::prefetch_for_write(line);
      if constexpr (vectors > 1) simd::prefetch_for_write(line + Tile<T>::nr - 1);
      step();
    }
    for (; i < steps; ++i) step();
    if constexpr (by_rows) a += (Tile<T>::mr - 1) * width;
  }

#pragma GCC unroll 28
  for (Index m = 0; m < Rows; ++m)
#pragma GCC unroll 2
    for (Index v = 0; v < vectors; ++v) {
      if (m >= rows) continue;
      T* to = c + m * ldc + v * width;
      (accumulate ? V::load(to) + sums[m][v] : sums[m][v]).store(to);
    }
}

template <class Format>
using MicroKernel = void (*)(Index K, const typename Format::Number* a, Index a_step, const typename Format::Number* b,
                             typename Format::Number* c, Index ldc, Index rows, bool accumulate,
                             const typename Format::Number* bias);

/// The micro-kernels for 1, 2, ... times row_unit rows.
template <class Format, OrderA Order, std::size_t... I>
constexpr std::array<MicroKernel<Format>, sizeof...(I)> micro_kernels(std::index_sequence<I...>) {
  return {micro_kernel<Format, (static_cast<Index>(I) + 1) * Tile<typename Format::Number>::row_unit, Order>...};
}

}  // namespace detail

/// The micro-kernel for an order of A and a number of rows, 1 .. Tile::mr, that are known only at run time.
template <class Format>
detail::MicroKernel<Format> micro_kernel_of(OrderA order, Index rows) {
  using SomeTile = Tile<typename Format::Number>;
  constexpr std::make_index_sequence<static_cast<std::size_t>(SomeTile::mr / SomeTile::row_unit)> units{};
  static constexpr auto by_rows = detail::micro_kernels<Format, OrderA::rows>(units);
  static constexpr auto by_columns = detail::micro_kernels<Format, OrderA::columns>(units);
  if (order == OrderA::columns && rows == 1) return detail::micro_kernel<Format, 1, OrderA::columns>;
  return (order == OrderA::rows ? by_rows : by_columns)[static_cast<std::size_t>((rows - 1) / SomeTile::row_unit)];
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
