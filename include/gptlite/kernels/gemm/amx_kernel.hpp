#pragma once
// The innermost loop of products on AMX: up to 32 rows of C by two panels of 16 columns, in four tile registers.
//
// Sizes:  rows of C and A, 1 .. 32    N columns of C and B    elements: pairs along the summed axis, whole groups of 16

#include <algorithm>

#include "gptlite/kernels/gemm/pack.hpp"

#if GPTLITE_HAS_AMX

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// The packed operands: A as blocks [group][32][16], each panel of B as [element][16], one part after the other.
struct AmxOperands {
  const float *a, *b;
  Index a_part_stride, b_part_stride;  ///< numbers from one part to the next
  Index panel_stride;
};

/// Multiplies one or two halves (16 rows each) of a tile by one or two panels. The sums start from the numbers at
/// `from`, or from zero if it is null, and are stored at `to`. Strides are numbers from row to row.
template <class Format, bool TwoHalves, bool TwoPanels>
void amx_kernel(Index groups, const AmxOperands& operands, const float* from, Index from_stride, float* to,
                Index to_stride) {
  constexpr Index side = simd::amx_rows, square = side * side, bytes = sizeof(float), line = side * bytes;
  // The compiler does not see which memory these instructions access: A, B and C must be written before.
  asm volatile("" ::: "memory");
  if (from == nullptr) {
    _tile_zero(0);
    if constexpr (TwoPanels) _tile_zero(1);
    if constexpr (TwoHalves) _tile_zero(2);
    if constexpr (TwoHalves && TwoPanels) _tile_zero(3);
  } else {
    const float* const lower = from + side * from_stride;
    _tile_loadd(0, from, from_stride * bytes);
    if constexpr (TwoPanels) _tile_loadd(1, from + side, from_stride * bytes);
    if constexpr (TwoHalves) _tile_loadd(2, lower, from_stride * bytes);
    if constexpr (TwoHalves && TwoPanels) _tile_loadd(3, lower + side, from_stride * bytes);
  }
  const float *a = operands.a, *b = operands.b;
  const auto load_a = [&](Index part) {
    _tile_loadd(4, a + part * operands.a_part_stride, line);
    if constexpr (TwoHalves) _tile_loadd(5, a + part * operands.a_part_stride + square, line);
  };
  const auto load_b = [&](Index part) {
    _tile_loadd(6, b + part * operands.b_part_stride, line);
    if constexpr (TwoPanels) _tile_loadd(7, b + part * operands.b_part_stride + operands.panel_stride, line);
  };
  const auto multiply = [&] {
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (TwoPanels) _tile_dpbf16ps(1, 4, 7);
    if constexpr (TwoHalves) _tile_dpbf16ps(2, 5, 6);
    if constexpr (TwoHalves && TwoPanels) _tile_dpbf16ps(3, 5, 7);
  };
  for (Index g = 0; g < groups; ++g, a += 2 * square, b += square) {
    if constexpr (MultiPart<Format>) {  // six products of parts; all but the first load one part
      load_a(2);
      load_b(0);
      multiply();
      load_a(1);
      multiply();
      load_b(1);
      multiply();
      load_a(0);
      multiply();
      load_b(2);
      multiply();
      load_b(0);
    } else {
      load_a(0);
      load_b(0);
    }
    multiply();
  }
  float* const lower = to + side * to_stride;
  _tile_stored(0, to, to_stride * bytes);
  if constexpr (TwoPanels) _tile_stored(1, to + side, to_stride * bytes);
  if constexpr (TwoHalves) _tile_stored(2, lower, to_stride * bytes);
  if constexpr (TwoHalves && TwoPanels) _tile_stored(3, lower + side, to_stride * bytes);
  asm volatile("" ::: "memory");
}

}  // namespace detail

/// multiply_tile() for formats that AMX multiplies. Tiles are packed in the order of rows. Sums of one part start from
/// C, or from zero, plus the bias. bf16x3 sums start from zero and are added to C once; adding each of the six partial
/// products to C directly would round six times. Partial tiles go through a local buffer.
template <class Format>
void amx_multiply_tile(const TileProduct<float>& p) {
  using detail::amx_kernel;
  detail::AmxOperands operands{p.a.data, p.packed, p.a.part_stride, p.panel_stride / Format::parts, p.panel_stride};
  constexpr Index side = simd::amx_rows, part = 2 * side;
  const Index groups = p.elements / side, panels = p.N / side;
  const bool go_on = p.accumulate && !MultiPart<Format>, add = p.accumulate && !go_on;
  for (Index n = 0; n < p.N; n += part, operands.b += 2 * operands.panel_stride) {
    const Index columns = std::min(part, p.N - n);
    // A kernel of one part waits for B, and prefetches of A make it wait longer. The processor prefetches consecutive
    // rows anyway: without prefetches here a step of `small` takes 3 to 5% less.
    for (Index panel = n; MultiPart<Format> && p.next != nullptr && panel + side <= n + columns; panel += side)
      p.next->prefetch(panel / side, panels);
    float* const to = p.c + n;
    const float* const shift = p.bias == nullptr ? nullptr : p.bias + n;
    if (p.rows == part && columns == part && !add && !(go_on && shift != nullptr)) {
      amx_kernel<Format, true, true>(groups, operands, go_on ? to : shift, go_on ? p.ldc : 0, to, p.ldc);
      continue;
    }
    alignas(64) float beside[static_cast<std::size_t>(part * part)];
    const bool from_zero = !go_on && shift == nullptr;
    for (Index i = 0; i < p.rows && !from_zero; ++i)
      for (Index j = 0; j < columns; ++j) {
        // Adds no zero: that would turn -0 into 0 here, but not in a tile that needs no buffer.
        float& begin = beside[i * part + j];
        if (!go_on)
          begin = shift[j];
        else
          begin = shift == nullptr ? to[i * p.ldc + j] : to[i * p.ldc + j] + shift[j];
      }
    const auto kernel = p.rows > side
                            ? (columns > side ? amx_kernel<Format, true, true> : amx_kernel<Format, true, false>)
                            : (columns > side ? amx_kernel<Format, false, true> : amx_kernel<Format, false, false>);
    kernel(groups, operands, from_zero ? nullptr : beside, part, beside, part);
    for (Index i = 0; i < p.rows; ++i) {
      const float* const sums = beside + i * part;
      if (add)
        simd::transform(
            to + i * p.ldc, columns, [](auto sum, auto before) { return before + sum; }, sums, to + i * p.ldc);
      else
        std::copy_n(sums, columns, to + i * p.ldc);
    }
  }
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI

#endif
