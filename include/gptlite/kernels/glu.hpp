#pragma once
// Gated linear units: y = activation(a) b for x = [a, b], and their gradient.
//
// Sizes:  x (rows, 2H)    y (rows, H)

#include "gptlite/kernels/activations.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// y = activation(a) b for each row [a, b] of x.
template <class T>
void glu_forward(Activation activation, T* y, const T* x, Index rows, Index H) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, std::max<Index>(1, elementwise_grain / std::max<Index>(H, 1)), [&](Index begin, Index end) {
    detail::with_activation<T>(activation, [&]<class A>(A) {
      for (Index row = begin; row < end; ++row) {
        const T* const a = x + row * 2 * H;
        simd::transform(
            y + row * H, H, [](V gate, V up) { return A::value(gate) * up; }, a, a + H);
      }
    });
  });
}
/// da (+)= dy b activation'(a),  db (+)= dy activation(a).
template <class T>
void glu_backward(Activation activation, GradTarget<T> dx, const T* dy, const T* x, Index rows, Index H) {
  using V = simd::Vec<T>;
  parallel_for_ranges(rows, std::max<Index>(1, elementwise_grain / std::max<Index>(H, 1)), [&](Index begin, Index end) {
    detail::with_activation<T>(activation, [&]<class A>(A) {
      for (Index row = begin; row < end; ++row) {
        const T *const a = x + row * 2 * H, *const d = dy + row * H;
        simd::add_to(
            dx.offset(row * 2 * H), H, [](V g, V gate, V up) { return g * up * A::both(gate)[1]; }, d, a, a + H);
        simd::add_to(
            dx.offset(row * 2 * H + H), H, [](V g, V gate) { return g * A::value(gate); }, d, a);
      }
    });
  });
}

GPTLITE_COMPILED_FUNCTION(glu_forward)
GPTLITE_COMPILED_FUNCTION(glu_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
