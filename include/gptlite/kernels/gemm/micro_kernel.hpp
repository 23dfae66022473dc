#pragma once
// The innermost loop of every matrix product: a tile of C held in registers while the summed axis runs by.
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
  /// Two vectors of columns share a broadcast element of A, with as many rows as there are registers: 14 x 2 vectors
  /// reach the peak on Zen 5, where 28 x 1 reach 93%, and 87% of it on Ice Lake (28 x 1 53%; 9 x 3 99%, but a head of
  /// 64 numbers would take two panels of 48). On Sapphire Rapids one vector of columns and FMAs that broadcast from
  /// memory: a step is little more than its FMAs, and a core whose other hardware thread is busy keeps 85% of its peak
  /// where 14 x 2 keeps 70%.
  static constexpr Index vectors = simd::broadcasts_from_memory ? 1 : 2;
  static constexpr Index rows = simd::broadcasts_from_memory ? 28 : (simd::registers - 1) / vectors - 1;
  static constexpr Index columns = vectors * simd::Vec<T>::width;
  /// Elements of the summed axis that a tile runs through at once: the tile's part of A stays in the L1 cache.
  static constexpr Index depth = 256;
  /// Columns of B that a job multiplies at most: `depth` elements of them, packed, stay in the L2 cache.
  static constexpr Index most_columns = 768;
};

/// The same for a form.
template <class Format>
struct FormatTile : Tile<typename Format::Number> {
  static constexpr Index together = 4;  ///< tiles of columns that are packed at once, from longer pieces of memory
  /// True if the rows of the next tile are asked for while one is multiplied.
  static constexpr bool asks_ahead = true;
  /// Columns of B that a job multiplies at most, for a depth.
  static constexpr Index most_columns(Index /*elements*/) { return Tile<typename Format::Number>::most_columns; }
};
/// Two registers of rows by two panels. AMX multiplies as fast as C can be written, so that a tile runs through as many
/// elements as it can; 1.25 MB of B stay in the L2 cache (2 MB on all processors that have AMX). A kernel of one plane
/// waits for B, and requests for A make it wait longer: without them, as rows that follow each other come by
/// themselves, a step of `small` takes 3 to 5% less.
template <AmxForm Format>
struct FormatTile<Format> : Tile<float> {
  static constexpr Index rows = 2 * simd::amx_rows, depth = PlanarForm<Format> ? 256 : 768, together = 2;
  static constexpr bool asks_ahead = PlanarForm<Format>;
  static constexpr Index most_columns(Index elements) {
    return (Index{5} << 16) / (Format::planes * std::clamp<Index>(elements, 1, depth)) / (2 * columns) * (2 * columns);
  }
};

/// One row of a packed panel, Tile::columns numbers, in registers.
template <class T>
using PanelRow = std::array<simd::Vec<T>, static_cast<std::size_t>(Tile<T>::vectors)>;

/// How a tile's part of A lies in memory: blocks of one vector of elements a row, as [k /
/// width][FormatTile::rows][width], or the elements of all rows side by side. Either way packing it copies vectors,
/// whichever way A itself lies.
enum class LeftOrder { rows, columns };

namespace detail {

/// C (+)= A B for a tile of Rows x Tile::columns; where `bias` is not null, plus bias in each row. In the order of
/// columns element k of A begins at a[k * a_step]; B is packed, its element k begins at b[k * Tile::columns].
template <class Format, Index Rows, LeftOrder Order>
void micro_kernel(Index K, const typename Format::Number* a, Index a_step, const typename Format::Number* b,
                  typename Format::Number* c, Index ldc, bool accumulate, const typename Format::Number* bias) {
  using T = typename Format::Number;
  using V = simd::Vec<T>;
  constexpr Index vectors = Tile<T>::vectors, width = V::width;
  constexpr bool by_rows = Order == LeftOrder::rows;
  constexpr Index row_stride = by_rows ? width : 1;
  if constexpr (by_rows) a_step = 1;
  V sums[Rows][vectors];
#pragma GCC unroll 2
  for (Index v = 0; v < vectors; ++v) {
    const V first = bias == nullptr ? V::zero() : V::load(bias + v * width);
#pragma GCC unroll 28
    for (Index m = 0; m < Rows; ++m) sums[m][v] = first;
  }

  const auto step = [&] {
    V row[vectors];
#pragma GCC unroll 2
    for (Index v = 0; v < vectors; ++v) row[v] = V::load(b + v * width);
#pragma GCC unroll 28
    for (Index m = 0; m < Rows; ++m) {
      const V element = V::broadcast(a[m * row_stride]);
#pragma GCC unroll 2
      for (Index v = 0; v < vectors; ++v) sums[m][v] = Format::multiply_add(element, row[v], sums[m][v]);
    }
    a += a_step;
    b += Tile<T>::columns;
  };
  const T* line = c;
  for (Index k = 0; k < K; k += width) {
    const Index steps = std::min(width, K - k);
    Index i = 0;
    // C's lines are asked for one row a step: all at once they would hold up the loads of B.
    for (const Index lines = std::clamp<Index>(Rows - k, 0, steps); i < lines; ++i, line += ldc) {
      simd::prefetch_for_write(line);
      if constexpr (vectors > 1) simd::prefetch_for_write(line + Tile<T>::columns - 1);
      step();
    }
    for (; i < steps; ++i) step();
    if constexpr (by_rows) a += (Tile<T>::rows - 1) * width;
  }

#pragma GCC unroll 28
  for (Index m = 0; m < Rows; ++m)
#pragma GCC unroll 2
    for (Index v = 0; v < vectors; ++v) {
      T* to = c + m * ldc + v * width;
      (accumulate ? V::load(to) + sums[m][v] : sums[m][v]).store(to);
    }
}

template <class Format>
using MicroKernel = void (*)(Index K, const typename Format::Number* a, Index a_step, const typename Format::Number* b,
                             typename Format::Number* c, Index ldc, bool accumulate,
                             const typename Format::Number* bias);

template <class Format, LeftOrder Order, std::size_t... I>
constexpr std::array<MicroKernel<Format>, sizeof...(I)> micro_kernels(std::index_sequence<I...>) {
  return {micro_kernel<Format, static_cast<Index>(I) + 1, Order>...};
}

}  // namespace detail

/// The micro-kernel for an order of A and a number of rows that is known only at run time, 1 .. Tile::rows.
template <class Format>
detail::MicroKernel<Format> micro_kernel_of(LeftOrder order, Index rows) {
  constexpr std::make_index_sequence<Tile<typename Format::Number>::rows> numbers{};
  static constexpr auto by_rows = detail::micro_kernels<Format, LeftOrder::rows>(numbers);
  static constexpr auto by_columns = detail::micro_kernels<Format, LeftOrder::columns>(numbers);
  return (order == LeftOrder::rows ? by_rows : by_columns)[static_cast<std::size_t>(rows - 1)];
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
