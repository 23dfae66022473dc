#pragma once
// WeightTable: a format of weights at run time: its sizes, and the functions that pack, multiply and expand.
// PackedMatrix uses it, so it is compiled once for all formats.
//
// Sizes:  K columns of x, rows of the matrix

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "gptlite/kernels/packed/weight_formats.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// One reader for each of P consecutive panels.
template <class Format, std::size_t... P>
std::array<Format, sizeof...(P)> readers_of(const std::byte* panel, Index panel_bytes, std::index_sequence<P...>) {
  return {Format(panel + static_cast<Index>(P) * panel_bytes)...};
}

/// Operands of multiply_panels(): rows of x, ldx numbers apart, and panels, panel_bytes apart.
template <class T>
struct PanelsProduct {
  Index K;
  const T* x;
  Index ldx;
  const std::byte* panel;
  Index panel_bytes;
  T* y;
  Index ldy;
};

/// y[m][0 .. Panels * columns - 1] = the products of Rows rows of x with Panels panels.
template <class Format, Index Rows, Index Panels, class T = typename Format::Number>
void multiply_panels(const PanelsProduct<T>& product) {
  const Index K = product.K, ldx = product.ldx, panel_bytes = product.panel_bytes, ldy = product.ldy;
  const T* const x = product.x;
  T* const y = product.y;
  const std::byte* panel = product.panel;
  using V = simd::Vec<T>;
  constexpr std::size_t vectors = static_cast<std::size_t>(Tile<T>::vectors), rows = static_cast<std::size_t>(Rows);
  constexpr std::size_t across = vectors * static_cast<std::size_t>(Panels);
  // Several chains of sums, since one FMA takes four cycles and a core starts two per cycle. Their number is the same
  // for any number of rows and panels, so a row is bitwise the same beside others as alone.
  constexpr std::size_t chains = simd::registers >= 32 ? 4 / vectors : 2;
  // One iteration of the loop reads at least eight rows.
  constexpr Index blocks = std::max<Index>(1, 8 / Format::block), turn_bytes = blocks * Format::block_bytes;
  const auto readers =
      readers_of<Format>(panel, panel_bytes, std::make_index_sequence<static_cast<std::size_t>(Panels)>());
  panel += Format::header_bytes;
  V sums[rows][across], parts[chains][rows][across];
  const auto clear = [](auto& all) {
    for (auto& chain : all)
      for (auto& row : chain)
        for (V& v : row) v = V::zero();
  };
  for (auto& row : sums)
    for (V& v : row) v = V::zero();
  clear(parts);
  const auto add_row = [&](Index i, Index k, std::size_t chain) {  // row i of this iteration
    for (std::size_t p = 0; p < readers.size(); ++p) {
      const std::byte* block = panel + static_cast<Index>(p) * panel_bytes + i / Format::block * Format::block_bytes;
      const PanelRow<T> row = readers[p].row(block, i % Format::block);
      for (std::size_t r = 0; r < rows; ++r) {
        const V element = V::broadcast(x[static_cast<Index>(r) * ldx + k]);
        for (std::size_t v = 0; v < vectors; ++v) {
          V& part = parts[chain][r][p * vectors + v];
          part = simd::fma(element, row[v], part);
        }
      }
    }
  };
  const auto add_parts = [&](const PanelRow<T>* scales) {
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t v = 0; v < across; ++v) {
        V total = parts[0][r][v];
        for (std::size_t c = 1; c < chains; ++c) total = total + parts[c][r][v];
        V& sum = sums[r][v];
        sum = scales != nullptr ? simd::fma(total, scales[v / vectors][v % vectors], sum) : sum + total;
      }
  };
  // The processor's own prefetching leaves a quarter to half of the memory's bandwidth unused. Lines are prefetched
  // twice: early into the L2 cache, later into L1. Panels are consecutive, so the end of one prefetches the next.
  constexpr Index ahead_l2 = 4096, ahead_l1 = 1024, line = 64;
  for (Index k = 0; k < K; k += blocks * Format::block, panel += turn_bytes) {
    for (Index p = 0; p < Panels; ++p)
      for (Index at = 0; at < turn_bytes; at += line) {
        simd::prefetch_l2(panel + p * panel_bytes + ahead_l2 + at);
        simd::prefetch_l1(panel + p * panel_bytes + ahead_l1 + at);
      }
    if (k + blocks * Format::block <= K) {
#pragma GCC unroll 32
      for (Index i = 0; i < blocks * Format::block; ++i) add_row(i, k + i, static_cast<std::size_t>(i) % chains);
    } else {
      for (Index i = 0; k + i < K; ++i) add_row(i, k + i, 0);
    }
    if constexpr (Format::scaled) {
      std::array<PanelRow<T>, static_cast<std::size_t>(Panels)> scales;
      for (std::size_t p = 0; p < scales.size(); ++p)
        scales[p] = Format::scales(panel + static_cast<Index>(p) * panel_bytes);
      add_parts(scales.data());
      clear(parts);
    }
  }
  if constexpr (!Format::scaled) add_parts(nullptr);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t v = 0; v < across; ++v)
      sums[r][v].store(y + static_cast<Index>(r) * ldy + static_cast<Index>(v) * V::width);
}

/// The sizes of a format and its functions. Sizes are in bytes except `block` and `together`.
template <class T>
struct WeightTable {
  Index header_bytes, block, block_bytes;  ///< bytes per panel header; rows per block; bytes per block
  Index together;                          ///< panels that multiply_panels() reads side by side
  bool plain;                              ///< true if the micro-kernel multiplies panels as they are

  void (*pack_header)(std::byte* to, Index K, Index count, MatrixView<T> w);
  void (*pack_block)(const std::byte* header, std::byte* to, Index rows, Index count, MatrixView<T> w);
  LargeVector<Outlier> (*outliers)(const std::byte* header, Index K, Index count, MatrixView<T> w);
  /// multiply_one: one row of x times one panel. multiply_panels: one row times `together` panels. multiply_rows:
  /// rows_together rows times one panel.
  void (*multiply_one)(const PanelsProduct<T>& p);
  void (*multiply_panels)(const PanelsProduct<T>& p);
  void (*multiply_rows)(const PanelsProduct<T>& p);
  /// Writes rows k .. k + length - 1 of a panel as plain numbers, outliers as they are stored. k starts a block.
  void (*expand)(const std::byte* panel, Index k, Index length, T* plain);
};

/// Number of rows of x that are multiplied with one row of weights in registers.
inline constexpr Index rows_together = simd::registers >= 32 ? 4 : 2;

template <class Format, class T = typename Format::Number>
void expand_panel(const std::byte* panel, Index k, Index length, T* plain) {
  const Format reader(panel);
  for (Index i = 0; i < length; ++i) {
    const std::byte* at = panel + Format::header_bytes + (k + i) / Format::block * Format::block_bytes;
    PanelRow<T> row = reader.row(at, (k + i) % Format::block);
    if constexpr (Format::scaled) {
      const PanelRow<T> scales = Format::scales(at);
      for (std::size_t v = 0; v < row.size(); ++v) row[v] = row[v] * scales[v];
    }
    for (std::size_t v = 0; v < row.size(); ++v)
      row[v].store(plain + i * Tile<T>::nr + static_cast<Index>(v) * simd::Vec<T>::width);
  }
}

/// Number of panels that are read at a time. Narrow panels are read two at a time: two streams are a little faster than
/// one if reading takes longer than unpacking. Panels of two vectors are read 5 to 8% faster one by one (Zen 5).
template <class Format, class T>
inline constexpr Index panels_together = Format::scaled ? 1 : 2 / Tile<T>::vectors;

/// The function table of a format.
template <class Format, class T = typename Format::Number>
inline constexpr WeightTable<T> weight_table{
    .header_bytes = Format::header_bytes,
    .block = Format::block,
    .block_bytes = Format::block_bytes,
    .together = panels_together<Format, T>,
    .plain = std::is_same_v<Format, PlainWeights<T>>,
    .pack_header = Format::pack_header,
    .pack_block = Format::pack_block,
    .outliers = Format::outliers,
    .multiply_one = multiply_panels<Format, 1, 1, T>,
    .multiply_panels = multiply_panels<Format, 1, panels_together<Format, T>, T>,
    .multiply_rows = multiply_panels<Format, rows_together, 1, T>,
    .expand = expand_panel<Format, T>};

/// The function table for weights of type T in `format`. double supports only its own numbers. compact: with shortened
/// exponents, if the format has them.
template <class T>
const WeightTable<T>& weight_table_of([[maybe_unused]] WeightFormat format, [[maybe_unused]] bool compact) {
  if constexpr (std::is_same_v<T, float>) {
    if (format == WeightFormat::int8) return weight_table<Int8Weights, T>;
    if (format == WeightFormat::bf16)
      return compact ? weight_table<ShortExponentBfloat16, T> : weight_table<Bfloat16Weights, T>;
    if (compact) return weight_table<ShortExponentFloats, T>;
  }
  return weight_table<PlainWeights<T>>;
}

}  // namespace detail

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
