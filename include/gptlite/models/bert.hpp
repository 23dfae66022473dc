#pragma once
// Bert: the encoder of Devlin et al. 2019. Each token sees all tokens of its sequence, left and right.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gptlite/autograd/ops/activations.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/models/bert_config.hpp"
#include "gptlite/models/block.hpp"
#include "gptlite/nn/embedding.hpp"
#include "gptlite/nn/layer_norm.hpp"
#include "gptlite/nn/visit.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// A BERT encoder. Copies are handles on the same weights.
template <class T>
struct Bert {
  using value_type = T;

  BertConfig config;
  std::shared_ptr<TrainingMode> mode;  // training or not, and dropout's random numbers; shared by all layers
  Embedding<T> wte;                    // tokens (V, C)
  Embedding<T> wpe;                    // positions (block_size, C)
  Embedding<T> wse;                    // segments (type_vocab_size, C)
  LayerNorm<T> ln;                     // of the embeddings' sum
  Dropout<T> drop;
  std::vector<Block<T>> h;
  std::optional<Linear<T>> pooler;  // (C, C), with config.pooler only

  /// Makes a model with weights ~ N(0, initializer_range^2), biases 0, and norms with weight 1 and bias 0; all are a
  /// function of config.seed alone. Throws ConfigError as BertConfig::validate does.
  explicit Bert(const BertConfig& options) : Bert(options, Init::normal(options.initializer_range)) {}
  /// Makes a model with weights drawn as `init` says: Init::none() for weights that a file replaces.
  Bert(const BertConfig& options, Init init) : Bert(options, init, Generator(options.seed, RandomUse::weights)) {}

  void visit(auto&& f) {
    f("wte", wte);
    f("wpe", wpe);
    f("wse", wse);
    f("ln", ln);
    f("h", h);
    if (pooler) f("pooler", *pooler);
  }

  /// Switches to training: dropout is in force.
  void train() { mode->training = true; }
  /// Switches to evaluation: no dropout.
  void eval() { mode->training = false; }

  /// Computes the last hidden states. tokens: (B, T). lengths: (B), the tokens before each sequence's padding, which no
  /// token sees; undefined: T. segments: (B, T), 0 to type_vocab_size - 1; undefined: as config.separator says.
  /// Returns (B, T, C). Throws ShapeError if the shapes do not fit or T > block_size, IndexError for a token, a segment
  /// or a length out of range.
  Tensor<T> pass(const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths = {},
                 const Tensor<std::int32_t>& segments = {}) const {
    check<ShapeError>(tokens.rank() == 2, "Bert", "tokens must be (B, T), got ", tokens.shape());
    const Index positions = tokens.shape()[1];
    check<ShapeError>(positions <= config.block_size, "Bert", "sequences of ", positions, " tokens exceed block_size ",
                      config.block_size, ": tokens ", tokens.shape());
    check<ShapeError>(!segments.defined() || segments.shape() == tokens.shape(), "Bert", "segments must be ",
                      tokens.shape(), " as the tokens are, got ", segments.shape());
    const Autocast scope(precision());
    const Tensor<T> places = slice(wpe.weight, 0, 0, positions);
    const Tensor<T> kinds = wse(segments.defined() ? segments : segments_of(tokens));
    Tensor<T> x = drop(ln(wte(tokens) + kinds + places));
    for (const Block<T>& block : h) x = block(x, lengths);
    return x;
  }
  /// Computes tanh(W h + b) of the first token's hidden state h, [CLS]; with no pooler h itself. hidden: (B, T, C).
  /// Returns (B, C). Throws ShapeError for another rank.
  Tensor<T> pooled(const Tensor<T>& hidden) const {
    check<ShapeError>(hidden.rank() == 3, "Bert", "hidden must be (B, T, C), got ", hidden.shape());
    const Autocast scope(precision());
    const Shape& shape = hidden.shape();
    const Tensor<T> first = reshape(slice(hidden, 1, 0, 1), {shape[0], shape[2]});
    return pooler ? (*pooler)(first, Activation::tanh) : first;
  }

  // As the backbone of a TaskModel (models/task_model.hpp). ---------------------------------------------------------

  static constexpr const char* base_model_prefix = "bert";

  /// State that a task's head reads: pooled() of each sequence. Returns (B, C).
  Tensor<T> summary(const Tensor<T>& hidden, const Tensor<std::int32_t>& /*lengths*/) const { return pooled(hidden); }

  Precision precision() const { return config.precision == Precision::bf16 ? Precision::bf16 : autocast_precision(); }

 private:
  // Segment of each token: 0 up to the first separator, which it includes, 1 after it.
  Tensor<std::int32_t> segments_of(const Tensor<TokenId>& tokens) const {
    Tensor<std::int32_t> segments = Tensor<std::int32_t>::zeros(tokens.shape());
    if (!config.separator) return segments;
    const Index B = tokens.shape()[0], positions = tokens.shape()[1];
    for (Index b = 0; b < B; ++b) {
      const TokenId *const begin = tokens.data() + b * positions, *const end = begin + positions;
      const TokenId* const separator = std::find(begin, end, *config.separator);
      if (separator != end) std::fill_n(segments.data() + (separator + 1 - tokens.data()), end - separator - 1, 1);
    }
    return segments;
  }
  // Cold: it runs once, and is compiled for size.
  [[gnu::cold]] Bert(const BertConfig& options, Init init, Generator generator)
      : config(validated(options)),
        mode(std::make_shared<TrainingMode>(TrainingMode{true, Generator(config.seed, RandomUse::dropout)})),
        wte(config.vocab_size, config.n_embd, init, generator),
        wpe(config.block_size, config.n_embd, init, generator),
        wse(config.type_vocab_size, config.n_embd, init, generator),
        ln(config.n_embd, config.layer_norm_epsilon),
        drop{config.dropout, mode} {
    const Index C = config.n_embd, H = config.inner();
    for (Index layer = 0; layer < config.n_layer; ++layer)
      h.push_back({.ln_1 = Norm<T>(C, config.layer_norm_epsilon),
                   .attn = SelfAttention<T>{.n_head = config.n_head,
                                            .causal = false,
                                            .c_attn = Linear<T>(C, 3 * C, init, generator),
                                            .c_proj = Linear<T>(C, C, init, generator),
                                            .attn_dropout = drop,
                                            .resid_dropout = drop},
                   .ln_2 = Norm<T>(C, config.layer_norm_epsilon),
                   .mlp = MLP<T>{.c_fc = Linear<T>(C, H, init, generator),
                                 .c_proj = Linear<T>(H, C, init, generator),
                                 .dropout = drop,
                                 .activation = config.activation},
                   .norm_order = NormOrder::post});
    if (config.pooler) pooler.emplace(C, C, init, generator);
  }
  static const BertConfig& validated(const BertConfig& options) {
    options.validate();
    return options;
  }
};

GPTLITE_COMPILED_STRUCT(Bert)

}  // namespace gptlite::inline GPTLITE_ABI
