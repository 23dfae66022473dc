#pragma once
// Linear: x weight + bias.

#include "gptlite/autograd/ops/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct Linear {
  Tensor<T> weight;  // (in, out)
  Tensor<T> bias;    // (out)

  /// weight ~ N(0, std^2), bias = 0.
  Linear(Index in, Index out, double std, Generator& init)
      : weight(Tensor<T>::normal({in, out}, 0, std, init.fork())), bias(Tensor<T>::zeros({out})) {
    weight.set_requires_grad();
    bias.set_requires_grad();
  }
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
  Tensor<T> operator()(const Tensor<T>& x, Activation activation = Activation::none) const {
    return linear(x, weight, bias, activation);
  }
};

}  // namespace gptlite::inline GPTLITE_ABI
