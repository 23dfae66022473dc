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

/// One or two halves of a tile of rows by one or two panels. a: blocks [group][32][16]; b: of each panel [element][16].
/// The sums begin with the numbers at `from`, or with zeros if that is null, and go to `to`; strides are from row to
/// row.
template <bool TwoHalves, bool TwoPanels>
void amx_kernel(Index groups, const float* a, const float* b, Index panel_stride, const float* from, Index from_stride,
                float* to, Index to_stride) {
  constexpr Index side = simd::amx_rows, square = side * side, bytes = sizeof(float), line = side * bytes;
  // The compiler does not see what these instructions read and write: A, B and C must be written before.
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
  for (Index g = 0; g < groups; ++g, a += 2 * square, b += square) {
    _tile_loadd(4, a, line);
    _tile_loadd(6, b, line);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (TwoPanels) {
      _tile_loadd(7, b + panel_stride, line);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (TwoHalves) {
      _tile_loadd(5, a + square, line);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (TwoPanels) _tile_dpbf16ps(3, 5, 7);
    }
  }
  float* const lower = to + side * to_stride;
  _tile_stored(0, to, to_stride * bytes);
  if constexpr (TwoPanels) _tile_stored(1, to + side, to_stride * bytes);
  if constexpr (TwoHalves) _tile_stored(2, lower, to_stride * bytes);
  if constexpr (TwoHalves && TwoPanels) _tile_stored(3, lower + side, to_stride * bytes);
  asm volatile("" ::: "memory");
}

/// amx_multiply_tile() for a tile in the order of rows.
template <class Meanwhile>
void amx_multiply_rows(Index rows, Index N, Index elements, const float* a, const float* packed, Index panel_stride,
                       float* c, Index ldc, bool accumulate, Meanwhile&& meanwhile, const float* bias) {
  constexpr Index side = simd::amx_rows, part = 2 * side;
  const Index groups = elements / side;
  for (Index n = 0; n < N; n += part, packed += 2 * panel_stride) {
    const Index columns = std::min(part, N - n);
    for (Index panel = n; panel + side <= n + columns; panel += side) meanwhile(panel / side);
    float* const to = c + n;
    if (rows == part && columns == part && !(accumulate && bias != nullptr)) {
      const float* const from = accumulate ? to : bias == nullptr ? nullptr : bias + n;
      amx_kernel<true, true>(groups, a, packed, panel_stride, from, accumulate ? ldc : 0, to, ldc);
      continue;
    }
    alignas(64) float beside[static_cast<std::size_t>(part * part)];
    const bool from_zero = !accumulate && bias == nullptr;
    for (Index i = 0; i < rows && !from_zero; ++i)
      for (Index j = 0; j < columns; ++j) {
        // No zero is added, which would turn -0 into 0 here and not in a part that fits.
        float& begin = beside[i * part + j];
        if (!accumulate)
          begin = bias[n + j];
        else
          begin = bias == nullptr ? to[i * ldc + j] : to[i * ldc + j] + bias[n + j];
      }
    const auto kernel = rows > side ? (columns > side ? amx_kernel<true, true> : amx_kernel<true, false>)
                                    : (columns > side ? amx_kernel<false, true> : amx_kernel<false, false>);
    kernel(groups, a, packed, panel_stride, from_zero ? nullptr : beside, part, beside, part);
    for (Index i = 0; i < rows; ++i) std::copy_n(beside + i * part, columns, to + i * ldc);
  }
}

}  // namespace detail

/// multiply_tile() of gemm.hpp for AmxFormat. Every sum begins with what C holds, or zero, plus the bias; a part that C
/// has no room for is held beside it. A tile in the order of columns is turned piece by piece.
template <class Meanwhile>
void amx_multiply_tile(Index rows, Index N, Index elements, LeftTile<float> left, const float* packed,
                       Index panel_stride, float* c, Index ldc, bool accumulate, Meanwhile&& meanwhile,
                       const float* bias) {
  if (left.order == LeftOrder::rows)
    return detail::amx_multiply_rows(rows, N, elements, left.data, packed, panel_stride, c, ldc, accumulate, meanwhile,
                                     bias);
  constexpr Index piece = 128;
  alignas(64) float turned[static_cast<std::size_t>(2 * simd::amx_rows * piece)];
  for (Index first = 0; first < elements; first += piece) {
    const Index count = std::min(piece, elements - first);
    turn_left<AmxFormat>(turned, rows, count, [&](Index e, Index m) {
      return simd::Vec<float>::load(left.data + (first + e) * left.step + m);
    });
    detail::amx_multiply_rows(rows, N, count, turned, packed + first * simd::amx_rows, panel_stride, c, ldc,
                              accumulate || first > 0, meanwhile, first > 0 ? nullptr : bias);
  }
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI

#endif
