#pragma once
// LayerNorm: normalizes the last axis, with a learned gain and shift.

#include "gptlite/autograd/ops/layer_norm.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Layer norm: normalizes the last axis, then multiplies by weight and adds bias.
template <class T>
struct LayerNorm {
  Tensor<T> weight;  // (n)
  Tensor<T> bias;    // (n)
  double eps;

  /// Makes a layer for n features, with weight 1 and bias 0.
  explicit LayerNorm(Index n, double epsilon = 1e-5)
      : weight(Tensor<T>::ones({n})), bias(Tensor<T>::zeros({n})), eps(epsilon) {
    weight.set_requires_grad();
    bias.set_requires_grad();
  }
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
  /// Normalizes x (..., n). Returns the same shape.
  Tensor<T> operator()(const Tensor<T>& x) const { return layer_norm(x, weight, bias, eps); }
  /// Computes a + b and its norm in one pass. a, b: (..., n). Returns both, each (..., n).
  AddNorm<T> add_norm(const Tensor<T>& a, const Tensor<T>& b) const { return add_layer_norm(a, b, weight, bias, eps); }
};

}  // namespace gptlite::inline GPTLITE_ABI
