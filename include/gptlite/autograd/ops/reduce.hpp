#pragma once
// sum and mean over one axis, several axes, or all elements.

#include <algorithm>
#include <functional>
#include <vector>

#include "gptlite/autograd/ops/arithmetic.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// The sum over one axis; a negative axis counts from the end. keepdim keeps the axis with size 1. x: rank 1 or more.
/// Throws IndexError for an axis that x does not have. Saves nothing.
template <class T>
Tensor<T> sum(const Tensor<T>& x, Index axis, bool keepdim = false) {
  axis = x.shape().normalized_axis(axis, "sum");
  const Shape kept = x.shape().with(axis, 1);
  Tensor<T> y = Tensor<T>::empty(keepdim ? kept : x.shape().without(axis));
  kernels::sum_axis(y.data(), x.data(), x.shape().numel_between(0, axis), x.shape()[axis],
                    x.shape().numel_between(axis + 1, x.rank()));
  return record("sum", y, {x.without_data()}, [kept](Inputs<T> in, const Tensor<T>& dy) {
    using V = kernels::simd::Vec<T>;
    T* dx = in[0].grad();  // dx += dy along the axis
    kernels::broadcast(dx, in[0].shape(), kernels::Operand<T>{dx, in[0].shape()}, kernels::Operand<T>{dy.data(), kept},
                       [](V a, V b) { return a + b; });
  });
}

/// The sum over several axes; negative axes count from the end. keepdim keeps the axes with size 1. Throws IndexError
/// for an axis that x does not have, or one that is named twice.
template <class T>
Tensor<T> sum(const Tensor<T>& x, std::vector<Index> axes, bool keepdim = false) {
  for (Index& axis : axes) axis = x.shape().normalized_axis(axis, "sum");
  std::sort(axes.begin(), axes.end(), std::greater<>());  // the last axis first, so the others keep their numbers
  check<IndexError>(std::adjacent_find(axes.begin(), axes.end()) == axes.end(), "sum", "an axis is named twice");
  Tensor<T> y = x;
  for (const Index axis : axes) y = sum(y, axis, keepdim);
  return y;
}

/// The sum of all elements, a scalar; 0 if there are none.
template <class T>
Tensor<T> sum(const Tensor<T>& x) {
  Tensor<T> y = Tensor<T>::empty({});
  kernels::row_sums(y.data(), x.data(), 1, x.numel());
  return record("sum_all", y, {x.without_data()}, [](Inputs<T> in, const Tensor<T>& dy) {
    using V = kernels::simd::Vec<T>;
    T* dx = in[0].grad();
    kernels::transform(
        dx, in[0].numel(), [d = V::broadcast(dy.item())](V a) { return a + d; }, dx);  // dx += dy
  });
}

/// The mean over one axis; NaN if the axis has size 0, as in PyTorch. Throws IndexError for an axis that x does not
/// have.
template <class T>
Tensor<T> mean(const Tensor<T>& x, Index axis, bool keepdim = false) {
  const Index n = x.shape()[x.shape().normalized_axis(axis, "mean")];
  return sum(x, axis, keepdim) / static_cast<T>(n);
}

/// The mean over several axes. Throws IndexError for an axis that x does not have, or one that is named twice.
template <class T>
Tensor<T> mean(const Tensor<T>& x, const std::vector<Index>& axes, bool keepdim = false) {
  Index n = 1;
  for (const Index axis : axes) n *= x.shape()[x.shape().normalized_axis(axis, "mean")];
  return sum(x, axes, keepdim) / static_cast<T>(n);
}

/// The mean of all elements, a scalar.
template <class T>
Tensor<T> mean(const Tensor<T>& x) {
  return sum(x) / static_cast<T>(x.numel());
}

}  // namespace gptlite::inline GPTLITE_ABI
