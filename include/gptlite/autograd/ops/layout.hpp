#pragma once
// Rearranging numbers without changing them: reshape, transpose, slice, concat.

#include <vector>

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/copy.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// x in another shape. One size may be -1 and follows from the others. Nothing is copied. Throws ShapeError if the
/// number of elements differs, or for a second -1.
template <class T>
Tensor<T> reshape(const Tensor<T>& x, std::vector<Index> sizes) {
  Index known = 1, *unknown = nullptr;
  for (Index& size : sizes) {
    check<ShapeError>(size != -1 || unknown == nullptr, "reshape", "only one size can be -1");
    if (size == -1)
      unknown = &size;
    else
      known *= size;
  }
  if (unknown != nullptr) {
    check<ShapeError>(known > 0 && x.numel() % known == 0, "reshape", x.shape(), " has ", x.numel(),
                      " elements, no multiple of ", known);
    *unknown = x.numel() / known;
  }
  return record("reshape", x.view(Shape(std::move(sizes))), {x.without_data()},
                [](Inputs<T> in, const Tensor<T>& dy) { in[0].accumulate_grad(dy); });
}

/// Exchanges two axes; negative axes count from the end. Returns a copy. Throws IndexError for an axis that x does not
/// have.
template <class T>
Tensor<T> transpose(const Tensor<T>& x, Index axis0, Index axis1) {
  const Index a =
      std::min(x.shape().normalized_axis(axis0, "transpose"), x.shape().normalized_axis(axis1, "transpose"));
  const Index b =
      std::max(x.shape().normalized_axis(axis0, "transpose"), x.shape().normalized_axis(axis1, "transpose"));
  Tensor<T> y = Tensor<T>::empty(x.shape().with(a, x.shape()[b]).with(b, x.shape()[a]));
  if (a == b)
    std::copy_n(x.data(), x.numel(), y.data());
  else
    kernels::exchange_axes(y.data(), x.data(), x.shape().numel_between(0, a), x.shape()[a],
                           x.shape().numel_between(a + 1, b), x.shape()[b], x.shape().numel_between(b + 1, x.rank()));
  return record("transpose", y, {x.without_data()},
                [a, b](Inputs<T> in, const Tensor<T>& dy) { in[0].accumulate_grad(transpose(dy, a, b)); });
}

/// The part start, ..., stop - 1 of an axis. Returns a copy. Throws IndexError unless 0 <= start <= stop <= size, or
/// for an axis that x does not have.
template <class T>
Tensor<T> slice(const Tensor<T>& x, Index axis, Index start, Index stop) {
  axis = x.shape().normalized_axis(axis, "slice");
  const Index size = x.shape()[axis];
  check<IndexError>(0 <= start && start <= stop && stop <= size, "slice", start, "..", stop, " is outside axis ", axis,
                    " of ", x.shape());
  const Index outer = x.shape().numel_between(0, axis), inner = x.shape().numel_between(axis + 1, x.rank());
  const Index part = (stop - start) * inner, whole = size * inner, offset = start * inner;
  Tensor<T> y = Tensor<T>::empty(x.shape().with(axis, stop - start));
  kernels::copy_rows(y.data(), part, x.data() + offset, whole, outer, part);
  return record("slice", y, {x.without_data()}, [=](Inputs<T> in, const Tensor<T>& dy) {
    kernels::accumulate_rows(in[0].grad() + offset, whole, dy.data(), part, outer, part);
  });
}

/// Joins tensors along an axis. Returns a copy. Throws ShapeError if their other sizes differ or the list is empty,
/// IndexError for an axis that they do not have.
template <class T>
Tensor<T> concat(const std::vector<Tensor<T>>& parts, Index axis) {
  check<ShapeError>(!parts.empty(), "concat", "needs at least one tensor");
  const Shape& first = parts.front().shape();
  axis = first.normalized_axis(axis, "concat");
  Index size = 0;
  for (const Tensor<T>& part : parts) {
    check<ShapeError>(part.rank() == first.rank() && part.shape().with(axis, first[axis]) == first, "concat", first,
                      " and ", part.shape(), " differ outside axis ", axis);
    size += part.shape()[axis];
  }
  Tensor<T> y = Tensor<T>::empty(first.with(axis, size));
  const Index outer = first.numel_between(0, axis), inner = first.numel_between(axis + 1, first.rank());
  std::vector<Tensor<T>> inputs;
  Index offset = 0;
  for (const Tensor<T>& part : parts) {
    const Index n = part.shape()[axis] * inner;
    kernels::copy_rows(y.data() + offset, size * inner, part.data(), n, outer, n);
    inputs.push_back(part.without_data());
    offset += n;
  }
  return record("concat", y, std::move(inputs), [=](Inputs<T> in, const Tensor<T>& dy) {
    Index at = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const Index n = in[i].shape()[axis] * inner;
      if (in[i].wants_grad()) kernels::accumulate_rows(in[i].grad(), n, dy.data() + at, size * inner, outer, n);
      at += n;
    }
  });
}

GPTLITE_COMPILED_FUNCTION(reshape)
GPTLITE_COMPILED_FUNCTION(transpose)
GPTLITE_COMPILED_FUNCTION(slice)
GPTLITE_COMPILED_FUNCTION(concat)

}  // namespace gptlite::inline GPTLITE_ABI
