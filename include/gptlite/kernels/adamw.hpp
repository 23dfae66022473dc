#pragma once
// One AdamW update of one parameter, and the sum of squares that clipping needs.

#include <cmath>

#include "gptlite/kernels/reduce.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Sum of x[i]^2, in an order that depends on n alone. Pieces are summed in T, their sums in double.
template <class T>
double sum_of_squares(const T* x, Index n) {
  using V = simd::Vec<T>;
  const Index pieces = (n + elementwise_grain - 1) / elementwise_grain;
  const Storage<double> partial(pieces);
  parallel_for(pieces, [&](Index i) {
    const Index begin = i * elementwise_grain, count = std::min(elementwise_grain, n - begin);
    partial.data()[i] = static_cast<double>(simd::sum_of(
        count, [](V v) { return v * v; }, x + begin));
  });
  double sum = 0;
  for (Index i = 0; i < pieces; ++i) sum += partial.data()[i];
  return sum;
}

/// The constants of one AdamW step.
struct AdamWStep {
  double learning_rate, beta1, beta2, eps, weight_decay;
  double grad_scale;   ///< what clipping multiplies the gradient with
  double correction1;  ///< 1 - beta1^t
  double correction2;  ///< 1 - beta2^t
};

/// Loshchilov and Hutter 2019, as PyTorch computes it:
///   p -= lr wd p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
///   p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps).
/// With both corrections 1 it is p -= lr (m / (sqrt(v) + eps) + wd p), whose lr can hold them as OpenAI's does.
template <class T>
void adamw(T* p, T* m, T* v, const T* g, Index n, const AdamWStep& s) {
  using V = simd::Vec<T>;
  const T b1 = static_cast<T>(s.beta1), b2 = static_cast<T>(s.beta2);
  const T new1 = static_cast<T>(1 - s.beta1), new2 = static_cast<T>(1 - s.beta2);
  const T grad_scale = static_cast<T>(s.grad_scale), keep = static_cast<T>(1 - s.learning_rate * s.weight_decay);
  const T step = static_cast<T>(s.learning_rate / s.correction1);
  const T inverse_root = static_cast<T>(1 / std::sqrt(s.correction2)), eps = static_cast<T>(s.eps);
  parallel_for_ranges(n, elementwise_grain, [&](Index begin, Index end) {
    const Index count = end - begin;
    T *pp = p + begin, *mm = m + begin, *vv = v + begin;
    const T* gg = g + begin;
    // The three are updated vector by vector, so that each number passes through the processor once.
    const auto update = [&](Index i, auto load, auto store) {
      const V grad = load(gg + i) * grad_scale;
      const V first = simd::fma(grad, V::broadcast(new1), load(mm + i) * b1);
      const V second = simd::fma(grad * grad, V::broadcast(new2), load(vv + i) * b2);
      store(first, mm + i);
      store(second, vv + i);
      store(load(pp + i) * keep - first * step / (simd::sqrt(second) * inverse_root + eps), pp + i);
    };
    Index i = 0;
    for (; i + V::width <= count; i += V::width)
      update(
          i, [](const T* from) { return V::load(from); }, [](V value, T* to) { value.store(to); });
    if (i < count)
      update(
          i, [&](const T* from) { return V::load_first(from, count - i); },
          [&](V value, T* to) { value.store_first(to, count - i); });
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
