#pragma once
// attention: the fused attention of a transformer block, alone and with the projection to q, k and v.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/autograd/ops/dropout.hpp"
#include "gptlite/kernels/attention/backward.hpp"
#include "gptlite/kernels/attention/forward.hpp"
#include "gptlite/kernels/attention/heads.hpp"
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
  Index n_kv_head = 0;                ///< heads of k and v, each shared by n_head / n_kv_head heads of q; 0: n_head
  bool qk_norm = false;               ///< divides each head of q and k by its root mean square (Henry et al. 2020)
  /// (positions, HS), as rotary_table() makes it: turns q and k by their positions (Su et al. 2021). Undefined: not.
  Tensor<double> rotary = {};
};

/// The table that rotary positions read: at each position the cosines of HS / 2 angles, then their sines; the angle of
/// channels i and i + HS / 2 is position * theta^(-2i / HS) (Su et al. 2021, with the pairs of Llama). Returns
/// (positions, head_size). Throws ConfigError for an odd or negative head_size.
[[gnu::cold]] inline Tensor<double> rotary_table(Index positions, Index head_size, double theta = 10000) {
  check<ConfigError>(head_size > 0 && head_size % 2 == 0, "rotary_table", "head_size must be positive and even, got ",
                     head_size);
  Tensor<double> table = Tensor<double>::empty({positions, head_size});
  const Index half = head_size / 2;
  for (Index p = 0; p < positions; ++p)
    for (Index i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(p) * std::pow(theta, -static_cast<double>(i) / static_cast<double>(half));
      table.data()[p * head_size + i] = std::cos(angle);
      table.data()[p * head_size + half + i] = std::sin(angle);
    }
  return table;
}

namespace detail {

/// The parameters of one attention as the kernels take them. It keeps a copy of the lengths that they point to, which
/// no caller can change before backward.
struct CheckedAttention {
  kernels::AttentionParams shape;
  Tensor<std::int32_t> lengths;
  bool qk_norm = false;
  Tensor<double> rotary;

  bool changes_heads() const { return qk_norm || rotary.defined(); }
};

/// Checks the options of an attention and takes its random stream. qkv: the shape of the projection to q, k, v.
inline CheckedAttention checked_attention(const Shape& qkv, const AttentionOptions& options) {
  check<ShapeError>(qkv.rank() == 3, "attention", "qkv must be (B, T, ",
                    options.n_kv_head == 0 ? "3C" : "C + 2 n_kv_head HS", "), got ", qkv);
  check<ConfigError>(options.n_head > 0, "attention", "n_head must be positive, got ", options.n_head);
  const Index kv_heads = options.n_kv_head == 0 ? options.n_head : options.n_kv_head;
  check<ConfigError>(kv_heads > 0 && options.n_head % kv_heads == 0, "attention", "n_kv_head must divide n_head ",
                     options.n_head, ", got ", options.n_kv_head);
  check<ConfigError>(options.window >= 0, "attention", "window must be 0 or positive, got ", options.window);
  check<ConfigError>(is_finite(options.scale) && options.scale >= 0, "attention",
                     "scale must be 0 (1 / sqrt(HS)) or positive, got ", options.scale);
  const Index heads = options.n_head + 2 * kv_heads, HS = qkv[2] / heads;
  check<ShapeError>(qkv[2] % heads == 0, "attention", "qkv ", qkv, " does not divide into q, k, v of ", options.n_head,
                    " heads", kv_heads == options.n_head ? "" : " of q, ",
                    kv_heads == options.n_head ? "" : std::to_string(kv_heads) + " of k and v");
  check<ShapeError>(!options.rotary.defined() || (options.rotary.rank() == 2 && options.rotary.shape()[1] == HS &&
                                                  HS % 2 == 0 && options.rotary.shape()[0] >= qkv[1]),
                    "attention", "rotary must be (", qkv[1], " or more, ", HS, ") with an even head size, got ",
                    options.rotary.defined() ? options.rotary.shape() : Shape{});
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
                                 .HS = HS,
                                 .causal = options.causal,
                                 .window = options.window,
                                 .lengths = lengths.defined() ? lengths.data() : nullptr,
                                 .precision = autocast_precision(),
                                 .scale = options.scale,
                                 .NKV = kv_heads};
  if (options.dropout > 0) shape.dropout = {options.dropout, options.generator->fork()};
  return {shape, lengths, options.qk_norm, options.rotary};
}

/// QK-norm and rotary positions of one attention, and what their gradients need.
template <class T>
class ChangedHeads {
 public:
  explicit ChangedHeads(const CheckedAttention& checked) {
    const kernels::AttentionParams& s = checked.shape;
    if (!checked.changes_heads()) return;
    params_ = {.rows = s.B * s.T,
               .heads = s.NH + s.kv_heads(),
               .HS = s.HS,
               .stride = s.qkv_size(),
               .positions = std::max<Index>(s.T, 1),
               .rotary = nullptr,
               .normalize = checked.qk_norm};
    if (checked.qk_norm) inverse_rms_ = Storage<T>(params_.rows * params_.heads);
    if (!checked.rotary.defined()) return;
    rotary_ = Storage<T>(s.T * s.HS);
    std::transform(checked.rotary.data(), checked.rotary.data() + rotary_.size(), rotary_.data(),
                   [](double number) { return static_cast<T>(number); });
    params_.rotary = rotary_.data();
  }
  template <class S>
  void forward(S* qkv) const {
    if (params_.any()) kernels::heads_forward(qkv, inverse_rms_.data(), params_);
  }
  template <class S>
  void backward(S* dqkv, const S* qkv) const {
    if (params_.any()) kernels::heads_backward(dqkv, qkv, inverse_rms_.data(), params_);
  }

 private:
  kernels::HeadParams<T> params_{};
  Storage<T> inverse_rms_, rotary_;
};

/// attention(x weight + bias) with q, k, v stored as S.
template <class S, class T>
Tensor<T> attention(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias,
                    const CheckedAttention& checked) {
  const kernels::AttentionParams& shape = checked.shape;
  const kernels::LinearParams projection{
      .rows = shape.B * shape.T, .K = weight.shape()[0], .N = weight.shape()[1], .precision = shape.precision};
  const Storage<S> qkv(projection.rows * projection.N);
  kernels::linear_forward(qkv.data(), x.data(), weight.data(), bias.defined() ? bias.data() : nullptr, projection);
  const ChangedHeads<T> heads(checked);
  heads.forward(qkv.data());
  Tensor<T> y = Tensor<T>::empty({shape.B, shape.T, shape.C()});
  const Storage<T> softmax_sums(2 * shape.rows());
  kernels::attention_forward(y.data(), softmax_sums.data(), std::as_const(qkv).data(), shape);
  return record("attention", y, {x, weight, bias.without_data()},
                [checked, heads, projection, qkv, softmax_sums, saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
                  const Storage<S> dqkv(qkv.size());
                  kernels::attention_backward(dqkv.data(), false, dy.data(), qkv.data(), saved.data(),
                                              softmax_sums.data(), checked.shape);
                  heads.backward(dqkv.data(), std::as_const(qkv).data());
                  const auto dx = in[0].grad_target(), dweight = in[1].grad_target(), dbias = in[2].grad_target();
                  kernels::linear_gradients(dx, dweight, dbias, std::as_const(dqkv).data(), in[0].data(), in[1].data(),
                                            projection);
                });
}

/// attention(qkv) with QK-norm or rotary positions.
template <class T>
Tensor<T> attention_of_changed_heads(const Tensor<T>& qkv, const CheckedAttention& checked) {
  const Storage<T> changed(qkv.numel());
  std::copy_n(qkv.data(), qkv.numel(), changed.data());
  const ChangedHeads<T> heads(checked);
  heads.forward(changed.data());
  Tensor<T> y = Tensor<T>::empty({checked.shape.B, checked.shape.T, checked.shape.C()});
  const Storage<T> softmax_sums(2 * checked.shape.rows());
  kernels::attention_forward(y.data(), softmax_sums.data(), std::as_const(changed).data(), checked.shape);
  return record("attention", y, {qkv.without_data()},
                [checked, heads, changed, softmax_sums, saved = y.detach()](Inputs<T> in, const Tensor<T>& dy) {
                  Tensor<T> dqkv = Tensor<T>::empty(in[0].shape());
                  kernels::attention_backward(dqkv.data(), false, dy.data(), std::as_const(changed).data(),
                                              saved.data(), softmax_sums.data(), checked.shape);
                  heads.backward(dqkv.data(), std::as_const(changed).data());
                  in[0].accumulate_grad(dqkv);
                });
}

}  // namespace detail

/// softmax(scale q k^T) v for every head, from the joint projection; scale is 1 / sqrt(HS) (Vaswani et al. 2017) unless
/// the options say otherwise. The softmax is over the
/// positions that the options let a position see; a position that sees none gets zeros.
/// qkv: (B, T, 3C), at each position q, k and v, each C = n_head * HS; with n_kv_head, k and v are n_kv_head * HS each.
/// Returns (B, T, C).
/// Throws ShapeError for another rank, a size that does not divide or lengths of another shape than (B), IndexError for
/// a length outside 0..T, ConfigError for an option that cannot work. Saves qkv, the result and two numbers per head
/// and position: memory grows with T, not with its square.
template <class T>
Tensor<T> attention(const Tensor<T>& qkv, AttentionOptions options) {
  const detail::CheckedAttention checked = detail::checked_attention(qkv.shape(), options);
  if (checked.changes_heads()) return detail::attention_of_changed_heads(qkv, checked);
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
/// x: (B, T, K), weight: (K, N), bias: (N) or undefined, N = 3C or, with n_kv_head, C + 2 n_kv_head HS. Returns (B, T,
/// C). Throws ShapeError if they do not fit, and as attention(qkv) does. Saves x, weight, q, k, v, the result and two
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
