#pragma once
// The formats of weights for inference: as they are, as bfloat16, both also with shortened exponents
// (short_exponents.hpp), or as 8-bit numbers with a scale for every 32. A format packs a panel, Tile::nr columns of a K
// x N matrix: a header, then block by block along k, so one pass through memory reads it. It returns the rows of a
// panel as vectors.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "gptlite/core/enum_names.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/large_vector.hpp"
#include "gptlite/kernels/packed/short_exponents.hpp"
#include "gptlite/kernels/simd/int8.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Format of a model's weights for inference. fp32: the model's own numbers. With bf16, the long products of a prompt
/// also round their other operand if the machine multiplies bfloat16 faster (bf16_products_are_fast).
enum class WeightFormat { fp32, bf16, int8 };

constexpr auto enum_names(WeightFormat) {
  return EnumNames<WeightFormat, 3>{
      "weight format", {{{"fp32", WeightFormat::fp32}, {"bf16", WeightFormat::bf16}, {"int8", WeightFormat::int8}}}};
}

namespace kernels {

/// Base of formats without a per-panel header.
struct WithoutHeader {
  static constexpr Index header_bytes = 0;

  explicit WithoutHeader(const std::byte* /*header*/) {}
  template <class T>
  static void pack_header(std::byte* /*to*/, Index /*K*/, Index /*count*/, MatrixView<T> /*w*/) {}
  template <class T>
  static LargeVector<Outlier> outliers(const std::byte* /*header*/, Index /*K*/, Index /*count*/, MatrixView<T> /*w*/) {
    return {};
  }
};

/// Numbers as they are: [k][column], in the layout that the micro-kernel reads.
template <class T>
struct PlainWeights : WithoutHeader {
  using WithoutHeader::WithoutHeader;
  using Number = T;
  static constexpr Index columns = Tile<T>::nr;
  static constexpr Index block = 1;  ///< rows of k that are packed together
  static constexpr Index block_bytes = columns * static_cast<Index>(sizeof(T));
  static constexpr bool scaled = false;

  /// Packs `rows` <= block rows of `count` <= columns columns; the rest of the block becomes zero.
  static void pack_block(const std::byte* /*header*/, std::byte* to, Index /*rows*/, Index count, MatrixView<T> w) {
    std::array<T, static_cast<std::size_t>(columns)> row{};
    for (Index j = 0; j < count; ++j) row[static_cast<std::size_t>(j)] = w.data[j * w.column_stride];
    std::memcpy(to, row.data(), sizeof row);
  }
  /// Row i of the block at `at`.
  static PanelRow<T> row(const std::byte* at, Index /*i*/) {
    const T* from = reinterpret_cast<const T*>(at);
    PanelRow<T> row;
    for (std::size_t v = 0; v < row.size(); ++v)
      row[v] = simd::Vec<T>::load(from + static_cast<Index>(v) * simd::Vec<T>::width);
    return row;
  }
};

/// bfloat16 numbers, two rows of k in the 32 bits of a lane.
struct Bfloat16Weights : WithoutHeader {
  using WithoutHeader::WithoutHeader;
  using Number = float;
  static constexpr Index columns = Tile<float>::nr, block = 2;
  static constexpr Index block_bytes = columns * 4;
  static constexpr bool scaled = false;

  static void pack_block(const std::byte* /*header*/, std::byte* to, Index rows, Index count, MatrixView<float> w) {
    std::array<std::uint32_t, static_cast<std::size_t>(columns)> pairs{};
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < count; ++j)
        pairs[static_cast<std::size_t>(j)] |=
            std::uint32_t{bfloat16_bits(w.data[i * w.row_stride + j * w.column_stride])} << 16 * i;
    std::memcpy(to, pairs.data(), sizeof pairs);
  }
  static PanelRow<float> row(const std::byte* at, Index i) {
    const float* from = reinterpret_cast<const float*>(at);
    PanelRow<float> row;
    for (std::size_t v = 0; v < row.size(); ++v) {
      const auto pairs = simd::Vec<float>::load(from + static_cast<Index>(v) * simd::Vec<float>::width);
      row[v] = i == 0 ? simd::first_of_pairs(pairs) : simd::second_of_pairs(pairs);
    }
    return row;
  }
};

/// 8-bit numbers q, four rows of k per lane, with one scale s for 32 rows of a column: weight = s q. The scale is a
/// bfloat16, and the numbers are computed with the rounded scale, so its rounding costs no accuracy.
struct Int8Weights : WithoutHeader {
  using WithoutHeader::WithoutHeader;
  using Number = float;
  static constexpr Index columns = Tile<float>::nr, block = 32;
  static constexpr Index scale_bytes = columns * 2, block_bytes = scale_bytes + block * columns;
  static constexpr bool scaled = true;

  static void pack_block(const std::byte* /*header*/, std::byte* to, Index rows, Index count, MatrixView<float> w) {
    std::array<std::uint16_t, static_cast<std::size_t>(columns)> scales{};
    std::array<std::int8_t, static_cast<std::size_t>(block * columns)> numbers{};
    for (Index j = 0; j < count; ++j) {
      const float* column = w.data + j * w.column_stride;
      float largest = 0;
      for (Index i = 0; i < rows; ++i) {
        check<DataError>(is_finite(column[i * w.row_stride]), "Int8Weights",
                         "a weight is not finite: has the model diverged?");
        largest = std::max(largest, std::abs(column[i * w.row_stride]));
      }
      // One step up if rounding went down: the largest number must not exceed 127.
      std::uint16_t bits = bfloat16_bits(largest / 127);
      if (from_bfloat16_bits(bits) * 127 < largest) ++bits;
      scales[static_cast<std::size_t>(j)] = bits;
      const float scale = from_bfloat16_bits(bits);
      for (Index i = 0; i < rows && scale > 0; ++i)
        numbers[static_cast<std::size_t>((i / 4 * columns + j) * 4 + i % 4)] =
            static_cast<std::int8_t>(std::lrint(column[i * w.row_stride] / scale));
    }
    std::memcpy(to, scales.data(), sizeof scales);
    std::memcpy(to + scale_bytes, numbers.data(), sizeof numbers);
  }
  /// Row i of the block at `at`, before its scales are applied.
  static PanelRow<float> row(const std::byte* at, Index i) {
    const std::byte* from = at + scale_bytes + i / 4 * columns * 4;
    PanelRow<float> row;
    for (std::size_t v = 0; v < row.size(); ++v) {
      const auto quads = simd::Vec<float>::load(reinterpret_cast<const float*>(from) +
                                                static_cast<Index>(v) * simd::Vec<float>::width);
      row[v] = simd::number_of_quads(quads, static_cast<int>(i % 4));
    }
    return row;
  }
  static PanelRow<float> scales(const std::byte* at) {
    const auto* from = reinterpret_cast<const std::uint16_t*>(at);
    std::array<float, static_cast<std::size_t>(columns)> scales;
    for (std::size_t j = 0; j < scales.size(); ++j) scales[j] = from_bfloat16_bits(from[j]);
    PanelRow<float> row;
    for (std::size_t v = 0; v < row.size(); ++v)
      row[v] = simd::Vec<float>::load(scales.data() + static_cast<Index>(v) * simd::Vec<float>::width);
    return row;
  }
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
