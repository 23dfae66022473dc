#pragma once
// Functions of one number: gelu_tanh, gelu_erf, silu, relu, relu_squared, tanh, sigmoid, exp, log. They are the
// simplest operations: read one before you write your own.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/activations.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
template <class T>
Tensor<T> record_activation(const char* name, Activation activation, const Tensor<T>& x) {
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::activation_forward(activation, y.data(), x.data(), x.numel());
  return record(name, y, {x}, [activation](Inputs<T> in, const Tensor<T>& dy) {
    kernels::activation_backward(activation, in[0].grad_target(), dy.data(), in[0].data(), dy.numel());
  });
}
}  // namespace detail

/// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the tanh form of GELU, used by GPT-1 and GPT-2 (Hendrycks and Gimpel
/// 2016). x: any shape. Returns the same shape. Saves x.
template <class T>
Tensor<T> gelu_tanh(const Tensor<T>& x) {
  return detail::record_activation("gelu_tanh", Activation::gelu_tanh, x);
}

/// x Phi(x) = x/2 (1 + erf(x / sqrt(2))), the definition of GELU, used by BERT (Hendrycks and Gimpel 2016).
/// x: any shape. Returns the same shape. Saves x.
template <class T>
Tensor<T> gelu_erf(const Tensor<T>& x) {
  return detail::record_activation("gelu_erf", Activation::gelu_erf, x);
}

/// x sigmoid(x), also called swish (Hendrycks and Gimpel 2016; Ramachandran et al. 2017).
/// x: any shape. Returns the same shape. Saves x.
template <class T>
Tensor<T> silu(const Tensor<T>& x) {
  return detail::record_activation("silu", Activation::silu, x);
}

/// relu(x) = max(x, 0), with derivative 0 at 0.
/// x: any shape. Returns the same shape. Saves x.
template <class T>
Tensor<T> relu(const Tensor<T>& x) {
  return detail::record_activation("relu", Activation::relu, x);
}

/// max(x, 0)^2 (So et al. 2021, "Primer").
/// x: any shape. Returns the same shape. Saves x.
template <class T>
Tensor<T> relu_squared(const Tensor<T>& x) {
  return detail::record_activation("relu_squared", Activation::relu_squared, x);
}

/// tanh(x).
/// x: any shape. Returns the same shape. Saves the result.
template <class T>
Tensor<T> tanh(const Tensor<T>& x) {
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::activation_forward(Activation::tanh, y.data(), x.data(), x.numel());
  return record("tanh", y, {x.without_data()}, [saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
    kernels::tanh_backward(in[0].grad_target(), dy.data(), saved.data(), dy.numel());  // dx += dy (1 - y^2)
  });
}

/// activation(x), computed by one of the functions above; x itself for Activation::none.
template <class T>
Tensor<T> activate(const Tensor<T>& x, Activation activation) {
  switch (activation) {
    case Activation::none:
      break;
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::gelu_erf:
      return gelu_erf(x);
    case Activation::silu:
      return silu(x);
    case Activation::relu:
      return relu(x);
    case Activation::relu_squared:
      return relu_squared(x);
    case Activation::tanh:
      return tanh(x);
  }
  return x;
}

/// sigmoid(x) = 1 / (1 + exp(-x)).
/// x: any shape. Returns the same shape. Saves the result.
template <class T>
Tensor<T> sigmoid(const Tensor<T>& x) {
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::sigmoid_forward(y.data(), x.data(), x.numel());
  return record("sigmoid", y, {x.without_data()}, [saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
    kernels::sigmoid_backward(in[0].grad_target(), dy.data(), saved.data(), dy.numel());  // dx += dy y (1 - y)
  });
}

/// exp(x).
/// x: any shape. Returns the same shape. Saves the result.
template <class T>
Tensor<T> exp(const Tensor<T>& x) {
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::exp_forward(y.data(), x.data(), x.numel());
  return record("exp", y, {x.without_data()}, [saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
    kernels::exp_backward(in[0].grad_target(), dy.data(), saved.data(), dy.numel());  // dx += dy y
  });
}

/// log(x), the natural logarithm; minus infinity at 0, NaN below.
/// x: any shape. Returns the same shape. Saves x.
template <class T>
Tensor<T> log(const Tensor<T>& x) {
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::log_forward(y.data(), x.data(), x.numel());
  return record("log", y, {x}, [](Inputs<T> in, const Tensor<T>& dy) {
    kernels::log_backward(in[0].grad_target(), dy.data(), in[0].data(), dy.numel());  // dx += dy / x
  });
}

GPTLITE_COMPILED_FUNCTION(detail::record_activation)
GPTLITE_COMPILED_FUNCTION(tanh)
GPTLITE_COMPILED_FUNCTION(sigmoid)
GPTLITE_COMPILED_FUNCTION(exp)
GPTLITE_COMPILED_FUNCTION(log)

}  // namespace gptlite::inline GPTLITE_ABI
