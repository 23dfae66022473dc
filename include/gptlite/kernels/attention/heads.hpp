#pragma once
// What happens to the heads of q and k between their projection and the scores: QK-norm and rotary positions.
//
// Sizes:  x (rows, heads, HS), rows `stride` numbers apart    rotary (positions, HS): cosines of HS / 2 angles, then
//         their sines    inverse_rms (rows, heads)

#include <cmath>

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/simd/bfloat16.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Which heads are changed, and how.
template <class T>
struct HeadParams {
  Index rows, heads, HS, stride;
  Index positions;                     ///< of a sequence: row r is at position first + r % positions
  Index first = 0;                     ///< position of row 0
  const T* rotary;                     ///< null: no rotation
  bool normalize;                      ///< divide each head by its root mean square
  static constexpr double eps = 1e-6;  // as PyTorch's rms_norm users have it: Qwen3, OLMo 2

  bool any() const { return rotary != nullptr || normalize; }
  Index position(Index row) const { return first + row % positions; }
};

namespace detail {

inline constexpr Index head_rows = 16;  // rows per job

/// Calls f(r, cosines, sines) for the vectors of a head's two halves, [c, c + count) and HS / 2 later.
template <class T, class F>
void for_halves(const HeadParams<T>& s, Index row, F&& f) {
  using V = simd::Vec<T>;
  const Index half = s.HS / 2;
  const T* const table = s.rotary + s.position(row) * s.HS;
  for (Index c = 0; c < half; c += V::width) {
    const Index count = std::min(V::width, half - c);
    f(c, count, simd::load_numbers(table + c, count), simd::load_numbers(table + half + c, count));
  }
}

/// x = factor (x - shift y), rotated by the angles of its position times `direction`, 1 or -1. y: as x, or null.
template <class S, class T>
void turn_head(S* x, const S* y, const HeadParams<T>& s, Index row, T factor, T shift, T direction) {
  using V = simd::Vec<T>;
  const Index half = s.HS / 2;
  const auto number = [&](Index c, Index count) {
    const V v = simd::load_numbers(x + c, count);
    return (y == nullptr ? v : v - simd::load_numbers(y + c, count) * shift) * factor;
  };
  if (s.rotary == nullptr)
    return simd::for_vectors<T>(s.HS,
                                [&](Index c, Index count) { simd::store_numbers(x + c, number(c, count), count); });
  for_halves(s, row, [&](Index c, Index count, V cosine, V sine) {
    const V a = number(c, count), b = number(half + c, count), turned = sine * direction;
    simd::store_numbers(x + c, a * cosine - b * turned, count);
    simd::store_numbers(x + half + c, b * cosine + a * turned, count);
  });
}

/// Sum of a[c] b[c] over a head.
template <class T, class S>
T dot_head(const S* a, const S* b, Index HS) {
  using V = simd::Vec<T>;
  V sum = V::zero();
  simd::for_vectors<T>(HS, [&](Index c, Index count) {
    sum = simd::fma(simd::load_numbers(a + c, count), simd::load_numbers(b + c, count), sum);
  });
  return simd::reduce_sum(sum);
}

}  // namespace detail

/// x = rotate(x / sqrt(mean(x^2) + eps)) for every head, in place: QK-norm without a gain (Henry et al. 2020), then
/// rotary positions (Su et al. 2021), which turn the pairs (c, c + HS / 2) as Llama does. Saves 1 / sqrt(mean(x^2) +
/// eps) to inverse_rms unless it is null.
template <class S, class T>
void heads_forward(S* x, T* inverse_rms, const HeadParams<T>& s) {
  parallel_for_ranges(s.rows, detail::head_rows, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row)
      for (Index h = 0; h < s.heads; ++h) {
        S* const head = x + row * s.stride + h * s.HS;
        T r = 1;
        if (s.normalize) {
          const T mean = detail::dot_head<T>(head, head, s.HS) / static_cast<T>(s.HS);
          r = T(1) / std::sqrt(mean + static_cast<T>(s.eps));
        }
        if (inverse_rms != nullptr) inverse_rms[row * s.heads + h] = r;
        detail::turn_head<S, T>(head, nullptr, s, row, r, 0, 1);
      }
  });
}

/// The gradient of heads_forward(), in place: dx of the result y becomes dx of x. Rotations keep dot products, so the
/// norm's gradient is taken from the rotated numbers:  dx = r rotate^-1(dy - y mean(dy y)).
template <class S, class T>
void heads_backward(S* dx, const S* y, const T* inverse_rms, const HeadParams<T>& s) {
  parallel_for_ranges(s.rows, detail::head_rows, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row)
      for (Index h = 0; h < s.heads; ++h) {
        const Index at = row * s.stride + h * s.HS;
        if (!s.normalize) {
          detail::turn_head<S, T>(dx + at, nullptr, s, row, 1, 0, -1);
          continue;
        }
        const T mean = detail::dot_head<T>(dx + at, y + at, s.HS) / static_cast<T>(s.HS);
        detail::turn_head<S, T>(dx + at, y + at, s, row, inverse_rms[row * s.heads + h], mean, -1);
      }
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
