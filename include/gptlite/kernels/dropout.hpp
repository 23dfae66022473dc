#pragma once
// Dropout: each number is kept with probability 1 - p and scaled by 1 / (1 - p), or set to zero. The mask is a pure
// function of (stream, position), so backward draws it again instead of storing it.

#include <array>
#include <cmath>
#include <cstdint>

#include "gptlite/core/random.hpp"
#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The mask of a dropout: its probability and its stream of random words.
struct DropoutMask {
  double p = 0;
  RandomStream stream;

  explicit operator bool() const { return p > 0; }
  /// A number is kept if its random word is below this.
  std::uint32_t threshold() const {
    return static_cast<std::uint32_t>(std::min(std::floor((1 - p) * 0x1p32), 0x1p32 - 1));
  }
  /// 1 / (1 - p), or 0 if everything is dropped (p = 1).
  template <class T>
  T scale() const {
    return p < 1 ? static_cast<T>(1 / (1 - p)) : T(0);
  }

  /// Writes factors[i] = scale or 0 for the positions first, ..., first + n - 1 of the stream.
  template <class T>
  void factors(T* out, Index first, Index n) const {
    constexpr Index block = 256;
    std::array<std::uint32_t, block> words;
    const std::uint32_t keep = threshold();
    const T kept = scale<T>();
    for (Index i = 0; i < n; i += block) {
      const Index count = std::min(block, n - i);
      random_bits(stream, first + i, count, words.data());
      for (Index j = 0; j < count; ++j) out[i + j] = words[static_cast<std::size_t>(j)] < keep ? kept : T(0);
    }
  }
};

/// out[n] (+)= x[n] * mask: forward with out = y, backward with out = dx and x = dy.
template <class T>
void dropout(T* out, const T* x, Index n, const DropoutMask& mask, bool accumulate) {
  using V = simd::Vec<T>;
  constexpr Index block = 256;
  parallel_for_ranges(n, elementwise_grain, [&](Index begin, Index end) {
    std::array<T, block> factors;
    for (Index i = begin; i < end; i += block) {
      const Index count = std::min(block, end - i);
      mask.factors(factors.data(), i, count);
      if (accumulate)
        simd::transform(
            out + i, count, [](V sum, V a, V b) { return simd::fma(a, b, sum); }, out + i, x + i, factors.data());
      else
        simd::transform(
            out + i, count, [](V a, V b) { return a * b; }, x + i, factors.data());
    }
  });
}

GPTLITE_COMPILED_FUNCTION(dropout)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
