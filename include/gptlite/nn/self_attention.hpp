#pragma once
// SelfAttention: one projection to q, k and v, attention between the positions, one projection back.

#include "gptlite/autograd/ops/attention.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Self-attention with its projections: c_proj(attention(c_attn(x))).
template <class T>
struct SelfAttention {
  Index n_head;
  bool causal = true;  // true: a position sees no later one (GPT); false: it does (BERT)
  Index window = 0;    // a position sees only those less than this many away; 0: any distance
  Linear<T> c_attn;    // (C, 3C): q, k and v; with n_kv_head (C, C + 2 n_kv_head HS)
  Linear<T> c_proj;    // (C, C)
  Dropout<T> attn_dropout;
  Dropout<T> resid_dropout;
  double scale = 0;            // factor of the scores q k^T; 0: 1 / sqrt(HS)
  Index n_kv_head = 0;         // heads of k and v; 0: n_head
  bool qk_norm = false;        // each head of q and k divided by its root mean square
  Tensor<double> rotary = {};  // rotary_table(), or undefined: positions do not turn q and k

  void visit(auto&& f) {
    f("c_attn", c_attn);
    f("c_proj", c_proj);
  }
  /// Computes the output for x (B, T, C). Returns (B, T, C). lengths: (B), number of positions before each sequence's
  /// padding, which no position sees; undefined: no padding. Throws IndexError for a length outside 0..T.
  Tensor<T> operator()(const Tensor<T>& x, const Tensor<std::int32_t>& lengths = {}) const {
    const AttentionOptions options{.n_head = n_head,
                                   .causal = causal,
                                   .window = window,
                                   .lengths = lengths,
                                   .dropout = attn_dropout.rate(),
                                   .generator = &attn_dropout.mode->generator,
                                   .scale = scale,
                                   .n_kv_head = n_kv_head,
                                   .qk_norm = qk_norm,
                                   .rotary = rotary};
    const Tensor<T> y =
        c_attn.is_plain() ? attention(x, c_attn.weight, c_attn.bias, options) : attention(c_attn(x), options);
    return resid_dropout(c_proj(y));
  }
};

GPTLITE_COMPILED_STRUCT(SelfAttention)

}  // namespace gptlite::inline GPTLITE_ABI
