#pragma once
// Norm: the norm of a block, a layer norm or an RMS norm.

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/layer_norm.hpp"
#include "gptlite/autograd/ops/rms_norm.hpp"
#include "gptlite/nn/norm_type.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Normalizes the last axis as its type says, then multiplies by weight and adds bias if there is one.
template <class T>
struct Norm {
  NormType type = NormType::layer_norm;
  Tensor<T> weight;  // (n)
  Tensor<T> bias;    // (n), or undefined; an RMS norm has none
  double eps = 1e-5;

  /// Makes a layer for n features, with weight 1 and, if it has one, bias 0.
  explicit Norm(Index n, double epsilon = 1e-5, NormType norm_type = NormType::layer_norm, bool has_bias = true)
      : type(norm_type), weight(Tensor<T>::ones({n}).set_requires_grad()), eps(epsilon) {
    if (has_bias && type == NormType::layer_norm) bias = Tensor<T>::zeros({n}).set_requires_grad();
  }
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
  /// Normalizes x (..., n). Returns the same shape.
  Tensor<T> operator()(const Tensor<T>& x) const {
    return type == NormType::rms_norm ? rms_norm(x, weight, eps) : layer_norm(x, weight, bias, eps);
  }
  /// Computes a + b and its norm, a layer norm in one pass. a, b: (..., n). Returns both, each (..., n).
  AddNorm<T> add_norm(const Tensor<T>& a, const Tensor<T>& b) const {
    if (type == NormType::layer_norm) return add_layer_norm(a, b, weight, bias, eps);
    const Tensor<T> sum = a + b;
    return {sum, rms_norm(sum, weight, eps)};
  }
};

}  // namespace gptlite::inline GPTLITE_ABI
