#pragma once
// bfloat16 in vectors: rounding, and pairs in the 32 bits of a float, which VDPBF16PS multiplies.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "gptlite/core/bfloat16.hpp"
#include "gptlite/kernels/simd/vec.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace kernels::simd {

#if defined(__GNUC__)
// Packets are also vectors of the compiler; Eigen has no integer arithmetic on all of them.
using FloatBits = std::uint32_t __attribute__((vector_size(sizeof(Vec<float>::Packet))));
using HalfBits = std::uint16_t __attribute__((vector_size(sizeof(Vec<float>::Packet) / 2)));
inline constexpr bool has_vectors_of_bits = Vec<float>::width > 1;
#else
inline constexpr bool has_vectors_of_bits = false;
#endif

/// Rounds each lane to the nearest bfloat16, as a float.
inline Vec<float> round_to_bfloat16(Vec<float> a) {
#if defined(__GNUC__)
  if constexpr (Vec<float>::width > 1) {
    const FloatBits bits = std::bit_cast<FloatBits>(a.packet);
    const FloatBits rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    const FloatBits is_nan = (bits & 0x7fffffffu) > 0x7f800000u;  // all bits set where true
    return {std::bit_cast<typename Vec<float>::Packet>((rounded & ~is_nan) | (bits & is_nan))};
  }
#endif
  return lanewise(a, [](float lane) { return gptlite::round_to_bfloat16(lane); });
}

/// Loads `width` numbers exactly, bfloat16 as floats.
template <class T>
Vec<T> load_numbers(const T* from) {
  return Vec<T>::load(from);
}
inline Vec<float> load_numbers(const BFloat16* from) {
#if defined(__GNUC__)
  if constexpr (Vec<float>::width > 1) {
    HalfBits bits;
    std::memcpy(&bits, from, sizeof(bits));
    return {std::bit_cast<Vec<float>::Packet>(__builtin_convertvector(bits, FloatBits) << 16)};
  }
#endif
  std::array<float, static_cast<std::size_t>(Vec<float>::width)> lanes;
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] = from[i];
  return Vec<float>::load(lanes.data());
}
/// Loads `width` pairs, copied into a register at once (from an array of floats, g++ 12 sends two halves of it through
/// memory, 18 cycles).
inline Vec<float> load_pairs(const BFloat16* from) {
  Vec<float>::Packet packet;
  std::memcpy(static_cast<void*>(&packet), from, sizeof(packet));
  return {packet};
}
/// Stores `width` numbers; to BFloat16 they are rounded as in products.
template <class T>
void store_numbers(T* to, Vec<T> v) {
  v.store(to);
}
inline void store_numbers(BFloat16* to, Vec<float> v) {
#if GPTLITE_HAS_BF16_PAIRS
  const __m256i bits = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v.packet));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bits);
  return;
#elif defined(__GNUC__)
  if constexpr (Vec<float>::width > 1) {
    const FloatBits rounded = std::bit_cast<FloatBits>(round_to_bfloat16(v).packet);
    const HalfBits bits = __builtin_convertvector(rounded >> 16, HalfBits);
    std::memcpy(static_cast<void*>(to), &bits, sizeof(bits));
    return;
  }
#endif
  std::array<float, static_cast<std::size_t>(Vec<float>::width)> lanes;
  v.store(lanes.data());
  for (std::size_t i = 0; i < lanes.size(); ++i) to[i] = BFloat16(lanes[i]);
}

/// Loads (or stores) the first `count` numbers, 0 < count <= width; the rest of a loaded vector is zero.
template <class T>
Vec<T> load_numbers(const T* from, Index count) {
  return count == Vec<T>::width ? Vec<T>::load(from) : Vec<T>::load_first(from, count);
}
inline Vec<float> load_numbers(const BFloat16* from, Index count) {
  if (count == Vec<float>::width) return load_numbers(from);
#if GPTLITE_HAS_BF16_PAIRS
  const __m256i bits = _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1), from);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
#else
  std::array<BFloat16, static_cast<std::size_t>(Vec<float>::width)> lanes{};
  std::copy_n(from, count, lanes.begin());
  return load_numbers(lanes.data());
#endif
}
template <class S, class T>
void store_numbers(S* to, Vec<T> v, Index count) {
  if (count == Vec<T>::width) return store_numbers(to, v);
  std::array<S, static_cast<std::size_t>(Vec<T>::width)> lanes;
  store_numbers(lanes.data(), v);
  std::copy_n(lanes.begin(), count, to);
}

/// Applies f to the bits of all vectors, lane by lane. f must accept both vectors of unsigned numbers and single ones.
template <class F, class... More>
Vec<float> map_bits(F f, Vec<float> first, More... more) {
#if defined(__GNUC__)
  if constexpr (Vec<float>::width > 1)
    return {std::bit_cast<Vec<float>::Packet>(
        f(std::bit_cast<FloatBits>(first.packet), std::bit_cast<FloatBits>(more.packet)...))};
#endif
  const auto lanes = [](Vec<float> vector) {
    std::array<float, static_cast<std::size_t>(Vec<float>::width)> all;
    vector.store(all.data());
    return all;
  };
  const auto map = [&](auto all, const auto&... others) {
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = std::bit_cast<float>(
          std::uint32_t{f(std::bit_cast<std::uint32_t>(all[i]), std::bit_cast<std::uint32_t>(others[i])...)});
    return Vec<float>::load(all.data());
  };
  return map(lanes(first), lanes(more)...);
}

/// The first and the second numbers of pairs in the bits of floats; the first is the lower half.
inline Vec<float> first_of_pairs(Vec<float> pairs) {
  return map_bits([](auto bits) { return bits << 16; }, pairs);
}
inline Vec<float> second_of_pairs(Vec<float> pairs) {
  return map_bits([](auto bits) { return bits & 0xffff0000u; }, pairs);
}

#if GPTLITE_HAS_BF16_PAIRS
inline constexpr bool has_bf16_pairs = true;

/// round_to_bfloat16, except that subnormal numbers become zero; 3 instructions instead of 9.
inline Vec<float> round_normal_to_bfloat16(Vec<float> a) {
  const __m256i rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.packet));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16))};
}
/// sum + a.first * b.first + a.second * b.second, lane by lane.
inline Vec<float> dot_pairs(Vec<float> a, Vec<float> b, Vec<float> sum) {
  return {_mm512_dpbf16_ps(sum.packet, reinterpret_cast<__m512bh>(a.packet), reinterpret_cast<__m512bh>(b.packet))};
}
/// Lane i of the result is the pair of first[i] and second[i], rounded.
inline Vec<float> interleave_pairs(Vec<float> first, Vec<float> second) {
  const __m512i rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.packet, first.packet));
  alignas(64) static constexpr std::uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return {_mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_load_si512(order), rounded))};
}
/// Lane i of the result is the pair of numbers 2i and 2i + 1 of the 2 * width numbers in `first` and `second`, rounded.
inline Vec<float> adjacent_pairs(Vec<float> first, Vec<float> second) {
  return {reinterpret_cast<__m512>(_mm512_cvtne2ps_pbh(second.packet, first.packet))};
}
#else
inline constexpr bool has_bf16_pairs = false;
inline Vec<float> round_normal_to_bfloat16(Vec<float> a) { return round_to_bfloat16(a); }
inline Vec<float> dot_pairs(Vec<float>, Vec<float>, Vec<float> sum) { return sum; }
inline Vec<float> interleave_pairs(Vec<float> first, Vec<float>) { return first; }
inline Vec<float> adjacent_pairs(Vec<float> first, Vec<float>) { return first; }
#endif

}  // namespace kernels::simd
}  // namespace gptlite::inline GPTLITE_ABI

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
