#pragma once
// Functions of one number: forward, and backward as dx (+)= dy * f'(x).

#include <numbers>

#include "gptlite/core/enum_names.hpp"
#include "gptlite/kernels/elementwise.hpp"
#include "gptlite/kernels/simd/bfloat16.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// The function applied to the result of a linear while it is in cache.
enum class Activation {
  none,
  gelu_tanh,  ///< x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): GPT-1 and GPT-2
  gelu_erf,   ///< x Phi(x), Phi the distribution function of N(0, 1): BERT
  silu,       ///< x sigmoid(x), also called swish
  relu,
  relu_squared,  ///< max(x, 0)^2
  tanh
};

constexpr auto enum_names(Activation) {
  return EnumNames<Activation, 7>{"activation",
                                  {{{"none", Activation::none},
                                    {"gelu_tanh", Activation::gelu_tanh},
                                    {"gelu_erf", Activation::gelu_erf},
                                    {"silu", Activation::silu},
                                    {"relu", Activation::relu},
                                    {"relu_squared", Activation::relu_squared},
                                    {"tanh", Activation::tanh}}}};
}

namespace kernels {

namespace detail {

// One struct per activation: value(x), and both(x), which returns the value and the derivative.

/// x/2 (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): one exponential, no tanh.
template <class T>
struct GeluTanh {
  using V = simd::Vec<T>;
  static constexpr T a = static_cast<T>(2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi);  // 2 sqrt(2/pi)
  static constexpr T b = static_cast<T>(0.044715) * a;

  static V sigmoid_2u(V x) { return simd::sigmoid(x * simd::fma(x * x, V::broadcast(b), V::broadcast(a))); }
  static V value(V x) { return x * sigmoid_2u(x); }
  /// The derivative is s + x s (1 - s) 2u' with s = sigmoid(2u).
  static std::array<V, 2> both(V x) {
    const V s = sigmoid_2u(x), value = x * s;
    const V slope = simd::fma(x * x, V::broadcast(3 * b), V::broadcast(a));
    return {value, simd::fma(value * (T(1) - s), slope, s)};
  }
};
/// x Phi(x); the derivative is Phi(x) + x phi(x).
template <class T>
struct GeluErf {
  using V = simd::Vec<T>;
  static V value(V x) { return x * simd::normal_distribution(x).cdf; }
  static std::array<V, 2> both(V x) {
    const simd::Normal<T> normal = simd::normal_distribution(x);
    return {x * normal.cdf, simd::fma(x, normal.density, normal.cdf)};
  }
};
/// x s, s = sigmoid(x); the derivative is s + x s (1 - s).
template <class T>
struct Silu {
  using V = simd::Vec<T>;
  static V value(V x) { return x * simd::sigmoid(x); }
  static std::array<V, 2> both(V x) {
    const V s = simd::sigmoid(x), value = x * s;
    return {value, simd::fma(value, T(1) - s, s)};
  }
};
template <class T>
struct Relu {
  using V = simd::Vec<T>;
  static V value(V x) { return simd::max(x, V::zero()); }
  static std::array<V, 2> both(V x) {
    return {value(x), simd::where_less(V::zero(), x, V::broadcast(T(1)), V::zero())};
  }
};
/// max(x, 0)^2; the derivative is 2 max(x, 0).
template <class T>
struct ReluSquared {
  using V = simd::Vec<T>;
  static V value(V x) {
    const V positive = simd::max(x, V::zero());
    return positive * positive;
  }
  static std::array<V, 2> both(V x) {
    const V positive = simd::max(x, V::zero());
    return {positive * positive, positive + positive};
  }
};
template <class T>
struct Tanh {
  using V = simd::Vec<T>;
  static V value(V x) { return simd::tanh(x); }
  static std::array<V, 2> both(V x) {
    const V y = simd::tanh(x);
    return {y, T(1) - y * y};
  }
};
template <class T>
struct Identity {
  using V = simd::Vec<T>;
  static V value(V x) { return x; }
  static std::array<V, 2> both(V x) { return {x, V::broadcast(T(1))}; }
};

/// Calls f with the struct of an activation.
template <class T, class F>
void with_activation(Activation activation, F&& f) {
  switch (activation) {
    case Activation::none:
      return f(Identity<T>());
    case Activation::gelu_tanh:
      return f(GeluTanh<T>());
    case Activation::gelu_erf:
      return f(GeluErf<T>());
    case Activation::silu:
      return f(Silu<T>());
    case Activation::relu:
      return f(Relu<T>());
    case Activation::relu_squared:
      return f(ReluSquared<T>());
    case Activation::tanh:
      return f(Tanh<T>());
  }
}

// Rows on the calling thread: compiled once for all kernels that fuse an activation, not in each of them.

/// y[n] = activation(z[n]). y may be z.
template <class T>
[[gnu::noinline]] void activate_row(Activation activation, T* y, const T* z, Index n) {
  with_activation<T>(activation, [&]<class A>(A) {
    simd::transform(
        y, n, [](simd::Vec<T> v) { return A::value(v); }, z);
  });
}
/// value[n] = activation(z[n]) and, unless slope is null, slope[n] = activation'(z[n]). S: T, or BFloat16, which
/// rounds.
template <class S, class T>
[[gnu::noinline]] void activate_row(Activation activation, S* value, S* slope, const T* z, Index n) {
  with_activation<T>(activation, [&]<class A>(A) {
    simd::for_vectors<T>(n, [&](Index i, Index count) {
      const auto [f, derivative] = A::both(simd::load_numbers(z + i, count));
      simd::store_numbers(value + i, f, count);
      if (slope != nullptr) simd::store_numbers(slope + i, derivative, count);
    });
  });
}
/// dx[n] (+)= dy[n] activation'(x[n]).
template <class T>
[[gnu::noinline]] void activate_row_backward(Activation activation, GradTarget<T> dx, const T* dy, const T* x,
                                             Index n) {
  using V = simd::Vec<T>;
  with_activation<T>(activation, [&]<class A>(A) {
    simd::add_to(
        dx, n, [](V d, V v) { return d * A::both(v)[1]; }, dy, x);
  });
}

}  // namespace detail

/// y[n] = activation(x[n]).
template <class T>
void activation_forward(Activation activation, T* y, const T* x, Index n) {
  parallel_for_ranges(n, elementwise_grain, [&](Index begin, Index end) {
    detail::activate_row(activation, y + begin, x + begin, end - begin);
  });
}
/// dx[n] (+)= dy[n] activation'(x[n]).
template <class T>
void activation_backward(Activation activation, GradTarget<T> dx, const T* dy, const T* x, Index n) {
  parallel_for_ranges(n, elementwise_grain, [&](Index begin, Index end) {
    detail::activate_row_backward(activation, dx.offset(begin), dy + begin, x + begin, end - begin);
  });
}

/// dx (+)= dy (1 - y^2), for y = tanh(x).
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
/// dx (+)= dy y (1 - y), for y = sigmoid(x).
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
/// dx (+)= dy y, for y = exp(x).
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

GPTLITE_COMPILED_FUNCTION(activation_forward)
GPTLITE_COMPILED_FUNCTION(activation_backward)
GPTLITE_COMPILED_FUNCTION(tanh_backward)
GPTLITE_COMPILED_FUNCTION(sigmoid_forward)
GPTLITE_COMPILED_FUNCTION(sigmoid_backward)
GPTLITE_COMPILED_FUNCTION(exp_forward)
GPTLITE_COMPILED_FUNCTION(exp_backward)
GPTLITE_COMPILED_FUNCTION(log_forward)
GPTLITE_COMPILED_FUNCTION(log_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
