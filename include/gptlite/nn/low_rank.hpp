#pragma once
// LowRank: scale A B, the adapter of a Linear layer. nn/lora.hpp makes, trains and merges them.

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

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
  /// scale (x A) B, scaled where it is narrowest. x: (..., in). Returns (..., out).
  Tensor<T> operator()(const Tensor<T>& x) const { return linear(linear(x, A) * static_cast<T>(scale), B); }
  /// scale A B (in, out), what the adapter adds to the layer's weight.
  Tensor<T> product() const { return linear(A, B) * static_cast<T>(scale); }
};

}  // namespace gptlite::inline GPTLITE_ABI
