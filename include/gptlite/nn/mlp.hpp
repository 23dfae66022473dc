#pragma once
// MLP: the feed-forward part of a block, C -> 4C -> C with GELU between.

#include "gptlite/autograd/ops/mlp.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct MLP {
  Linear<T> c_fc;
  Linear<T> c_proj;
  Dropout<T> dropout;

  void visit(auto&& f) {
    f("c_fc", c_fc);
    f("c_proj", c_proj);
  }
  Tensor<T> operator()(const Tensor<T>& x) const {
    if (c_fc.has_lora() || c_proj.has_lora()) return dropout(c_proj(c_fc(x, Activation::gelu)));
    return dropout(mlp(x, c_fc.weight, c_fc.bias, c_proj.weight, c_proj.bias));
  }
};

GPTLITE_COMPILED_CLASS(MLP)

}  // namespace gptlite::inline GPTLITE_ABI
