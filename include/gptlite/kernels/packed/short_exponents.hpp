#pragma once
// Weights with short exponents: the same numbers in 28 bits instead of 32, or in 12 instead of 16 for bfloat16.
// Generation waits for memory, so fewer bytes mean more tokens per second. The weights of a column seldom differ by
// more than 2^15, so four bits store an exponent as its distance from the column's lowest, the base. The few weights
// below the base are kept apart, as outliers. Zhang et al. 2025 (DFloat11) shorten exponents too, with codes of varying
// length.
//
// Sizes:  K rows of the matrix    columns of a panel, Tile::nr    block: 8 rows, which share words

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/kernels/gemm/pack.hpp"
#include "gptlite/kernels/simd/bfloat16.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// The code of a weight: its sign in bit 31, then four idle bits, then exponent and mantissa minus those of the
/// column's base. The idle bits of a block's first rows store its last rows.
inline constexpr std::uint32_t sign_bit = 0x80000000u, idle_bits = 0x78000000u;
inline constexpr int idle_begin = 27, idle_count = 4;

/// Codes of floats: rows 0 to 6 of a block take one word each, row 7 takes their idle bits.
struct FloatWords {
  static constexpr Index count = 7;
  static float rounded(float weight) { return weight; }

  /// Adds the code of row i of a block to its words, which are `stride` words apart.
  static void put(std::uint32_t* words, Index stride, Index i, std::uint32_t bits) {
    if (i < count) {
      words[i * stride] |= bits;
      return;
    }
    const std::uint32_t moved = (bits & ~sign_bit) | bits >> 31 << idle_begin;  // 28 bits side by side
    for (Index n = 0; n < count; ++n) words[n * stride] |= (moved >> idle_count * n & 15u) << idle_begin;
  }
  /// The codes of row i of a block. word(n) loads word n.
  template <class Word>
  static simd::Vec<float> row(Word&& word, Index i) {
    if (i < count) return simd::map_bits([](auto bits) { return bits & ~idle_bits; }, word(i));
    auto row =
        simd::map_bits([](auto bits) { return (bits << 1 & sign_bit) | (bits >> 3 & 0x07000000u); }, word(count - 1));
    for (Index n = 0; n < count - 1; ++n) {
      const auto down = static_cast<int>(idle_begin - idle_count * n);
      const std::uint32_t place = 15u << idle_count * n;
      row = simd::map_bits([=](auto so_far, auto bits) { return so_far | (bits >> down & place); }, row, word(n));
    }
    return row;
  }
};

/// Codes of bfloat16, whose lower 16 bits are zero: rows 0 to 2 of a block take the upper and rows 3 to 5 the lower
/// halves of three words, rows 6 and 7 take their idle bits.
struct Bfloat16Words {
  static constexpr Index count = 3;
  static constexpr std::uint32_t kept = ~idle_bits & 0xffff0000u;
  static float rounded(float weight) { return round_to_bfloat16(weight); }

  static void put(std::uint32_t* words, Index stride, Index i, std::uint32_t bits) {
    if (i < 2 * count) {
      words[i % count * stride] |= i < count ? bits : bits >> 16;
      return;
    }
    const int up = i == 6 ? idle_begin : idle_begin - 16;
    words[0] |= (bits >> 23 & 15u) << up;
    words[stride] |= (bits >> 16 & 15u) << up;
    words[2 * stride] |= ((bits >> 20 & 7u) | bits >> 31 << 3) << up;
  }
  template <class Word>
  static simd::Vec<float> row(Word&& word, Index i) {
    if (i < count) return simd::map_bits([](auto bits) { return bits & kept; }, word(i));
    if (i < 2 * count) return simd::map_bits([](auto bits) { return bits << 16 & kept; }, word(i - count));
    if (i == 6)
      return simd::map_bits(
          [](auto a, auto b, auto c) {
            return (a >> 4 & 0x07800000u) | (b >> 11 & 0x000f0000u) | (c >> 7 & 0x00700000u) | (c << 1 & sign_bit);
          },
          word(0), word(1), word(2));
    return simd::map_bits(
        [](auto a, auto b, auto c) {
          return (a << 12 & 0x07800000u) | (b << 5 & 0x000f0000u) | (c << 9 & 0x00700000u) | (c << 17 & sign_bit);
        },
        word(0), word(1), word(2));
  }
};

}  // namespace detail

/// A weight below its column's base. It is stored as the base; the excess (base - weight) * x is subtracted after the
/// product. As long as most weights of the column are larger, this rounds no more than the sum itself
/// (max_outlier_share_of_column).
struct Outlier {
  Index row, column;     ///< position in the panel
  float weight, stored;  ///< its value, and the value that row() returns
};

/// Largest share of outliers: of a matrix, since each costs time, and of a column, since sums are rounded.
inline constexpr double max_outlier_share = 1.0 / 256, max_outlier_share_of_column = 1.0 / 16;

/// A format of weights (weight_formats.hpp) whose panels start with each column's base, the float whose code is 0.
template <class Words>
class ShortExponentWeights {
 public:
  using Number = float;
  static constexpr Index columns = Tile<float>::nr, block = 8;
  static constexpr Index header_bytes = columns * 4, block_bytes = Words::count * columns * 4;
  static constexpr bool scaled = false;

  explicit ShortExponentWeights(const std::byte* header) {
    for (std::size_t v = 0; v < bases_.size(); ++v)
      bases_[v] = Vec::load(reinterpret_cast<const float*>(header) + static_cast<Index>(v) * Vec::width);
  }

  /// Stores the bases of `count` columns of K rows. A base is a power of two, or 0 if codes from 0 cover the whole
  /// column, zeros included.
  static void pack_header(std::byte* to, Index K, Index count, MatrixView<float> w) {
    std::array<std::uint32_t, static_cast<std::size_t>(columns)> bases{};
    for (Index j = 0; j < count; ++j) {
      std::uint32_t largest = 0;
      for (Index k = 0; k < K; ++k) largest = std::max(largest, bits_of(w, k, j) >> 23 & 0xffu);
      bases[static_cast<std::size_t>(j)] = (largest > 15 ? largest - 15 : 0) << 23;
    }
    std::memcpy(to, bases.data(), sizeof bases);
  }
  /// Packs `rows` <= block rows of `count` <= columns columns; the rest of the block becomes code 0.
  static void pack_block(const std::byte* header, std::byte* to, Index rows, Index count, MatrixView<float> w) {
    std::array<std::uint32_t, static_cast<std::size_t>(Words::count * columns)> words{};
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < count; ++j) {
        const std::uint32_t bits = bits_of(w, i, j), base = base_of(header, j), size = bits & ~detail::sign_bit;
        Words::put(words.data() + j, columns, i, (size > base ? size - base : 0) | (bits & detail::sign_bit));
      }
    std::memcpy(to, words.data(), sizeof words);
  }
  /// The weights among K rows of `count` columns that are below their column's base.
  static LargeVector<Outlier> outliers(const std::byte* header, Index K, Index count, MatrixView<float> w) {
    LargeVector<Outlier> found;
    for (Index k = 0; k < K; ++k)
      for (Index j = 0; j < count; ++j) {
        const std::uint32_t bits = bits_of(w, k, j), base = base_of(header, j);
        if ((bits & ~detail::sign_bit) < base)
          found.push_back({k, j, std::bit_cast<float>(bits), std::bit_cast<float>(base | (bits & detail::sign_bit))});
      }
    return found;
  }

  /// Row i of the block at `at`.
  PanelRow<float> row(const std::byte* at, Index i) const {
    PanelRow<float> row;
    for (std::size_t v = 0; v < row.size(); ++v) {
      const auto word = [&](Index n) {
        return Vec::load(reinterpret_cast<const float*>(at) + n * columns + static_cast<Index>(v) * Vec::width);
      };
      row[v] = simd::map_bits([](auto bits, auto base) { return bits + base; }, Words::row(word, i), bases_[v]);
    }
    return row;
  }

 private:
  using Vec = simd::Vec<float>;

  static std::uint32_t bits_of(MatrixView<float> w, Index k, Index j) {
    return std::bit_cast<std::uint32_t>(Words::rounded(w.data[k * w.row_stride + j * w.column_stride]));
  }
  static std::uint32_t base_of(const std::byte* header, Index j) {
    std::uint32_t base;
    std::memcpy(&base, header + j * 4, sizeof base);
    return base;
  }

  PanelRow<float> bases_;
};

using ShortExponentFloats = ShortExponentWeights<detail::FloatWords>;
using ShortExponentBfloat16 = ShortExponentWeights<detail::Bfloat16Words>;

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
