#pragma once
// Arithmetic with broadcasting: a + b, a - b, a * b, a / b, -a, with tensors and with scalars.

#include <type_traits>

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/reduce.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

/// Returns f(a, b) with NumPy's broadcasting. f takes and returns simd::Vec<T>.
template <class T, class F>
Tensor<T> broadcast(const char* name, const Tensor<T>& a, const Tensor<T>& b, F&& f) {
  Tensor<T> y = Tensor<T>::empty(broadcast_shape(a.shape(), b.shape(), name));
  kernels::broadcast(y.data(), y.shape(), kernels::Operand<T>{a.data(), a.shape()},
                     kernels::Operand<T>{b.data(), b.shape()}, f);
  return y;
}

/// Adds `grad`, which has the output's shape, to an input's gradient, summed over the axes along which the input was
/// broadcast.
template <class T>
void accumulate_broadcast_grad(Input<T> in, const Tensor<T>& grad) {
  const Shape& shape = in.shape();
  if (grad.shape() == shape) return in.accumulate_grad(grad);
  Tensor<T> x = grad;
  while (x.rank() > shape.rank()) {
    Tensor<T> y = Tensor<T>::empty(x.shape().without(0));
    kernels::sum_axis(y.data(), x.data(), 1, x.shape()[0], y.numel());
    x = y;
  }
  for (Index axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == x.shape()[axis]) continue;
    Tensor<T> y = Tensor<T>::empty(x.shape().with(axis, 1));
    kernels::sum_axis(y.data(), x.data(), x.shape().numel_between(0, axis), x.shape()[axis],
                      x.shape().numel_between(axis + 1, x.rank()));
    x = y;
  }
  in.accumulate_grad(x);
}

template <class T>
using Scalar = std::type_identity_t<T>;  // lets x * 0.5 find its type from x

}  // namespace detail

/// a + b, element by element, with NumPy's broadcasting. Throws ShapeError if the shapes do not broadcast. Saves
/// nothing.
template <class T>
Tensor<T> operator+(const Tensor<T>& a, const Tensor<T>& b) {
  using V = kernels::simd::Vec<T>;
  Tensor<T> y = detail::broadcast("add", a, b, [](V x, V z) { return x + z; });
  return record("add", y, {a.without_data(), b.without_data()}, [](Inputs<T> in, const Tensor<T>& dy) {
    if (in[0].wants_grad()) detail::accumulate_broadcast_grad(in[0], dy);
    if (in[1].wants_grad()) detail::accumulate_broadcast_grad(in[1], dy);
  });
}

/// -x, element by element. Saves nothing.
template <class T>
Tensor<T> operator-(const Tensor<T>& x) {
  using V = kernels::simd::Vec<T>;
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::transform(
      y.data(), y.numel(), [](V v) { return -v; }, x.data());
  return record("neg", y, {x.without_data()}, [](Inputs<T> in, const Tensor<T>& dy) { in[0].accumulate_grad(-dy); });
}

/// a - b, element by element, with NumPy's broadcasting. Throws ShapeError if the shapes do not broadcast. Saves
/// nothing.
template <class T>
Tensor<T> operator-(const Tensor<T>& a, const Tensor<T>& b) {
  using V = kernels::simd::Vec<T>;
  Tensor<T> y = detail::broadcast("sub", a, b, [](V x, V z) { return x - z; });
  return record("sub", y, {a.without_data(), b.without_data()}, [](Inputs<T> in, const Tensor<T>& dy) {
    if (in[1].wants_grad()) detail::accumulate_broadcast_grad(in[1], -dy);
    if (in[0].wants_grad()) detail::accumulate_broadcast_grad(in[0], dy);
  });
}

/// a * b, element by element, with NumPy's broadcasting. Throws ShapeError if the shapes do not broadcast. Saves both.
template <class T>
Tensor<T> operator*(const Tensor<T>& a, const Tensor<T>& b) {
  using V = kernels::simd::Vec<T>;
  Tensor<T> y = detail::broadcast("mul", a, b, [](V x, V z) { return x * z; });
  return record("mul", y, {a, b}, [](Inputs<T> in, const Tensor<T>& dy) {
    for (std::size_t i = 0; i < 2; ++i)
      if (in[i].wants_grad()) detail::accumulate_broadcast_grad(in[i], dy * in[1 - i].tensor());
  });
}

/// a / b, element by element, with NumPy's broadcasting. Throws ShapeError if the shapes do not broadcast. Saves both.
template <class T>
Tensor<T> operator/(const Tensor<T>& a, const Tensor<T>& b) {
  using V = kernels::simd::Vec<T>;
  Tensor<T> y = detail::broadcast("div", a, b, [](V x, V z) { return x / z; });
  return record("div", y, {a, b}, [](Inputs<T> in, const Tensor<T>& dy) {
    const Tensor<T> da = dy / in[1].tensor();  // db = -dy a / b^2 = -da a / b
    if (in[1].wants_grad()) detail::accumulate_broadcast_grad(in[1], -(da * in[0].tensor() / in[1].tensor()));
    if (in[0].wants_grad()) detail::accumulate_broadcast_grad(in[0], da);
  });
}

// With a scalar on either side.
template <class T>
Tensor<T> operator+(const Tensor<T>& a, detail::Scalar<T> b) {
  return a + Tensor<T>::scalar(b);
}
template <class T>
Tensor<T> operator+(detail::Scalar<T> a, const Tensor<T>& b) {
  return Tensor<T>::scalar(a) + b;
}
template <class T>
Tensor<T> operator-(const Tensor<T>& a, detail::Scalar<T> b) {
  return a - Tensor<T>::scalar(b);
}
template <class T>
Tensor<T> operator-(detail::Scalar<T> a, const Tensor<T>& b) {
  return Tensor<T>::scalar(a) - b;
}
template <class T>
Tensor<T> operator*(const Tensor<T>& a, detail::Scalar<T> b) {
  return a * Tensor<T>::scalar(b);
}
template <class T>
Tensor<T> operator*(detail::Scalar<T> a, const Tensor<T>& b) {
  return Tensor<T>::scalar(a) * b;
}
template <class T>
Tensor<T> operator/(const Tensor<T>& a, detail::Scalar<T> b) {
  return a / Tensor<T>::scalar(b);
}
template <class T>
Tensor<T> operator/(detail::Scalar<T> a, const Tensor<T>& b) {
  return Tensor<T>::scalar(a) / b;
}

GPTLITE_COMPILED_FUNCTION(detail::accumulate_broadcast_grad)

}  // namespace gptlite::inline GPTLITE_ABI
