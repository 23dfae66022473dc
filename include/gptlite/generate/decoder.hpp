#pragma once
// Decoder: a GPT made ready for generation. Its weights are packed once, and keys and values of what was read are kept,
// so that a new token costs one pass over the weights.

#include <algorithm>
#include <vector>

#include "gptlite/kernels/activations.hpp"
#include "gptlite/kernels/cached_attention.hpp"
#include "gptlite/kernels/layer_norm.hpp"
#include "gptlite/models/gpt.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct DecoderOptions {
  Index batch = 1;  ///< sequences that are read side by side
  /// fp32: the model's own numbers, in 28 bits each; bf16: 12 bits; int8: 8.5. With bf16 and int8 keys and values are
  /// kept as bfloat16 numbers where the machine multiplies those faster (bf16_products_are_fast).
  WeightFormat weights = WeightFormat::fp32;
};

/// Reads sequences of tokens and gives the scores of what comes next: those of GPT::logits, one token at a time.
/// Adapters (LoRA) are merged into the packed weights. Later changes of the model do not reach it. Not for use by two
/// threads at once.
template <class T>
class Decoder {
 public:
  /// Throws ConfigError for a batch below 1, or another format than fp32 with a model of double.
  explicit Decoder(const GPT<T>& model, DecoderOptions options = {})
      : config_(model.config),
        positions_(static_cast<std::size_t>(std::max<Index>(options.batch, 0))),
        wte_(model.wte.weight),
        wpe_(model.wpe.weight),
        ln_f_(model.ln_f) {
    check<ConfigError>(options.batch > 0, "Decoder", "batch must be positive, got ", options.batch);
    check<ConfigError>(options.weights == WeightFormat::fp32 || std::is_same_v<T, float>, "Decoder",
                       "weights in bf16 and int8 are for models of float");
    const Index C = config_.n_embd, V = config_.vocab_size;
    head_ = {C, V, kernels::MatrixView<T>{wte_.data(), C}.transposed(), options.weights};
    for (const Block<T>& block : model.h)
      layers_.push_back({.ln_1 = block.ln_1,
                         .c_attn = PackedLinear(block.attn.c_attn, options.weights),
                         .attn_proj = PackedLinear(block.attn.c_proj, options.weights),
                         .ln_2 = block.ln_2,
                         .c_fc = PackedLinear(block.mlp.c_fc, options.weights),
                         .mlp_proj = PackedLinear(block.mlp.c_proj, options.weights),
                         .cache = {options.batch, config_.n_head, C / config_.n_head, config_.block_size,
                                   options.weights == WeightFormat::fp32 ? Precision::fp32 : Precision::bf16}});
  }

  const GPTConfig& config() const { return config_; }
  Index batch() const { return static_cast<Index>(positions_.size()); }
  /// Tokens of a sequence that were read since it was forgotten.
  Index position(Index sequence) const { return positions_.at(static_cast<std::size_t>(sequence)); }
  /// Begins a sequence anew.
  void forget(Index sequence) { positions_.at(static_cast<std::size_t>(sequence)) = 0; }

  /// Reads tokens[i], any number of them, at the end of sequence i. Returns the scores (batch, V) of the token after
  /// each sequence; zeros for one that has nothing to read. Throws ShapeError if a sequence would exceed block_size or
  /// tokens has not `batch` rows, IndexError for a token outside the vocabulary; then nothing was read.
  Tensor<T> read(const std::vector<std::vector<TokenId>>& tokens) {
    const Tensor<T> x = hidden(tokens);
    const Index C = config_.n_embd;
    Tensor<T> last = Tensor<T>::zeros({batch(), C});
    Index row = 0;
    for (Index i = 0; i < batch(); ++i) {
      const Index count = static_cast<Index>(tokens[static_cast<std::size_t>(i)].size());
      row += count;
      if (count > 0) std::copy_n(x.data() + (row - 1) * C, C, last.data() + i * C);
    }
    return scores(last);
  }
  /// Reads as read() does. Returns the scores after every token, (all tokens, V), sequence by sequence.
  Tensor<T> read_all(const std::vector<std::vector<TokenId>>& tokens) { return scores(hidden(tokens)); }

 private:
  struct PackedLinear {
    kernels::PackedMatrix<T> weight;
    Tensor<T> bias;

    PackedLinear(const Linear<T>& linear, WeightFormat format)
        : PackedLinear(linear.merged_weight(), linear.bias, format) {}
    PackedLinear(const Tensor<T>& matrix, const Tensor<T>& shift, WeightFormat format)
        : weight(matrix.shape()[0], matrix.shape()[1], kernels::MatrixView<T>{matrix.data(), matrix.shape()[1]},
                 format),
          bias(shift) {}
    /// x (rows, in). Returns activation(x weight + bias) (rows, out).
    Tensor<T> operator()(const Tensor<T>& x, Activation activation = Activation::none) const {
      using V = kernels::simd::Vec<T>;
      Tensor<T> y = Tensor<T>::empty({x.shape()[0], weight.columns()});
      const Index N = weight.columns();
      const T* b = std::as_const(bias).data();
      T* out = y.data();
      weight.multiply(x.shape()[0], x.data(), out, [=](Index row, Index rows, Index column, Index columns) {
        for (Index r = row; r < row + rows; ++r) {
          T* at = out + r * N + column;
          kernels::simd::transform(
              at, columns,
              [=](V v, V shift) {
                return activation == Activation::gelu ? kernels::detail::Gelu<T>::value(v + shift) : v + shift;
              },
              at, b + column);
        }
      });
      return y;
    }
  };
  struct Layer {
    LayerNorm<T> ln_1;
    PackedLinear c_attn, attn_proj;
    LayerNorm<T> ln_2;
    PackedLinear c_fc, mlp_proj;
    kernels::KVCache<T> cache;
  };

  /// Last hidden states (all tokens, C).
  Tensor<T> hidden(const std::vector<std::vector<TokenId>>& tokens) {
    check_readable(tokens);
    const NoGrad no_grad;
    Tensor<T> x = embeddings(tokens);  // (rows, C)
    for (const Layer& layer : layers_) {
      const auto attn = [&](const Tensor<T>& in) {
        return layer.attn_proj(attention(layer, layer.c_attn(in), tokens));
      };
      const auto mlp = [&](const Tensor<T>& in) { return layer.mlp_proj(layer.c_fc(in, Activation::gelu)); };
      x = detail::block_output(config_.norm_order, x, layer.ln_1, attn, layer.ln_2, mlp);
    }
    for (std::size_t i = 0; i < tokens.size(); ++i) positions_[i] += static_cast<Index>(tokens[i].size());
    return config_.norm_order == NormOrder::pre ? ln_f_(x) : x;
  }

  Tensor<T> scores(const Tensor<T>& x) const {
    Tensor<T> y = Tensor<T>::empty({x.shape()[0], config_.vocab_size});
    head_.multiply(x.shape()[0], x.data(), y.data(), kernels::NoEpilogue{});
    return y;
  }

  Tensor<T> embeddings(const std::vector<std::vector<TokenId>>& tokens) const {
    const Index C = config_.n_embd;
    Index rows = 0;
    for (const std::vector<TokenId>& sequence : tokens) rows += static_cast<Index>(sequence.size());
    Tensor<T> x = Tensor<T>::empty({rows, C});
    T* to = x.data();
    for (std::size_t i = 0; i < tokens.size(); ++i)
      for (std::size_t t = 0; t < tokens[i].size(); ++t, to += C)
        std::transform(wte_.data() + tokens[i][t] * C, wte_.data() + (tokens[i][t] + 1) * C,
                       wpe_.data() + (positions_[i] + static_cast<Index>(t)) * C, to, std::plus<T>());
    return x;
  }

  Tensor<T> attention(const Layer& layer, const Tensor<T>& qkv, const std::vector<std::vector<TokenId>>& tokens) const {
    const Index C = config_.n_embd, window = config_.window == 0 ? config_.block_size : config_.window;
    Tensor<T> y = Tensor<T>::empty({qkv.shape()[0], C});
    Index row = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Index rows = static_cast<Index>(tokens[i].size());
      kernels::cached_attention(y.data() + row * C, qkv.data() + row * 3 * C, layer.cache, static_cast<Index>(i),
                                positions_[i], rows, window);
      row += rows;
    }
    return y;
  }

  void check_readable(const std::vector<std::vector<TokenId>>& tokens) const {
    check<ShapeError>(tokens.size() == positions_.size(), "Decoder", "tokens of ", tokens.size(),
                      " sequences given, the batch has ", positions_.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Index count = static_cast<Index>(tokens[i].size());
      check<ShapeError>(positions_[i] + count <= config_.block_size, "Decoder", "sequence ", i, ": ", positions_[i],
                        " tokens and ", count, " more exceed block_size ", config_.block_size);
      check_tokens("Decoder", tokens[i], config_.vocab_size);
    }
  }

  GPTConfig config_;
  std::vector<Index> positions_;  // of each sequence: tokens read
  Tensor<T> wte_, wpe_;
  LayerNorm<T> ln_f_;
  kernels::PackedMatrix<T> head_;
  std::vector<Layer> layers_;
};

}  // namespace gptlite::inline GPTLITE_ABI
