#pragma once
// causal_attention: the fused core of a GPT block.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/autograd/ops/dropout.hpp"
#include "gptlite/kernels/attention.hpp"
#include "gptlite/kernels/attention_backward.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct AttentionOptions {
  Index n_head = 1;
  Index window = 0;                ///< k of the context window: a position sees the last k positions; 0: all before it
  double dropout = 0;              ///< probability, on the attention weights
  Generator* generator = nullptr;  ///< where dropout takes its random stream from; needed if dropout > 0
};

/// softmax(q k^T / sqrt(HS), causal) v for every head, from the joint projection (Vaswani et al. 2017).
/// qkv: (B, T, 3C), at each position q, k and v, each C = n_head * HS. Returns (B, T, C).
/// Throws ShapeError for another rank or a size that does not divide. Saves qkv, the result and one number for each
/// head and position: memory grows with T, not with its square.
template <class T>
Tensor<T> causal_attention(const Tensor<T>& qkv, AttentionOptions options) {
  check<ShapeError>(qkv.rank() == 3, "causal_attention", "qkv must be (B, T, 3C), got ", qkv.shape());
  check<ConfigError>(options.n_head > 0, "causal_attention", "n_head must be positive, got ", options.n_head);
  check<ConfigError>(options.window >= 0, "causal_attention", "window must be 0 or positive, got ", options.window);
  check<ShapeError>(qkv.shape()[2] % (3 * options.n_head) == 0, "causal_attention", "qkv ", qkv.shape(),
                    " does not divide into q, k, v of ", options.n_head, " heads");
  detail::check_probability(options.dropout, "causal_attention");
  check<ConfigError>(options.dropout == 0 || options.generator != nullptr, "causal_attention",
                     "dropout needs a generator");
  const Index B = qkv.shape()[0], positions = qkv.shape()[1], C = qkv.shape()[2] / 3;
  kernels::AttentionShape shape{
      B, positions, options.n_head, C / options.n_head, options.window == 0 ? positions : options.window, {},
      autocast_precision()};
  if (options.dropout > 0) shape.dropout = {options.dropout, options.generator->fork()};

  Tensor<T> y = Tensor<T>::empty({B, positions, C});
  const Storage<T> lse(B * options.n_head * positions);
  kernels::attention_forward(y.data(), lse.data(), qkv.data(), shape);
  return record("causal_attention", y, {qkv}, [shape, lse, saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
    const auto [dqkv, accumulate] = in[0].grad_target();
    kernels::attention_backward(dqkv, accumulate, dy.data(), in[0].data(), saved.data(), lse.data(), shape);
  });
}

}  // namespace gptlite::inline GPTLITE_ABI
