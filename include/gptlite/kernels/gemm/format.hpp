#pragma once
// The formats in which a product's operands are packed. A format makes one element from `k_per_element` numbers that
// are adjacent along the summed axis, and defines how two elements are multiplied and added to a sum.
//
//   element(from, count)   the element of `count` adjacent numbers, zeros up to k_per_element: formats of one part
//   along(v)               `width` consecutive elements from k_per_element * width adjacent numbers in v[0], v[1], ...
//   total(e)               for each of `width` elements, the sum of its numbers
//   across(v)              `width` elements side by side, one from each lane; v[i] holds their i-th numbers
//
// Packed elements come in whole groups along the summed axis, the last one padded with zeros. A format of several parts
// represents a number as a sum of parts; each part is packed separately, in the format Part<i>.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "gptlite/core/precision.hpp"
#include "gptlite/kernels/simd/amx.hpp"
#include "gptlite/kernels/simd/bfloat16.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Numbers as they are, one per element.
template <class T>
struct PlainFormat {
  using Number = T;
  using Product = PlainFormat;  ///< the format whose micro-kernel multiplies these elements
  using V = simd::Vec<T>;
  static constexpr Index k_per_element = 1, group = 1, parts = 1;
  static constexpr bool rounds = false;  ///< true for products in bf16, which take operands of BFloat16 too

  static T element(const T* from, Index /*count*/) { return *from; }
  static V along(std::array<V, 1> v) { return v[0]; }
  static V across(std::array<V, 1> v) { return v[0]; }
  static V total(V elements) { return elements; }
  static V multiply_add(V a, V b, V sum) { return simd::fma(a, b, sum); }
};

/// Floats rounded to bfloat16, stored and multiplied as floats: for machines whose products of pairs are not faster.
struct RoundedFormat {
  using Number = float;
  using Product = PlainFormat<float>;
  using V = simd::Vec<float>;
  static constexpr Index k_per_element = 1, group = 1, parts = 1;
  static constexpr bool rounds = true;

  static float element(const float* from, Index /*count*/) { return round_to_bfloat16(*from); }
  static V along(std::array<V, 1> v) { return simd::round_to_bfloat16(v[0]); }
  static V across(std::array<V, 1> v) { return along(v); }
  static V total(V elements) { return elements; }
};

/// Pairs of bfloat16 in the bits of a float, for VDPBF16PS. Only if simd::has_bf16_pairs.
struct PairFormat {
  using Number = float;
  using Product = PairFormat;
  using V = simd::Vec<float>;
  static constexpr Index k_per_element = 2, group = 1, parts = 1;
  static constexpr bool rounds = true;

  static float element(const float* from, Index count) {
    const std::uint32_t first = count > 0 ? bfloat16_bits(from[0]) : 0u;
    const std::uint32_t second = count > 1 ? bfloat16_bits(from[1]) : 0u;
    return std::bit_cast<float>(first | second << 16);
  }
  static V along(std::array<V, 2> v) { return simd::adjacent_pairs(v[0], v[1]); }
  static V across(std::array<V, 2> v) { return simd::interleave_pairs(v[0], v[1]); }
  static V total(V elements) { return simd::first_of_pairs(elements) + simd::second_of_pairs(elements); }
  static V multiply_add(V a, V b, V sum) { return simd::dot_pairs(a, b, sum); }
};

/// Pairs of bfloat16 for AMX, which multiplies squares of 16 x 16 pairs. Only if simd::amx_is_usable().
struct AmxFormat : PairFormat {
  using Product = AmxFormat;
  static constexpr Index group = simd::amx_rows;
};

/// Part I of a float split into three bfloat16 numbers: the float rounded, then the remainder rounded, then the rest.
template <Index I>
struct Bf16x3Part : AmxFormat {
  static V along(std::array<V, 2> v) { return PairFormat::along({rest_of(v[0]), rest_of(v[1])}); }
  static V across(std::array<V, 2> v) { return PairFormat::across({rest_of(v[0]), rest_of(v[1])}); }

 private:
  static V rest_of(V rest) {
    for (Index i = 0; i < I; ++i) rest = rest - simd::round_normal_to_bfloat16(rest);
    return rest;
  }
};

/// Floats for AMX, which multiplies bfloat16 alone. A float's 24 bits are those of three bfloat16 numbers, each at most
/// 2^-8 of the one before. Six of the nine products of parts are added up in fp32, the smallest first; the three left
/// out are about 2^-27 of the whole, a quarter of the error of rounding a float. (Henry, Tang and Heinecke 2019,
/// "Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations".) Measured against
/// double, a product is closer than one of float FMAs, by a third at K 384 and 1,536. Numbers below 2^-100 lose bits,
/// and infinities become NaN.
struct Bf16x3Format : AmxFormat {
  using Product = Bf16x3Format;
  static constexpr Index parts = 3;
  static constexpr bool rounds = false;
  template <Index I>
  using Part = Bf16x3Part<I>;
};

/// Formats whose tiles AMX multiplies.
template <class Format>
concept AmxTiled = std::is_base_of_v<AmxFormat, Format>;
/// Formats of several parts.
template <class Format>
concept MultiPart = Format::parts >
1;

/// Calls f(Part<i>, i) for each part of a format, the last part first. A format of one part is its own part.
template <class Format, class F>
void for_parts(F&& f) {
  f(Format{}, Index{0});
}
template <MultiPart Format, class F>
void for_parts(F&& f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(typename Format::template Part<Format::parts - 1 - static_cast<Index>(I)>{},
       Format::parts - 1 - static_cast<Index>(I)),
     ...);
  }
  (std::make_index_sequence<static_cast<std::size_t>(Format::parts)>());
}

/// The numbers of a format's elements in registers, k_per_element vectors of them.
template <class Format>
using ElementNumbers = std::array<typename Format::V, static_cast<std::size_t>(Format::k_per_element)>;

/// Stores along() (or across()) of numbers: one vector per part of the format, `part_stride` numbers apart.
template <class Format, class T>
void store_along(const ElementNumbers<Format>& v, T* to, Index part_stride) {
  for_parts<Format>([&]<class Part>(Part, Index i) { Part::along(v).store(to + i * part_stride); });
}
template <class Format, class T>
void store_across(const ElementNumbers<Format>& v, T* to, Index part_stride) {
  for_parts<Format>([&]<class Part>(Part, Index i) { Part::across(v).store(to + i * part_stride); });
}

/// Loads `k_per_element` vectors that start `stride` numbers apart. S: the format's numbers, or BFloat16 for floats.
template <class Format, class S>
ElementNumbers<Format> load_numbers(const S* from, Index stride) {
  ElementNumbers<Format> v;
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = simd::load_numbers(from + static_cast<Index>(i) * stride);
  return v;
}
/// along() of numbers in memory, and across() of rows of them that are `stride` apart. Pairs of BFloat16 need no
/// rounding.
template <class Format, class S>
typename Format::V load_along(const S* from) {
  if constexpr (std::is_same_v<S, BFloat16> && std::is_base_of_v<PairFormat, Format>)
    return simd::load_pairs(from);
  else
    return Format::along(load_numbers<Format>(from, Format::V::width));
}
template <class Format, class S>
typename Format::V load_across(const S* from, Index stride) {
  const ElementNumbers<Format> v = load_numbers<Format>(from, stride);
  if constexpr (std::is_same_v<S, BFloat16> && std::is_base_of_v<PairFormat, Format>)
    return simd::map_bits([](auto first, auto second) { return first >> 16 | second; }, v[0], v[1]);
  else
    return Format::across(v);
}
/// along() of the first `count` numbers in memory, and across() of the first `rows` rows and `count` columns; the rest
/// is zeros. `rows` and `count` may be 0 or negative; the result is then all zeros.
template <class Format, class S>
typename Format::V load_along(const S* from, Index count) {
  using V = typename Format::V;
  if (count >= Format::k_per_element * V::width) return load_along<Format>(from);
  ElementNumbers<Format> v;
  for (std::size_t i = 0; i < v.size(); ++i, from += V::width, count -= V::width)
    v[i] = count > 0 ? simd::load_numbers(from, std::min(V::width, count)) : V::zero();
  return Format::along(v);
}
template <class Format, class S>
typename Format::V load_across(const S* from, Index stride, Index rows, Index count) {
  using V = typename Format::V;
  if (rows >= Format::k_per_element && count >= V::width) return load_across<Format>(from, stride);
  ElementNumbers<Format> v;
  for (std::size_t i = 0; i < v.size(); ++i, from += stride, --rows)
    v[i] = rows > 0 && count > 0 ? simd::load_numbers(from, std::min(V::width, count)) : V::zero();
  return Format::across(v);
}

/// Stores load_along() (or load_across()): one vector per part of the format, `part_stride` numbers apart. `counts` are
/// the optional last arguments of these functions.
template <class Format, class S, class T, class... Counts>
void pack_along(T* to, Index part_stride, const S* from, Counts... counts) {
  for_parts<Format>([&]<class Part>(Part, Index i) { load_along<Part>(from, counts...).store(to + i * part_stride); });
}
template <class Format, class S, class T, class... Counts>
void pack_across(T* to, Index part_stride, const S* from, Index stride, Counts... counts) {
  for_parts<Format>(
      [&]<class Part>(Part, Index i) { load_across<Part>(from, stride, counts...).store(to + i * part_stride); });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
