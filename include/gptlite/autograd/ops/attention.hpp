#pragma once
// attention: the fused attention of a transformer block, alone and with the projection to q, k and v.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/autograd/ops/dropout.hpp"
#include "gptlite/kernels/attention/backward.hpp"
#include "gptlite/kernels/attention/forward.hpp"
#include "gptlite/kernels/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Which positions see which, and the dropout of the attention weights. A GPT's attention: `{.n_head = 12}`; a BERT's,
/// of sequences padded on the right: `{.n_head = 12, .causal = false, .lengths = lengths}`.
struct AttentionOptions {
  Index n_head = 1;
  bool causal = true;  ///< a position sees no later position
  Index window = 0;    ///< a position sees those less than this many positions away, itself included; 0: any distance
  Tensor<std::int32_t> lengths = {};  ///< (B): sequence lengths without padding, which no position sees; undefined: T
  double dropout = 0;                 ///< probability of dropping an attention weight
  Generator* generator = nullptr;     ///< source of dropout's random stream; needed if dropout > 0
  double scale = 0;                   ///< factor of the scores q k^T; 0: 1 / sqrt(HS)
};

namespace detail {

/// The parameters of one attention as the kernels take them. It keeps a copy of the lengths that they point to, which
/// no caller can change before backward.
struct CheckedAttention {
  kernels::AttentionParams shape;
  Tensor<std::int32_t> lengths;
};

/// Checks the options of an attention and takes its random stream. qkv: the shape of the projection to q, k, v.
inline CheckedAttention checked_attention(const Shape& qkv, const AttentionOptions& options) {
  check<ShapeError>(qkv.rank() == 3, "attention", "qkv must be (B, T, 3C), got ", qkv);
  check<ConfigError>(options.n_head > 0, "attention", "n_head must be positive, got ", options.n_head);
  check<ConfigError>(options.window >= 0, "attention", "window must be 0 or positive, got ", options.window);
  check<ConfigError>(is_finite(options.scale) && options.scale >= 0, "attention",
                     "scale must be 0 (1 / sqrt(HS)) or positive, got ", options.scale);
  check<ShapeError>(qkv[2] % (3 * options.n_head) == 0, "attention", "qkv ", qkv, " does not divide into q, k, v of ",
                    options.n_head, " heads");
  check_probability(options.dropout, "attention");
  check<ConfigError>(options.dropout == 0 || options.generator != nullptr, "attention", "dropout needs a generator");
  const Tensor<std::int32_t> lengths = options.lengths.defined() ? options.lengths.clone() : Tensor<std::int32_t>();
  if (lengths.defined()) {
    check<ShapeError>(lengths.shape() == Shape{qkv[0]}, "attention", "lengths must be (", qkv[0], ") for qkv ", qkv,
                      ", got ", lengths.shape());
    for (Index b = 0; b < qkv[0]; ++b)
      check<IndexError>(lengths.data()[b] >= 0 && lengths.data()[b] <= qkv[1], "attention", "length ",
                        lengths.data()[b], " of sequence ", b, " is outside 0..", qkv[1]);
  }
  kernels::AttentionParams shape{.B = qkv[0],
                                 .T = qkv[1],
                                 .NH = options.n_head,
                                 .HS = qkv[2] / 3 / options.n_head,
                                 .causal = options.causal,
                                 .window = options.window,
                                 .lengths = lengths.defined() ? lengths.data() : nullptr,
                                 .precision = autocast_precision(),
                                 .scale = options.scale};
  if (options.dropout > 0) shape.dropout = {options.dropout, options.generator->fork()};
  return {shape, lengths};
}

/// attention(x weight + bias) with q, k, v stored as S.
template <class S, class T>
Tensor<T> attention(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias,
                    const CheckedAttention& checked) {
  const kernels::AttentionParams& shape = checked.shape;
  const kernels::LinearParams projection{
      .rows = shape.B * shape.T, .K = weight.shape()[0], .N = weight.shape()[1], .precision = shape.precision};
  const Storage<S> qkv(projection.rows * projection.N);
  kernels::linear_forward(qkv.data(), x.data(), weight.data(), bias.defined() ? bias.data() : nullptr, projection);
  Tensor<T> y = Tensor<T>::empty({shape.B, shape.T, shape.C()});
  const Storage<T> softmax_sums(2 * shape.rows());
  kernels::attention_forward(y.data(), softmax_sums.data(), std::as_const(qkv).data(), shape);
  return record("attention", y, {x, weight, bias.without_data()},
                [checked, projection, qkv, softmax_sums, saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
                  const Storage<S> dqkv(qkv.size());
                  kernels::attention_backward(dqkv.data(), false, dy.data(), qkv.data(), saved.data(),
                                              softmax_sums.data(), checked.shape);
                  const auto dx = in[0].grad_target(), dweight = in[1].grad_target(), dbias = in[2].grad_target();
                  kernels::linear_gradients(dx, dweight, dbias, std::as_const(dqkv).data(), in[0].data(), in[1].data(),
                                            projection);
                });
}

}  // namespace detail

/// softmax(scale q k^T) v for every head, from the joint projection; scale is 1 / sqrt(HS) (Vaswani et al. 2017) unless
/// the options say otherwise. The softmax is over the
/// positions that the options let a position see; a position that sees none gets zeros.
/// qkv: (B, T, 3C), at each position q, k and v, each C = n_head * HS. Returns (B, T, C).
/// Throws ShapeError for another rank, a size that does not divide or lengths of another shape than (B), IndexError for
/// a length outside 0..T, ConfigError for an option that cannot work. Saves qkv, the result and two numbers per head
/// and position: memory grows with T, not with its square.
template <class T>
Tensor<T> attention(const Tensor<T>& qkv, AttentionOptions options) {
  const detail::CheckedAttention checked = detail::checked_attention(qkv.shape(), options);
  const kernels::AttentionParams& shape = checked.shape;
  Tensor<T> y = Tensor<T>::empty({shape.B, shape.T, shape.C()});
  const Storage<T> softmax_sums(2 * shape.rows());
  kernels::attention_forward(y.data(), softmax_sums.data(), qkv.data(), shape);
  return record("attention", y, {qkv}, [checked, softmax_sums, saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
    const auto [dqkv, accumulate] = in[0].grad_target();
    kernels::attention_backward(dqkv, accumulate, dy.data(), in[0].data(), saved.data(), softmax_sums.data(),
                                checked.shape);
  });
}

/// attention(x weight + bias): the projection to q, k and v and the attention as one operation. Under an Autocast to
/// bf16 it stores q, k, v and their gradients as bfloat16. The result is bitwise that of linear and attention.
/// x: (B, T, K), weight: (K, 3C), bias: (3C) or undefined. Returns (B, T, C).
/// Throws ShapeError if they do not fit, and as attention(qkv) does. Saves x, weight, q, k, v, the result and two
/// numbers per head and position.
template <class T>
Tensor<T> attention(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias, AttentionOptions options) {
  check<ShapeError>(weight.rank() == 2, "attention", "weight must be a matrix, got ", weight.shape());
  const Index K = weight.shape()[0], N = weight.shape()[1];
  check<ShapeError>(x.rank() == 3 && x.shape()[2] == K, "attention", "x must be (B, T, ", K, ") for weight ",
                    weight.shape(), ", got ", x.shape());
  check<ShapeError>(!bias.defined() || bias.shape() == Shape{N}, "attention", "bias ", bias.shape(),
                    " does not fit weight ", weight.shape());
  const detail::CheckedAttention checked = detail::checked_attention(x.shape().with(-1, N), options);
  if constexpr (std::is_same_v<T, float>)
    if (checked.shape.precision == Precision::bf16) return detail::attention<BFloat16>(x, weight, bias, checked);
  return detail::attention<T>(x, weight, bias, checked);
}

}  // namespace gptlite::inline GPTLITE_ABI
