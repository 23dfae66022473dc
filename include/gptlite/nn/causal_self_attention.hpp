#pragma once
// CausalSelfAttention: one projection to q, k and v, attention over the positions before, one projection back.

#include "gptlite/autograd/ops/attention.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct CausalSelfAttention {
  Index n_head;
  Index window;  // k of the context window, 0 for all positions before
  Linear<T> c_attn;
  Linear<T> c_proj;
  Dropout<T> attn_dropout;
  Dropout<T> resid_dropout;

  void visit(auto&& f) {
    f("c_attn", c_attn);
    f("c_proj", c_proj);
  }
  Tensor<T> operator()(const Tensor<T>& x) const {  // (B, T, C)
    const AttentionOptions options{.n_head = n_head,
                                   .window = window,
                                   .dropout = attn_dropout.active(),
                                   .generator = &attn_dropout.mode->generator};
    const Tensor<T> y = c_attn.has_lora() ? causal_attention(c_attn(x), options)
                                          : causal_attention(x, c_attn.weight, c_attn.bias, options);
    return resid_dropout(c_proj(y));
  }
};

GPTLITE_COMPILED_CLASS(CausalSelfAttention)

}  // namespace gptlite::inline GPTLITE_ABI
