#pragma once
// Block: attention and a feed-forward part, each with a residual sum and a norm. GPT and BERT are stacks of them.

#include <cstdint>

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/models/norm_order.hpp"
#include "gptlite/nn/mlp.hpp"
#include "gptlite/nn/norm.hpp"
#include "gptlite/nn/self_attention.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// Output of a block for x. The layers are a model's, x (B, T, C), or a Decoder's, x (rows, C). Returns the same shape.
template <class T, class Attention, class Mlp>
Tensor<T> block_output(NormOrder norm_order, const Tensor<T>& x, const Norm<T>& ln_1, Attention&& attn,
                       const Norm<T>& ln_2, Mlp&& mlp) {
  if (norm_order == NormOrder::post) {
    // GPT-1: normalize after each sum, no final norm.    a = ln_1(x + attn(x)),  y = ln_2(a + mlp(a))
    const Tensor<T> a = ln_1.add_norm(x, attn(x)).norm;
    return ln_2.add_norm(a, mlp(a)).norm;
  }
  // GPT-2: normalize before, one final norm after the last block.    a = x + attn(ln_1(x)),  y = a + mlp(ln_2(a))
  const auto [a, ln_2_a] = ln_2.add_norm(x, attn(ln_1(x)));
  return a + mlp(ln_2_a);
}
}  // namespace detail

/// One transformer block. Fields carry the names of the published checkpoints.
template <class T>
struct Block {
  Norm<T> ln_1;
  SelfAttention<T> attn;
  Norm<T> ln_2;
  MLP<T> mlp;
  NormOrder norm_order;

  void visit(auto&& f) {
    f("ln_1", ln_1);
    f("attn", attn);
    f("ln_2", ln_2);
    f("mlp", mlp);
  }
  /// Computes the output for x (B, T, C). Returns (B, T, C). lengths: (B), as SelfAttention takes them.
  Tensor<T> operator()(const Tensor<T>& x, const Tensor<std::int32_t>& lengths = {}) const {
    const auto attend = [&](const Tensor<T>& input) { return attn(input, lengths); };
    return detail::block_output(norm_order, x, ln_1, attend, ln_2, mlp);
  }
};

GPTLITE_COMPILED_STRUCT(Block)

}  // namespace gptlite::inline GPTLITE_ABI
