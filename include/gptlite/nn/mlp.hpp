#pragma once
// MLP: the feed-forward part of a block, two linears with an activation between.

#include "gptlite/autograd/ops/glu.hpp"
#include "gptlite/autograd/ops/mlp.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Feed-forward part of a block: dropout(c_proj(activation(c_fc(x)))), or gated: dropout(c_proj(activation(a) b)) with
/// [a, b] = c_fc(x).
template <class T>
struct MLP {
  Linear<T> c_fc;    // (C, H), gated (C, 2H); H is 4C in the published models
  Linear<T> c_proj;  // (H, C)
  Dropout<T> dropout;
  Activation activation = Activation::gelu_tanh;
  bool gated = false;

  void visit(auto&& f) {
    f("c_fc", c_fc);
    f("c_proj", c_proj);
  }
  /// Computes the output for x (..., C). Returns (..., C).
  Tensor<T> operator()(const Tensor<T>& x) const {
    const bool plain = c_fc.is_plain() && c_proj.is_plain();
    if (gated && plain) return dropout(gated_mlp(x, c_fc.weight, c_fc.bias, c_proj.weight, c_proj.bias, activation));
    if (gated) return dropout(c_proj(glu(c_fc(x), activation)));
    if (plain) return dropout(mlp(x, c_fc.weight, c_fc.bias, c_proj.weight, c_proj.bias, activation));
    return dropout(c_proj(c_fc(x, activation)));
  }
};

GPTLITE_COMPILED_STRUCT(MLP)

}  // namespace gptlite::inline GPTLITE_ABI
