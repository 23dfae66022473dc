#pragma once
// The sizes of packed operands, for a form that is known at compile time or at run time.
//
// Sizes:  M rows of C and A    N columns of C and B    K numbers along the summed axis

#include <algorithm>
#include <bit>
#include <cstdint>

#include "gptlite/kernels/gemm/micro_kernel.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// A size that is a power of two, so that dividing by it is a shift where it is known at run time only: a division
/// takes as long as a product of 12 vectors.
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

/// What one form's operands take when packed; sizes_of<Format> has them. All counts are of the form's numbers.
struct FormatSizes {
  PowerOfTwo depth, group;     ///< numbers of an element, elements of a group
  Index planes;                ///< of a number
  PowerOfTwo width, columns;   ///< of a vector, of a panel
  Index rows, row_unit;        ///< of a tile, and of its micro-kernels
  Index tile_depth, together;  ///< elements that a tile runs through at once, tiles that are packed at once
  bool amx;

  /// Elements that K numbers along the summed axis become, in whole groups.
  constexpr Index element_count(Index K) const {
    const PowerOfTwo numbers = depth * group;
    return (K + numbers - 1) / numbers * group;
  }
  /// One panel of a right-hand matrix of depth K, plane after plane, and all its panels for N columns.
  constexpr Index panel_size(Index K) const { return planes * columns * element_count(K); }
  constexpr Index packed_size(Index K, Index N) const { return (N + columns - 1) / columns * panel_size(K) + width; }

  /// Tiles that M rows take, and the row at which tile i begins, M for all behind the last one. Rows are dealt out
  /// evenly, 32 rows become 16 + 16, not 28 + 4; but not with AMX, which takes as long for any number of them.
  constexpr Index tile_count(Index M) const { return (M + rows - 1) / rows; }
  constexpr Index tile_begin(Index M, Index i) const {
    const Index tiles = tile_count(M), units = (M + row_unit - 1) / row_unit;
    return std::min(M, amx ? i * rows : units * std::min(i, tiles) / std::max<Index>(tiles, 1) * row_unit);
  }
  /// Numbers from one element of the summed axis to the next in a tile packed by columns.
  constexpr Index left_step() const { return round_up(rows, width); }
  /// Room for one plane of a packed tile of the left-hand matrix, for its elements along the summed axis, and for all
  /// planes of a tile that is K numbers deep.
  constexpr Index left_plane_size(Index elements) const {
    return std::max(rows * round_up(elements, width), left_step() * elements) + left_step();
  }
  constexpr Index left_size(Index K) const { return planes * left_plane_size(element_count(K)); }

  /// Columns of B that a job multiplies at most, for a number of elements: what stays in the L2 cache.
  constexpr Index most_columns(Index elements) const {
    constexpr Index of_tiles = 768, amx_numbers = Index{5} << 16;  // 1.25 MB, of 2 MB on all processors with AMX
    if (!amx) return of_tiles;
    return amx_numbers / (planes * std::clamp<Index>(elements, 1, tile_depth)) / (2 * columns) * (2 * columns);
  }
};

/// The sizes of a form.
template <class Format, class T = typename Format::Number>
inline constexpr FormatSizes sizes_of{.depth = Format::depth,
                                      .group = Format::group,
                                      .planes = Format::planes,
                                      .width = simd::Vec<T>::width,
                                      .columns = Tile<T>::columns,
                                      .rows = FormatTile<Format>::rows,
                                      .row_unit = Tile<T>::row_unit,
                                      .tile_depth = FormatTile<Format>::depth,
                                      .together = FormatTile<Format>::together,
                                      .amx = AmxForm<Format>};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
