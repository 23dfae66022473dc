#pragma once
// The vocabulary of every kernel: vectors of the machine's width, and loops over them that handle the tail. A thin
// wrapper of Eigen's packets (3.4 and 5; SSE to AVX-512, NEON, or plain scalars), so Eigen's internal names appear in
// this file alone.

#include <array>
#include <limits>

#include "gptlite/core/eigen.hpp"
#include "gptlite/core/shape.hpp"

// g++ warns that a packet's alignment attribute is not part of a template argument. It need not be.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace kernels::simd {

/// Number of vector registers of the machine.
inline constexpr Index registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS;

/// True if FMAs that broadcast a number from memory themselves are the fastest way to multiply: on Intel's cores with
/// AVX512_BF16, Sapphire Rapids and later (only AMD has SSE4A). Earlier cores reach half their peak that way: Ice Lake
/// loads one vector of 512 bits per cycle, for two FMAs.
#if defined(EIGEN_VECTORIZE_AVX512) && defined(__AVX512BF16__) && !defined(__SSE4A__)
inline constexpr bool broadcasts_from_memory = true;
#else
inline constexpr bool broadcasts_from_memory = false;
#endif

/// Numbers per cache line.
template <class T>
inline constexpr Index line = 64 / static_cast<Index>(sizeof(T));

/// Prefetches the cache line at `address`, to be written at once (for_write), read later (l2) or read soon (l1). g++
/// drops calls of a function that only prefetches, since it has no effect; the empty asm is an effect.
template <class T>
void prefetch_for_write([[maybe_unused]] const T* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 1);
  asm volatile("");
#endif
}
template <class T>
void prefetch_l2([[maybe_unused]] const T* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 0, 2);  // into the L2 cache
  asm volatile("");
#endif
}
template <class T>
void prefetch_l1([[maybe_unused]] const T* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 0, 3);  // into L1
  asm volatile("");
#endif
}

/// A vector of `width` numbers that are computed at once.
template <class T>
struct Vec {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  static constexpr Index width = Eigen::internal::unpacket_traits<Packet>::size;

  Packet packet;

  static Vec load(const T* from) { return {Eigen::internal::ploadu<Packet>(from)}; }
  static Vec broadcast(T value) { return {Eigen::internal::pset1<Packet>(value)}; }
  static Vec zero() { return broadcast(T(0)); }
  void store(T* to) const { Eigen::internal::pstoreu(to, packet); }

  using Lanes = std::array<T, static_cast<std::size_t>(width)>;

  /// Loads the first `count` numbers (0 < count <= width) and `fill` for the rest.
  static Vec load_first(const T* from, Index count, T fill = T(0)) {
    using Traits = Eigen::internal::unpacket_traits<Packet>;
    if constexpr (requires { typename Traits::mask_t; })  // floats with AVX or AVX-512
      if (fill == T(0))
        return {Eigen::internal::ploadu<Packet>(from, static_cast<typename Traits::mask_t>((1u << count) - 1))};
    Lanes lanes;
    for (Index i = 0; i < width; ++i) lanes[static_cast<std::size_t>(i)] = i < count ? from[i] : fill;
    return load(lanes.data());
  }
  void store_first(T* to, Index count) const {
    Lanes lanes;
    store(lanes.data());
    for (Index i = 0; i < count; ++i) to[i] = lanes[static_cast<std::size_t>(i)];
  }

  friend Vec operator+(Vec a, Vec b) { return {Eigen::internal::padd(a.packet, b.packet)}; }
  friend Vec operator-(Vec a, Vec b) { return {Eigen::internal::psub(a.packet, b.packet)}; }
  friend Vec operator*(Vec a, Vec b) { return {Eigen::internal::pmul(a.packet, b.packet)}; }
  friend Vec operator/(Vec a, Vec b) { return {Eigen::internal::pdiv(a.packet, b.packet)}; }
  friend Vec operator-(Vec a) { return {Eigen::internal::pnegate(a.packet)}; }
  friend Vec operator+(Vec a, T b) { return a + broadcast(b); }
  friend Vec operator-(Vec a, T b) { return a - broadcast(b); }
  friend Vec operator*(Vec a, T b) { return a * broadcast(b); }
  friend Vec operator+(T a, Vec b) { return broadcast(a) + b; }
  friend Vec operator-(T a, Vec b) { return broadcast(a) - b; }
  friend Vec operator*(T a, Vec b) { return broadcast(a) * b; }
  friend Vec operator/(T a, Vec b) { return broadcast(a) / b; }
};

/// a * b + c, with one rounding if the machine has fused multiply-add.
template <class T>
Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {Eigen::internal::pmadd(a.packet, b.packet, c.packet)};
}
template <class T>
Vec<T> max(Vec<T> a, Vec<T> b) {
  return {Eigen::internal::pmax(a.packet, b.packet)};
}
template <class T>
Vec<T> min(Vec<T> a, Vec<T> b) {
  return {Eigen::internal::pmin(a.packet, b.packet)};
}
template <class T>
Vec<T> abs(Vec<T> a) {
  return {Eigen::internal::pabs(a.packet)};
}
template <class T>
Vec<T> sqrt(Vec<T> a) {
  return {Eigen::internal::psqrt(a.packet)};
}
/// Lane by lane: yes if a < b, else no.
template <class T>
Vec<T> where_less(Vec<T> a, Vec<T> b, Vec<T> yes, Vec<T> no) {
  if constexpr (Vec<T>::width == 1)
    return a.packet < b.packet ? yes : no;
  else
    return {Eigen::internal::pselect(Eigen::internal::pcmp_lt(a.packet, b.packet), yes.packet, no.packet)};
}

/// Applies a scalar function lane by lane, for functions without a packet version in Eigen.
template <class T, class F>
Vec<T> lanewise(Vec<T> a, F f) {
  typename Vec<T>::Lanes lanes;
  a.store(lanes.data());
  for (T& lane : lanes) lane = f(lane);
  return Vec<T>::load(lanes.data());
}

/// Sum of the lanes.
template <class T>
T reduce_sum(Vec<T> a) {
  return Eigen::internal::predux(a.packet);
}
/// Largest lane.
template <class T>
T reduce_max(Vec<T> a) {
  return Eigen::internal::predux_max(a.packet);
}

/// Transposes a square of width x width numbers, one row per vector, in place. Always inline: in a call its rows would
/// go through memory.
template <class T>
[[gnu::always_inline]] inline void transpose(std::array<Vec<T>, static_cast<std::size_t>(Vec<T>::width)>& rows) {
  constexpr Index width = Vec<T>::width;
  Eigen::internal::PacketBlock<typename Vec<T>::Packet, static_cast<int>(width)> block;
  // Unrolled so that they stay in registers.
#pragma GCC unroll 16
  for (Index i = 0; i < width; ++i) block.packet[i] = rows[static_cast<std::size_t>(i)].packet;
  Eigen::internal::ptranspose(block);
#pragma GCC unroll 16
  for (Index i = 0; i < width; ++i) rows[static_cast<std::size_t>(i)].packet = block.packet[i];
}

// Loops. The tail is the one vector that is not full; its surplus lanes are computed and dropped. --------------------

/// out[i] = f(in[i]...) for i in 0..n-1. f takes and returns Vec<T>; out may be one of the inputs.
template <class T, class F, class... In>
void transform(T* out, Index n, F&& f, const In*... in) {
  constexpr Index width = Vec<T>::width;
  Index i = 0;
  for (; i + width <= n; i += width) f(Vec<T>::load(in + i)...).store(out + i);
  if (i < n) f(Vec<T>::load_first(in + i, n - i)...).store_first(out + i, n - i);
}

/// Calls f(i, count) for the numbers i .. i + count - 1: for each whole vector of n numbers, then for the rest.
template <class T, class F>
void for_vectors(Index n, F&& f) {
  constexpr Index width = Vec<T>::width;
  Index i = 0;
  for (; i + width <= n; i += width) f(i, width);
  if (i < n) f(i, n - i);
}

/// f(in[0]...) + ... + f(in[n-1]...), in an order that depends on n alone: four running vectors, then their sum.
template <class T, class F, class... In>
T sum_of(Index n, F&& f, const T* first, const In*... rest) {
  using V = Vec<T>;
  constexpr Index width = V::width;
  V s0 = V::zero(), s1 = s0, s2 = s0, s3 = s0;
  Index i = 0;
  for (; i + 4 * width <= n; i += 4 * width) {
    s0 = s0 + f(V::load(first + i), V::load(rest + i)...);
    s1 = s1 + f(V::load(first + i + width), V::load(rest + i + width)...);
    s2 = s2 + f(V::load(first + i + 2 * width), V::load(rest + i + 2 * width)...);
    s3 = s3 + f(V::load(first + i + 3 * width), V::load(rest + i + 3 * width)...);
  }
  for (; i + width <= n; i += width) s0 = s0 + f(V::load(first + i), V::load(rest + i)...);
  T total = reduce_sum((s0 + s1) + (s2 + s3));
  if (i < n) {
    typename Vec<T>::Lanes lanes;
    f(V::load_first(first + i, n - i), V::load_first(rest + i, n - i)...).store(lanes.data());
    for (Index j = 0; j < n - i; ++j) total += lanes[static_cast<std::size_t>(j)];
  }
  return total;
}

/// The largest of n numbers; minus infinity if n is 0.
template <class T>
T max_of(Index n, const T* in) {
  using V = Vec<T>;
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  V m0 = V::broadcast(lowest), m1 = m0;
  Index i = 0;
  for (; i + 2 * V::width <= n; i += 2 * V::width) {
    m0 = max(m0, V::load(in + i));
    m1 = max(m1, V::load(in + i + V::width));
  }
  for (; i < n; i += V::width) m0 = max(m0, i + V::width <= n ? V::load(in + i) : V::load_first(in + i, n - i, lowest));
  return reduce_max(max(m0, m1));
}

}  // namespace kernels::simd
}  // namespace gptlite::inline GPTLITE_ABI

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
