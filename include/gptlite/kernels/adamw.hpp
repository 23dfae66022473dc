#pragma once
// One AdamW update of all parameters, and the sum of squares for gradient clipping.

#include <cmath>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/large_vector.hpp"
#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Sum of the squares of all numbers of the arrays, in an order that depends on their sizes alone. Pieces are summed in
/// T, their sums in double; a piece whose sum overflows T is summed again in double.
template <class T>
double sum_of_squares(const std::vector<std::span<const T>>& arrays) {
  using V = simd::Vec<T>;
  std::vector<Index> sizes;
  for (const std::span<const T> array : arrays) sizes.push_back(std::ssize(array));
  const LargeVector<ArrayPiece> pieces = pieces_of(sizes);
  LargeVector<double> sums(pieces.size());
  parallel_for(std::ssize(pieces), [&](Index i) {
    const auto at = static_cast<std::size_t>(i);
    const auto [array, begin, end] = pieces[at];
    const T* const from = arrays[array].data();
    const T sum = simd::sum_of(
        end - begin, [](V v) { return v * v; }, from + begin);
    sums[at] = static_cast<double>(sum);
    if (!is_finite(sum))
      sums[at] = std::transform_reduce(from + begin, from + end, 0.0, std::plus<>(),
                                       [](T x) { return static_cast<double>(x) * static_cast<double>(x); });
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// The constants of one AdamW step.
struct AdamWStep {
  double learning_rate, beta1, beta2, eps, weight_decay;
  double grad_scale;   ///< factor of the gradient, from clipping
  double correction1;  ///< 1 - beta1^t
  double correction2;  ///< 1 - beta2^t
};

/// The arrays that an update of one parameter reads and writes: its n numbers p, their moments m and v, and their
/// gradient g.
template <class T>
struct AdamWParameter {
  T *p, *m, *v;
  const T* g;
  Index n;
  AdamWStep step;
};

namespace detail {
template <class T>
void adamw_piece(const AdamWParameter<T>& a, Index begin, Index end) {
  using V = simd::Vec<T>;
  const AdamWStep& s = a.step;
  const T b1 = static_cast<T>(s.beta1), b2 = static_cast<T>(s.beta2);
  const T new1 = static_cast<T>(1 - s.beta1), new2 = static_cast<T>(1 - s.beta2);
  const T grad_scale = static_cast<T>(s.grad_scale), keep = static_cast<T>(1 - s.learning_rate * s.weight_decay);
  const T step = static_cast<T>(s.learning_rate / s.correction1);
  const T inverse_root = static_cast<T>(1 / std::sqrt(s.correction2)), eps = static_cast<T>(s.eps);
  // The three arrays are updated vector by vector, so each number is loaded and stored once.
  const auto update = [&](Index i, auto load, auto store) {
    const V grad = load(a.g + i) * grad_scale;
    const V first = simd::fma(grad, V::broadcast(new1), load(a.m + i) * b1);
    const V second = simd::fma(grad * grad, V::broadcast(new2), load(a.v + i) * b2);
    store(first, a.m + i);
    store(second, a.v + i);
    store(load(a.p + i) * keep - first * step / (simd::sqrt(second) * inverse_root + eps), a.p + i);
  };
  Index i = begin;
  for (; i + V::width <= end; i += V::width)
    update(
        i, [](const T* from) { return V::load(from); }, [](V value, T* to) { value.store(to); });
  if (i < end)
    update(
        i, [&](const T* from) { return V::load_first(from, end - i); },
        [&](V value, T* to) { value.store_first(to, end - i); });
}
}  // namespace detail

/// One AdamW step of every parameter (Loshchilov and Hutter 2019), as PyTorch computes it:
///   p -= lr wd p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
///   p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps).
/// With both corrections 1 it is p -= lr (m / (sqrt(v) + eps) + wd p), where lr can include the corrections, as
/// OpenAI's does.
template <class T>
void adamw(const std::vector<AdamWParameter<T>>& parameters) {
  std::vector<Index> sizes;
  for (const AdamWParameter<T>& parameter : parameters) sizes.push_back(parameter.n);
  const LargeVector<ArrayPiece> pieces = pieces_of(sizes);
  parallel_for(std::ssize(pieces), [&](Index i) {
    const auto [array, begin, end] = pieces[static_cast<std::size_t>(i)];
    detail::adamw_piece(parameters[array], begin, end);
  });
}

GPTLITE_COMPILED_FUNCTION(sum_of_squares)
GPTLITE_COMPILED_FUNCTION(adamw)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
