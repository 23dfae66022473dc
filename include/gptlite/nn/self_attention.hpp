#pragma once
// SelfAttention: one projection to q, k and v, attention between the positions, one projection back.

#include "gptlite/autograd/ops/attention.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct SelfAttention {
  Index n_head;
  bool causal = true;  // a position sees none behind it: GPT; false: BERT
  Index window = 0;    // a position sees those less than this many away, 0 for any distance
  Linear<T> c_attn;    // (C, 3C): q, k and v
  Linear<T> c_proj;    // (C, C)
  Dropout<T> attn_dropout;
  Dropout<T> resid_dropout;

  void visit(auto&& f) {
    f("c_attn", c_attn);
    f("c_proj", c_proj);
  }
  /// x: (B, T, C). Returns (B, T, C). lengths: (B), positions before each sequence's padding, which no position sees;
  /// undefined for sequences without padding.
  Tensor<T> operator()(const Tensor<T>& x, const Tensor<std::int32_t>& lengths = {}) const {
    const AttentionOptions options{.n_head = n_head,
                                   .causal = causal,
                                   .window = window,
                                   .lengths = lengths,
                                   .dropout = attn_dropout.rate(),
                                   .generator = &attn_dropout.mode->generator};
    const Tensor<T> y =
        c_attn.is_plain() ? attention(x, c_attn.weight, c_attn.bias, options) : attention(c_attn(x), options);
    return resid_dropout(c_proj(y));
  }
};

GPTLITE_COMPILED_CLASS(SelfAttention)

}  // namespace gptlite::inline GPTLITE_ABI
