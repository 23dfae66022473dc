#pragma once
// Decoder: a GPT made ready for generation. Its weights are packed once, and the keys and values of the tokens read so
// far are kept, so that a new token costs one pass over the weights.

#include <algorithm>
#include <optional>
#include <vector>

#include "gptlite/kernels/activations.hpp"
#include "gptlite/kernels/attention/cached.hpp"
#include "gptlite/kernels/attention/heads.hpp"
#include "gptlite/kernels/glu.hpp"
#include "gptlite/kernels/linear_cross_entropy.hpp"
#include "gptlite/models/gpt.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Options of a Decoder.
struct DecoderOptions {
  Index batch = 1;  ///< number of sequences read side by side
  /// Number format of the weights. fp32: the model's own numbers, in 28 bits each; bf16: 12 bits; int8: 8.5. With bf16
  /// and int8, keys and values are kept as bfloat16 where the machine multiplies those faster (bf16_products_are_fast).
  WeightFormat weights = WeightFormat::fp32;
  /// Keeps the weights in int8 too, for draft_logits(). Generation of a batch of 1 then drafts tokens with them and
  /// checks several in one pass over the real weights (speculative decoding): the same tokens, sooner.
  bool draft = false;
};

/// Reads `batch` sequences of tokens, any number of tokens per call, and returns the logits of GPT::logits. Adapters
/// (LoRA) are merged into the packed weights. Later changes of the model do not reach the decoder. Only one thread may
/// use it at a time.
template <class T>
class Decoder {
 public:
  /// Most tokens that one pass over the weights takes at almost the cost of one. In a call with up to this many tokens,
  /// each token has bitwise the logits that it has when it is read alone.
  static constexpr Index max_tokens_per_pass = kernels::PackedMatrix<T>::gemv_rows;

  /// Packs the weights of a model. Throws ConfigError if batch is below 1, for a model whose
  /// blocks are not what its config says (GPT::check_blocks), for a model of double with a draft or
  /// another format than fp32, and for a draft beside weights that are int8 themselves.
  explicit Decoder(const GPT<T>& model, DecoderOptions options = {})
      : config_(model.config),
        positions_(static_cast<std::size_t>(std::max<Index>(options.batch, 0))),
        wte_(model.wte.weight),
        wpe_(model.wpe.weight),
        ln_f_(model.ln_f) {
    check<ConfigError>(options.batch > 0, "Decoder", "batch must be positive, got ", options.batch);
    check<ConfigError>((options.weights == WeightFormat::fp32 && !options.draft) || std::is_same_v<T, float>, "Decoder",
                       "weights in bf16 and int8 are for models of float");
    check<ConfigError>(!options.draft || options.weights != WeightFormat::int8, "Decoder",
                       "a draft has its weights in int8: it is for a Decoder in fp32 or bf16");
    model.check_blocks("Decoder", false);
    weights_ = Weights(model, options.weights);
    if (options.draft) draft_ = Weights(model, WeightFormat::int8);
    if (config_.rotary) {
      const Tensor<double>& table = model.h.front().attn.rotary;
      rotary_ = Tensor<T>::empty(table.shape());
      std::transform(table.data(), table.data() + table.numel(), rotary_.data(),
                     [](double number) { return static_cast<T>(number); });
    }
    for (std::size_t i = 0; i < model.h.size(); ++i)
      caches_.emplace_back(options.batch, config_.kv_heads(), config_.head_size(), config_.block_size,
                           options.weights == WeightFormat::fp32 ? Precision::fp32 : Precision::bf16);
  }

  const GPTConfig& config() const { return config_; }
  Index batch() const { return static_cast<Index>(positions_.size()); }
  /// Number of tokens that a sequence has read since its last reset. Throws IndexError if there is no such sequence.
  Index position(Index sequence) const { return positions_[index(sequence)]; }
  /// Makes a sequence empty. Throws IndexError if there is no such sequence.
  void reset(Index sequence) { truncate(sequence, 0); }
  /// Shortens a sequence to its first `position` tokens. Throws IndexError if it has read fewer, or if there is no such
  /// sequence.
  void truncate(Index sequence, Index position) {
    Index& read = positions_[index(sequence)];
    check<IndexError>(position >= 0 && position <= read, "Decoder", "sequence ", sequence, " has read ", read,
                      " tokens and cannot be truncated to ", position);
    read = position;
  }
  bool has_draft() const { return draft_.has_value(); }

  /// Reads tokens[i], any number of tokens, at the end of sequence i. Returns the logits (batch, V) of the token after
  /// each sequence; zeros for a sequence whose tokens[i] is empty. Throws ShapeError if a sequence would exceed
  /// block_size or `tokens` has not `batch` rows, IndexError for a token outside the vocabulary; nothing is read then.
  Tensor<T> next_logits(const std::vector<std::vector<TokenId>>& tokens) { return next_logits(tokens, weights_); }
  /// Reads as next_logits() does. Returns the logits after every token, (number of all tokens, V), sequence after
  /// sequence.
  Tensor<T> all_logits(const std::vector<std::vector<TokenId>>& tokens) {
    return logits(hidden(tokens, weights_), weights_);
  }
  /// Reads as next_logits() does, with the draft's weights: nearly the same logits, sooner. It overwrites the cache
  /// with the draft's keys and values: truncate() and read the tokens again before using real logits. Throws
  /// ConfigError without a draft.
  Tensor<T> draft_logits(const std::vector<std::vector<TokenId>>& tokens) {
    check<ConfigError>(has_draft(), "Decoder", "it has no draft: make it with DecoderOptions::draft");
    return next_logits(tokens, *draft_);
  }

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
    /// Computes activation(x weight + bias). x: (rows, in). Returns (rows, out).
    Tensor<T> operator()(const Tensor<T>& x, Activation activation = Activation::none) const {
      using V = kernels::simd::Vec<T>;
      Tensor<T> y = Tensor<T>::empty({x.shape()[0], weight.columns()});
      const Index N = weight.columns();
      const T* b = bias.defined() ? std::as_const(bias).data() : nullptr;
      T* out = y.data();
      weight.multiply(x.shape()[0], x.data(), out, [=](Index row, Index rows, Index column, Index columns) {
        for (Index r = row; r < row + rows; ++r) {
          T* at = out + r * N + column;
          if (b != nullptr)
            kernels::simd::transform(
                at, columns, [](V v, V shift) { return v + shift; }, at, b + column);
          if (activation != Activation::none) kernels::detail::activate_row(activation, at, at, columns);
        }
      });
      return y;
    }
  };
  struct BlockWeights {
    Norm<T> ln_1;
    PackedLinear c_attn, attn_proj;
    Norm<T> ln_2;
    PackedLinear c_fc, mlp_proj;
    Activation activation;
  };
  /// The weights of the model's products, packed in one format.
  struct Weights {
    std::vector<BlockWeights> blocks;
    kernels::PackedMatrix<T> head;

    Weights() = default;
    Weights(const GPT<T>& model, WeightFormat format)
        : head(model.config.n_embd, model.config.vocab_size,
               kernels::MatrixView<T>{std::as_const(model.head_weight()).data(), model.config.n_embd}.transposed(),
               format) {
      for (const Block<T>& block : model.h)
        blocks.push_back({.ln_1 = block.ln_1,
                          .c_attn = PackedLinear(block.attn.c_attn, format),
                          .attn_proj = PackedLinear(block.attn.c_proj, format),
                          .ln_2 = block.ln_2,
                          .c_fc = PackedLinear(block.mlp.c_fc, format),
                          .mlp_proj = PackedLinear(block.mlp.c_proj, format),
                          .activation = block.mlp.activation});
    }
  };

  Tensor<T> next_logits(const std::vector<std::vector<TokenId>>& tokens, const Weights& weights) {
    const Tensor<T> x = hidden(tokens, weights);
    const Index C = config_.n_embd, V = config_.vocab_size;
    const auto has_tokens = [](const std::vector<TokenId>& sequence) { return !sequence.empty(); };
    // Only sequences with tokens are multiplied with the head, whose cost grows with its rows.
    Tensor<T> last = Tensor<T>::empty({std::count_if(tokens.begin(), tokens.end(), has_tokens), C});
    T* to = last.data();
    Index row = 0;
    for (const std::vector<TokenId>& sequence : tokens) {
      row += static_cast<Index>(sequence.size());
      if (has_tokens(sequence)) to = std::copy_n(x.data() + (row - 1) * C, C, to);
    }
    const Tensor<T> y = logits(last, weights);
    if (y.shape()[0] == batch()) return y;
    Tensor<T> all = Tensor<T>::zeros({batch(), V});
    const T* from = y.data();
    for (Index i = 0; i < batch(); ++i)
      if (has_tokens(tokens[static_cast<std::size_t>(i)])) {
        std::copy_n(from, V, all.data() + i * V);
        from += V;
      }
    return all;
  }

  /// Reads tokens. Returns their last hidden states, (number of all tokens, C).
  Tensor<T> hidden(const std::vector<std::vector<TokenId>>& tokens, const Weights& weights) {
    check_readable(tokens);
    const NoGrad no_grad;
    Tensor<T> x = embeddings(tokens);  // (rows, C)
    for (std::size_t i = 0; i < caches_.size(); ++i) {
      const BlockWeights& block = weights.blocks[i];
      const auto attn = [&](const Tensor<T>& in) {
        return block.attn_proj(attention(static_cast<Index>(i), block.c_attn(in), tokens));
      };
      const auto mlp = [&](const Tensor<T>& in) {
        if (config_.gated_mlp) return block.mlp_proj(glu(block.c_fc(in), block.activation));
        return block.mlp_proj(block.c_fc(in, block.activation));
      };
      x = detail::block_output(config_.norm_order, x, block.ln_1, attn, block.ln_2, mlp);
    }
    for (std::size_t i = 0; i < tokens.size(); ++i) positions_[i] += static_cast<Index>(tokens[i].size());
    return config_.norm_order == NormOrder::pre ? ln_f_(x) : x;
  }

  Tensor<T> logits(const Tensor<T>& x, const Weights& weights) const {
    Tensor<T> y = Tensor<T>::empty({x.shape()[0], config_.vocab_size});
    weights.head.multiply(x.shape()[0], x.data(), y.data(), kernels::NoEpilogue{});
    if (config_.logit_softcap != 0)
      kernels::soft_cap(y.data(), static_cast<T*>(nullptr), y.numel(), config_.logit_softcap);
    return y;
  }

  Tensor<T> embeddings(const std::vector<std::vector<TokenId>>& tokens) const {
    const Index C = config_.n_embd;
    Index rows = 0;
    for (const std::vector<TokenId>& sequence : tokens) rows += static_cast<Index>(sequence.size());
    Tensor<T> x = Tensor<T>::empty({rows, C});
    T* to = x.data();
    for (std::size_t i = 0; i < tokens.size(); ++i)
      for (std::size_t t = 0; t < tokens[i].size(); ++t, to += C) {
        std::copy_n(wte_.data() + tokens[i][t] * C, C, to);
        if (!wpe_.defined()) continue;
        const T* const position = wpe_.data() + (positions_[i] + static_cast<Index>(t)) * C;
        std::transform(to, to + C, position, to, std::plus<T>());
      }
    return x;
  }

  /// qkv: (rows, C + 2 n_kv_head HS), whose q and k are changed in place where the config says so.
  Tensor<T> attention(Index layer, Tensor<T> qkv, const std::vector<std::vector<TokenId>>& tokens) const {
    const kernels::KVCache<T>& cache = caches_[static_cast<std::size_t>(layer)];
    const Index C = config_.n_embd, window = config_.window == 0 ? config_.block_size : config_.window;
    Tensor<T> y = Tensor<T>::empty({qkv.shape()[0], C});
    Index row = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Index rows = static_cast<Index>(tokens[i].size());
      T* const of_sequence = qkv.data() + row * config_.qkv_size();
      const kernels::HeadParams<T> heads{.rows = rows,
                                         .heads = config_.n_head + config_.kv_heads(),
                                         .HS = config_.head_size(),
                                         .stride = config_.qkv_size(),
                                         .positions = config_.block_size,
                                         .first = positions_[i],
                                         .rotary = rotary_.defined() ? rotary_.data() : nullptr,
                                         .normalize = config_.qk_norm};
      if (heads.any()) kernels::heads_forward(of_sequence, static_cast<T*>(nullptr), heads);
      kernels::cached_attention(y.data() + row * C, of_sequence, config_.n_head, cache, static_cast<Index>(i),
                                positions_[i], rows, window, config_.attention_scale(layer));
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

  std::size_t index(Index sequence) const {
    check<IndexError>(sequence >= 0 && sequence < batch(), "Decoder", "sequence ", sequence,
                      " does not exist, the batch has ", batch());
    return static_cast<std::size_t>(sequence);
  }

  GPTConfig config_;
  std::vector<Index> positions_;  // of each sequence: number of tokens read
  Tensor<T> wte_, wpe_, rotary_;
  Norm<T> ln_f_;
  Weights weights_;
  std::optional<Weights> draft_;
  std::vector<kernels::KVCache<T>> caches_;  // of each block
};

GPTLITE_COMPILED_CLASS(Decoder)

}  // namespace gptlite::inline GPTLITE_ABI
