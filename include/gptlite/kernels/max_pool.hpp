#pragma once
// The largest number of each channel over the steps of a sequence.
//
// Sizes:  B sequences    T steps    C channels

#include <cstdint>

#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// y (B, C) = the largest numbers of x (B, T, C) over the first lengths[b] steps, the first of equal ones; zeros for a
/// sequence of length 0. steps (B, C): where they are, -1 for none. A NaN counts as the largest.
template <class T>
void max_pool_forward(T* y, std::int32_t* steps, const T* x, const std::int32_t* lengths, Index B, Index steps_of_x,
                      Index C) {
  parallel_for(B, [&](Index b) {
    const Index length = lengths == nullptr ? steps_of_x : lengths[b];
    T* const best = y + b * C;
    std::int32_t* const at = steps + b * C;
    std::fill_n(best, C, T(0));
    std::fill_n(at, C, -1);
    for (Index t = 0; t < length; ++t) {
      const T* const row = x + (b * steps_of_x + t) * C;
      for (Index c = 0; c < C; ++c)
        if (at[c] < 0 || (!(row[c] <= best[c]) && best[c] == best[c])) {
          best[c] = row[c];
          at[c] = static_cast<std::int32_t>(t);
        }
    }
  });
}

/// dx (B, T, C) += dy (B, C) at the steps that max_pool_forward() found.
template <class T>
void max_pool_backward(T* dx, const T* dy, const std::int32_t* steps, Index B, Index steps_of_x, Index C) {
  parallel_for(B, [&](Index b) {
    for (Index c = 0; c < C; ++c)
      if (const std::int32_t t = steps[b * C + c]; t >= 0) dx[(b * steps_of_x + t) * C + c] += dy[b * C + c];
  });
}

GPTLITE_COMPILED_FUNCTION(max_pool_forward)
GPTLITE_COMPILED_FUNCTION(max_pool_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
