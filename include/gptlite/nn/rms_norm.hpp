#pragma once
// RmsNorm: divides the last axis by its root mean square, with a learned gain.

#include "gptlite/autograd/ops/rms_norm.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// RMS norm: divides the last axis by its root mean square, then multiplies by weight.
template <class T>
struct RmsNorm {
  Tensor<T> weight;  // (n)
  double eps;

  /// Makes a layer for n features, with weight 1.
  explicit RmsNorm(Index n, double epsilon = 1e-5) : weight(Tensor<T>::ones({n})), eps(epsilon) {
    weight.set_requires_grad();
  }
  void visit(auto&& f) { f("weight", weight); }
  /// Normalizes x (..., n). Returns the same shape.
  Tensor<T> operator()(const Tensor<T>& x) const { return rms_norm(x, weight, eps); }
};

}  // namespace gptlite::inline GPTLITE_ABI
