#pragma once
// causal_attention: the fused core of a GPT block, by itself and with the projection to q, k and v.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/autograd/ops/dropout.hpp"
#include "gptlite/kernels/attention.hpp"
#include "gptlite/kernels/attention_backward.hpp"
#include "gptlite/kernels/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct AttentionOptions {
  Index n_head = 1;
  Index window = 0;                ///< k of the context window: a position sees the last k positions; 0: all before it
  double dropout = 0;              ///< probability, on the attention weights
  Generator* generator = nullptr;  ///< where dropout takes its random stream from; needed if dropout > 0
};

namespace detail {

/// Checks what causal_attention is asked for and takes its random stream; qkv: the shape of the projection to q, k, v.
inline kernels::AttentionShape attention_shape(const Shape& qkv, const AttentionOptions& options) {
  check<ShapeError>(qkv.rank() == 3, "causal_attention", "qkv must be (B, T, 3C), got ", qkv);
  check<ConfigError>(options.n_head > 0, "causal_attention", "n_head must be positive, got ", options.n_head);
  check<ConfigError>(options.window >= 0, "causal_attention", "window must be 0 or positive, got ", options.window);
  check<ShapeError>(qkv[2] % (3 * options.n_head) == 0, "causal_attention", "qkv ", qkv,
                    " does not divide into q, k, v of ", options.n_head, " heads");
  check_probability(options.dropout, "causal_attention");
  check<ConfigError>(options.dropout == 0 || options.generator != nullptr, "causal_attention",
                     "dropout needs a generator");
  const Index head_size = qkv[2] / 3 / options.n_head, window = options.window == 0 ? qkv[1] : options.window;
  kernels::AttentionShape shape{qkv[0], qkv[1], options.n_head, head_size, window, {}, autocast_precision()};
  if (options.dropout > 0) shape.dropout = {options.dropout, options.generator->fork()};
  return shape;
}

/// causal_attention of x weight + bias with q, k, v held as S.
template <class S, class T>
Tensor<T> causal_attention(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias,
                           const kernels::AttentionShape& shape) {
  const kernels::LinearShape projection{
      .rows = shape.B * shape.T, .K = weight.shape()[0], .N = weight.shape()[1], .precision = shape.precision};
  const Storage<S> qkv(projection.rows * projection.N);
  kernels::linear_forward_as(qkv.data(), x.data(), weight.data(), bias.defined() ? bias.data() : nullptr, projection);
  Tensor<T> y = Tensor<T>::empty({shape.B, shape.T, shape.C()});
  const Storage<T> softmax_sums(2 * shape.rows());
  kernels::attention_forward(y.data(), softmax_sums.data(), std::as_const(qkv).data(), shape);
  return record("causal_attention", y, {x, weight, bias.without_data()},
                [shape, projection, qkv, softmax_sums, saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
                  const Storage<S> dqkv(qkv.size());
                  kernels::attention_backward(dqkv.data(), false, dy.data(), qkv.data(), saved.data(),
                                              softmax_sums.data(), shape);
                  const auto dx = in[0].grad_target(), dweight = in[1].grad_target(), dbias = in[2].grad_target();
                  kernels::linear_gradients(dx, dweight, dbias, std::as_const(dqkv).data(), in[0].data(), in[1].data(),
                                            projection);
                });
}

}  // namespace detail

/// softmax(q k^T / sqrt(HS), causal) v for every head, from the joint projection (Vaswani et al. 2017).
/// qkv: (B, T, 3C), at each position q, k and v, each C = n_head * HS. Returns (B, T, C).
/// Throws ShapeError for another rank or a size that does not divide. Saves qkv, the result and two numbers for each
/// head and position: memory grows with T, not with its square.
template <class T>
Tensor<T> causal_attention(const Tensor<T>& qkv, AttentionOptions options) {
  const kernels::AttentionShape shape = detail::attention_shape(qkv.shape(), options);
  Tensor<T> y = Tensor<T>::empty({shape.B, shape.T, shape.C()});
  const Storage<T> softmax_sums(2 * shape.rows());
  kernels::attention_forward(y.data(), softmax_sums.data(), qkv.data(), shape);
  return record("causal_attention", y, {qkv},
                [shape, softmax_sums, saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
                  const auto [dqkv, accumulate] = in[0].grad_target();
                  kernels::attention_backward(dqkv, accumulate, dy.data(), in[0].data(), saved.data(),
                                              softmax_sums.data(), shape);
                });
}

/// causal_attention(x weight + bias): with the projection to q, k and v as one operation, which under an Autocast to
/// bf16 holds q, k, v and their gradients as bfloat16. The bits are those of linear and causal_attention.
/// x: (B, T, K), weight: (K, 3C), bias: (3C) or undefined. Returns (B, T, C).
/// Throws ShapeError if they do not fit. Saves x, weight, q, k, v, the result and two numbers for each head and
/// position.
template <class T>
Tensor<T> causal_attention(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias,
                           AttentionOptions options) {
  check<ShapeError>(weight.rank() == 2, "causal_attention", "weight must be a matrix, got ", weight.shape());
  const Index K = weight.shape()[0], N = weight.shape()[1];
  check<ShapeError>(x.rank() == 3 && x.shape()[2] == K, "causal_attention", "x must be (B, T, ", K, ") for weight ",
                    weight.shape(), ", got ", x.shape());
  check<ShapeError>(!bias.defined() || bias.shape() == Shape{N}, "causal_attention", "bias ", bias.shape(),
                    " does not fit weight ", weight.shape());
  const kernels::AttentionShape shape = detail::attention_shape(x.shape().with(-1, N), options);
  if constexpr (std::is_same_v<T, float>)
    if (shape.precision == Precision::bf16) return detail::causal_attention<BFloat16>(x, weight, bias, shape);
  return detail::causal_attention<T>(x, weight, bias, shape);
}

}  // namespace gptlite::inline GPTLITE_ABI
