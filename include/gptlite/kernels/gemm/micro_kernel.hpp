#pragma once
// The innermost loop of every matrix product: a tile of C held in registers while the summed axis runs by.
//
// Sizes:  M rows of C and A    N columns of C and B    K elements along the summed axis

#include <array>
#include <utility>

#include "gptlite/kernels/gemm/format.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The tile of C that one call of the micro-kernel computes.
template <class T>
struct Tile {
  /// With AVX-512 one vector of columns and as many rows as there are registers: each FMA broadcasts its element of A
  /// from memory, so a step is little more than its FMAs, and a core whose other hardware thread is busy keeps 85% of
  /// its peak where 14 rows of two vectors keep 70% (Sapphire Rapids). Elsewhere a broadcast costs a register and an
  /// instruction, shared by two vectors.
  static constexpr Index vectors = simd::broadcasts_from_memory ? 1 : 2;
  static constexpr Index rows = simd::broadcasts_from_memory ? 28 : (simd::registers - 1) / vectors - 1;
  static constexpr Index columns = vectors * simd::Vec<T>::width;
  /// Elements of the summed axis that a tile runs through at once: the tile's part of A stays in the L1 cache.
  static constexpr Index depth = 256;
};

/// One row of a packed panel, Tile::columns numbers, in registers.
template <class T>
using PanelRow = std::array<simd::Vec<T>, static_cast<std::size_t>(Tile<T>::vectors)>;

namespace detail {

/// C (+)= A B for a tile of Rows x Tile::columns. Element k of A begins at a[k * a_step], the rows side by side; B is
/// packed, its element k begins at b[k * Tile::columns].
template <class Format, Index Rows>
void micro_kernel(Index K, const typename Format::Number* a, Index a_step, const typename Format::Number* b,
                  typename Format::Number* c, Index ldc, bool accumulate) {
  using T = typename Format::Number;
  using V = simd::Vec<T>;
  constexpr Index vectors = Tile<T>::vectors;
  V sums[Rows][vectors];
#pragma GCC unroll 28
  for (Index m = 0; m < Rows; ++m)
#pragma GCC unroll 2
    for (Index v = 0; v < vectors; ++v) sums[m][v] = V::zero();

  const auto step = [&] {
    V row[vectors];
#pragma GCC unroll 2
    for (Index v = 0; v < vectors; ++v) row[v] = V::load(b + v * V::width);
#pragma GCC unroll 28
    for (Index m = 0; m < Rows; ++m) {
      const V element = V::broadcast(a[m]);
#pragma GCC unroll 2
      for (Index v = 0; v < vectors; ++v) sums[m][v] = Format::multiply_add(element, row[v], sums[m][v]);
    }
    a += a_step;
    b += Tile<T>::columns;
  };
  // C's lines are asked for one a step: all at once they would hold up the loads of B.
  Index k = 0;
  const T* line = c;
  for (; k < std::min(K, Rows); ++k, line += ldc) {
    simd::prefetch_for_write(line);
    step();
  }
  for (; k < K; ++k) step();

#pragma GCC unroll 28
  for (Index m = 0; m < Rows; ++m)
#pragma GCC unroll 2
    for (Index v = 0; v < vectors; ++v) {
      T* to = c + m * ldc + v * V::width;
      (accumulate ? V::load(to) + sums[m][v] : sums[m][v]).store(to);
    }
}

template <class Format>
using MicroKernel = void (*)(Index K, const typename Format::Number* a, Index a_step, const typename Format::Number* b,
                             typename Format::Number* c, Index ldc, bool accumulate);

template <class Format, std::size_t... I>
constexpr std::array<MicroKernel<Format>, sizeof...(I)> micro_kernels(std::index_sequence<I...>) {
  return {micro_kernel<Format, static_cast<Index>(I) + 1>...};
}

}  // namespace detail

/// The micro-kernel for a number of rows that is known only at run time, 1 .. Tile::rows.
template <class Format>
detail::MicroKernel<Format> micro_kernel_of(Index rows) {
  static constexpr auto by_rows =
      detail::micro_kernels<Format>(std::make_index_sequence<Tile<typename Format::Number>::rows>{});
  return by_rows[static_cast<std::size_t>(rows - 1)];
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
