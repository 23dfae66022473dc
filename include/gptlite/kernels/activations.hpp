#pragma once
// The functions of one number: forward, and backward as dx (+)= dy * f'(x).

#include <numbers>

#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {
/// gelu(x) = x/2 (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): one exponential, no tanh.
template <class T>
struct Gelu {
  using V = simd::Vec<T>;
  static constexpr T a = static_cast<T>(2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi);  // 2 sqrt(2/pi)
  static constexpr T b = static_cast<T>(0.044715) * a;

  static V sigmoid_2u(V x) { return simd::sigmoid(x * simd::fma(x * x, V::broadcast(b), V::broadcast(a))); }
  static V value(V x) { return x * sigmoid_2u(x); }
  static V derivative(V x) { return both(x)[1]; }
  /// gelu(x) and gelu'(x) = s + x s (1 - s) 2u'.
  static std::array<V, 2> both(V x) {
    const V s = sigmoid_2u(x), value = x * s;
    const V slope = simd::fma(x * x, V::broadcast(3 * b), V::broadcast(a));
    return {value, simd::fma(value * (T(1) - s), slope, s)};
  }
};
}  // namespace detail

/// y = gelu(x), the tanh form.
template <class T>
void gelu_forward(T* y, const T* x, Index n) {
  transform(
      y, n, [](simd::Vec<T> v) { return detail::Gelu<T>::value(v); }, x);
}
/// dx (+)= dy * gelu'(x).
template <class T>
void gelu_backward(GradTarget<T> dx, const T* dy, const T* x, Index n) {
  using V = simd::Vec<T>;
  add_to(
      dx, n, [](V d, V v) { return d * detail::Gelu<T>::derivative(v); }, dy, x);
}

/// y = max(x, 0).
template <class T>
void relu_forward(T* y, const T* x, Index n) {
  using V = simd::Vec<T>;
  transform(
      y, n, [](V v) { return simd::max(v, V::zero()); }, x);
}
/// dx (+)= dy where x > 0.
template <class T>
void relu_backward(GradTarget<T> dx, const T* dy, const T* x, Index n) {
  using V = simd::Vec<T>;
  add_to(
      dx, n, [](V d, V v) { return simd::where_less(V::zero(), v, d, V::zero()); }, dy, x);
}

/// y = tanh(x).
template <class T>
void tanh_forward(T* y, const T* x, Index n) {
  transform(
      y, n, [](simd::Vec<T> v) { return simd::tanh(v); }, x);
}
/// dx (+)= dy (1 - y^2).
template <class T>
void tanh_backward(GradTarget<T> dx, const T* dy, const T* y, Index n) {
  using V = simd::Vec<T>;
  add_to(
      dx, n, [](V d, V v) { return d * (T(1) - v * v); }, dy, y);
}

/// y = 1 / (1 + exp(-x)).
template <class T>
void sigmoid_forward(T* y, const T* x, Index n) {
  transform(
      y, n, [](simd::Vec<T> v) { return simd::sigmoid(v); }, x);
}
/// dx (+)= dy y (1 - y).
template <class T>
void sigmoid_backward(GradTarget<T> dx, const T* dy, const T* y, Index n) {
  using V = simd::Vec<T>;
  add_to(
      dx, n, [](V d, V v) { return d * (v * (T(1) - v)); }, dy, y);
}

/// y = exp(x).
template <class T>
void exp_forward(T* y, const T* x, Index n) {
  transform(
      y, n, [](simd::Vec<T> v) { return simd::exp(v); }, x);
}
/// dx (+)= dy y.
template <class T>
void exp_backward(GradTarget<T> dx, const T* dy, const T* y, Index n) {
  using V = simd::Vec<T>;
  add_to(
      dx, n, [](V d, V v) { return d * v; }, dy, y);
}

/// y = log(x), the natural logarithm.
template <class T>
void log_forward(T* y, const T* x, Index n) {
  transform(
      y, n, [](simd::Vec<T> v) { return simd::log(v); }, x);
}
/// dx (+)= dy / x.
template <class T>
void log_backward(GradTarget<T> dx, const T* dy, const T* x, Index n) {
  using V = simd::Vec<T>;
  add_to(
      dx, n, [](V d, V v) { return d / v; }, dy, x);
}

GPTLITE_COMPILED_FUNCTION(gelu_forward)
GPTLITE_COMPILED_FUNCTION(gelu_backward)
GPTLITE_COMPILED_FUNCTION(relu_forward)
GPTLITE_COMPILED_FUNCTION(relu_backward)
GPTLITE_COMPILED_FUNCTION(tanh_forward)
GPTLITE_COMPILED_FUNCTION(tanh_backward)
GPTLITE_COMPILED_FUNCTION(sigmoid_forward)
GPTLITE_COMPILED_FUNCTION(sigmoid_backward)
GPTLITE_COMPILED_FUNCTION(exp_forward)
GPTLITE_COMPILED_FUNCTION(exp_backward)
GPTLITE_COMPILED_FUNCTION(log_forward)
GPTLITE_COMPILED_FUNCTION(log_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
