#pragma once
// The sizes of packed operands, for a format that is known at compile time or at run time.
//
// Sizes:  M rows of C and A    N columns of C and B    K numbers along the summed axis

#include <algorithm>
#include <bit>
#include <cstdint>

#include "gptlite/kernels/gemm/micro_kernel.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// A size that is a power of two. Dividing by it is a shift even if it is known only at run time: a division takes as
/// long as a product of 12 vectors.
class PowerOfTwo {
 public:
  constexpr PowerOfTwo(Index value)  // NOLINT: implicit, as sizes are computed as Index
      : log2_(std::countr_zero(static_cast<std::uint64_t>(value))) {}
  constexpr operator Index() const { return Index{1} << log2_; }  // NOLINT

  friend constexpr Index operator/(Index n, PowerOfTwo size) { return n >> size.log2_; }
  friend constexpr Index round_up(Index n, PowerOfTwo size) { return (n + size - 1) / size * size; }

 private:
  int log2_;
};

/// The sizes of one format's packed operands; sizes_of<Format> has them. All sizes are in the format's numbers.
struct FormatSizes {
  PowerOfTwo k_per_element, group;  ///< numbers per element, elements per group
  Index parts;                      ///< parts per number
  PowerOfTwo width, nr;             ///< numbers per vector, columns per panel
  Index mr, row_unit;               ///< rows of a tile; its micro-kernels are compiled for multiples of row_unit
  Index kc;                         ///< elements of the summed axis that a tile takes at once
  Index tiles_packed_at_once;       ///< tiles of an A with contiguous columns that are packed at once
  bool amx;

  /// Number of elements that K numbers along the summed axis become, in whole groups.
  constexpr Index element_count(Index K) const {
    const PowerOfTwo numbers = k_per_element * group;
    return (K + numbers - 1) / numbers * group;
  }
  /// Size of one packed panel of a matrix B of K rows, all parts, and of all its panels for N columns.
  constexpr Index panel_size(Index K) const { return parts * nr * element_count(K); }
  constexpr Index packed_size(Index K, Index N) const { return (N + nr - 1) / nr * panel_size(K) + width; }

  /// Number of tiles of M rows, and the first row of tile i (M if i is past the last one). Rows are distributed evenly:
  /// 32 rows become 16 + 16, not 28 + 4. Not with AMX, which takes as long for any number of rows.
  constexpr Index tile_count(Index M) const { return (M + mr - 1) / mr; }
  constexpr Index tile_begin(Index M, Index i) const {
    const Index tiles = tile_count(M), units = (M + row_unit - 1) / row_unit;
    return std::min(M, amx ? i * mr : units * std::min(i, tiles) / std::max<Index>(tiles, 1) * row_unit);
  }
  /// Numbers from one element of the summed axis to the next in a tile packed by columns.
  constexpr Index a_step() const { return round_up(mr, width); }
  /// Size of one part of a packed tile of A with this many elements along the summed axis, and of all parts of a tile
  /// with K numbers along it.
  constexpr Index a_part_size(Index elements) const {
    return std::max(mr * round_up(elements, width), a_step() * elements) + a_step();
  }
  constexpr Index a_size(Index K) const { return parts * a_part_size(element_count(K)); }

  /// Most columns of B that a job multiplies, for a number of elements, so that they stay in the L2 cache.
  constexpr Index most_columns(Index elements) const {
    constexpr Index of_tiles = 768, amx_numbers = Index{5} << 16;  // 1.25 MB, of 2 MB on all processors with AMX
    if (!amx) return of_tiles;
    return amx_numbers / (parts * std::clamp<Index>(elements, 1, kc)) / (2 * nr) * (2 * nr);
  }
};

/// The sizes of a format.
template <class Format, class T = typename Format::Number>
inline constexpr FormatSizes sizes_of{.k_per_element = Format::k_per_element,
                                      .group = Format::group,
                                      .parts = Format::parts,
                                      .width = simd::Vec<T>::width,
                                      .nr = Tile<T>::nr,
                                      .mr = FormatTile<Format>::mr,
                                      .row_unit = Tile<T>::row_unit,
                                      .kc = FormatTile<Format>::kc,
                                      .tiles_packed_at_once = FormatTile<Format>::tiles_packed_at_once,
                                      .amx = AmxTiled<Format>};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
