#pragma once
// LowRank: scale A B, the adapter of a Linear layer. nn/lora.hpp makes, trains and merges them.

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Adapter of a Linear layer, the product scale A B of two thin matrices.
template <class T>
struct LowRank {
  Tensor<T> A;       // (in, r), undefined if there is no adapter
  Tensor<T> B;       // (r, out)
  double scale = 0;  // alpha / r

  void visit(auto&& f) {
    f("lora_A", A);
    f("lora_B", B);
  }
  bool defined() const { return A.defined(); }
  /// Computes scale (x A) B, with the scale applied to the narrow x A. x: (..., in). Returns (..., out).
  Tensor<T> operator()(const Tensor<T>& x) const { return linear(linear(x, A) * static_cast<T>(scale), B); }
  /// Computes scale A B (in, out), which the adapter in effect adds to the layer's weight.
  Tensor<T> product() const { return linear(A, B) * static_cast<T>(scale); }
};

}  // namespace gptlite::inline GPTLITE_ABI
