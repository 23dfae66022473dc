#pragma once
// GPT: h0 = U We + Wp,  h_l = block(h_l-1),  P(u) = softmax(h_n We^T)   (Radford et al. 2018, section 3.1).

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/autograd/ops/matmul.hpp"
#include "gptlite/models/block.hpp"
#include "gptlite/models/gpt_config.hpp"
#include "gptlite/models/sequence_states.hpp"
#include "gptlite/nn/embedding.hpp"
#include "gptlite/nn/visit.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// A GPT language model. Copies are handles on the same weights.
template <class T>
struct GPT {
  using value_type = T;

  GPTConfig config;
  std::shared_ptr<TrainingMode> mode;  // training or not, and dropout's random numbers; shared by all layers
  Embedding<T> wte;                    // tokens (V, C); also the output head if tie_word_embeddings
  Embedding<T> wpe;                    // positions (block_size, C), without rotary ones only
  Dropout<T> drop;
  std::vector<Block<T>> h;
  Norm<T> ln_f;          // used with NormOrder::pre only
  Embedding<T> lm_head;  // (V, C), without tie_word_embeddings only

  /// Makes a model with weights ~ N(0, initializer_range^2), biases 0, and norms with weight 1 and bias 0; all are a
  /// function of config.seed alone. For the projections back to the residual stream see residual_initializer_range.
  /// Throws ConfigError as GPTConfig::validate does.
  explicit GPT(const GPTConfig& options) : GPT(options, std::nullopt, weight_generator(options)) {}
  /// Makes a model with weights drawn as `init` says: Init::none() for weights that a file replaces.
  GPT(const GPTConfig& options, Init init) : GPT(options, init, weight_generator(options)) {}

  void visit(auto&& f) {
    f("wte", wte);
    if (!config.rotary) f("wpe", wpe);
    f("h", h);
    if (config.norm_order == NormOrder::pre) f("ln_f", ln_f);
    if (!config.tie_word_embeddings) f("lm_head", lm_head);
  }
  /// Matrix of the output head (V, C).
  const Tensor<T>& head_weight() const { return config.tie_word_embeddings ? wte.weight : lm_head.weight; }

  /// Switches to training: dropout is in force.
  void train() { mode->training = true; }
  /// Switches to evaluation: no dropout.
  void eval() { mode->training = false; }

  /// Result of one pass over a batch, for the losses: the last hidden states (B, T, C), and the matrix of the output
  /// head. That is head_weight() (V, C), or with openai_exact We and Wp (V + block_size, C) under the same dropout mask
  /// as the input.
  struct Pass {
    Tensor<T> hidden, head;
  };
  /// Runs the model on a batch. tokens: (B, T). lengths are ignored: attention is causal, so padding after a sequence
  /// reaches none of its tokens. Throws ShapeError if tokens are not (B, T) or T > block_size, IndexError for a token
  /// outside the vocabulary.
  Pass pass(const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& /*lengths*/ = {}) const {
    check<ShapeError>(tokens.rank() == 2, "GPT", "tokens must be (B, T), got ", tokens.shape());
    const Index positions = tokens.shape()[1];
    check<ShapeError>(positions <= config.block_size, "GPT", "sequences of ", positions, " tokens exceed block_size ",
                      config.block_size, ": tokens ", tokens.shape());
    const EmbeddingMatrices w = embedding_matrices();
    const Autocast scope(precision());
    Tensor<T> x = embedding(tokens, w.tokens);  // (B, T, C)
    if (!config.rotary) x = x + slice(w.positions, 0, 0, positions);
    if (!config.openai_exact) x = drop(x);
    for (const Block<T>& block : h) x = block(x);
    return {config.norm_order == NormOrder::pre ? ln_f(x) : x, w.head};
  }
  /// Computes the last hidden states. tokens: (B, T). Returns (B, T, C). Throws as pass() does.
  Tensor<T> hidden(const Tensor<TokenId>& tokens) const { return pass(tokens).hidden; }
  /// Computes the logits of every token of the vocabulary. x: hidden states (..., C). Returns (..., V).
  Tensor<T> head(const Tensor<T>& x) const {
    const Autocast scope(precision());
    const Tensor<T> logits = matmul(x, head_weight(), {.transpose_b = true});
    if (config.logit_softcap == 0) return logits;
    const T cap = static_cast<T>(config.logit_softcap);
    return tanh(logits * (T(1) / cap)) * cap;
  }
  /// Computes the logits of the next token at every position. tokens: (B, T). Returns (B, T, V). Throws as pass() does.
  Tensor<T> logits(const Tensor<TokenId>& tokens) const { return head(hidden(tokens)); }
  /// Computes L1 as a mean: -log P(target) over all positions whose target is not ignore_index. tokens and targets: (B,
  /// T). Returns a scalar.
  Tensor<T> loss(const Tensor<TokenId>& tokens, const Tensor<TokenId>& targets) const {
    return loss(pass(tokens), targets);
  }

  /// Throws ConfigError, naming the layer, unless every block is what the config says: causal attention with its
  /// window and scale, biases, the options of the block and, if `activation_too`, the activation. For what takes a
  /// model for its config, such as a Decoder or a file. A model whose layers were changed trains all the same.
  void check_blocks(std::string_view where, bool activation_too) const {
    for (std::size_t i = 0; i < h.size(); ++i) {
      const std::string name = "h." + std::to_string(i);
      check<ConfigError>(h[i].attn.causal && h[i].attn.window == config.window, where, name,
                         ".attn does not see what the config says: causal, window ", config.window);
      check<ConfigError>(h[i].attn.scale == config.attention_scale(static_cast<Index>(i)), where, name,
                         ".attn has another scale than the config says");
      check<ConfigError>(h[i].attn.qk_norm == config.qk_norm && h[i].attn.rotary.defined() == config.rotary &&
                             h[i].attn.n_kv_head == config.n_kv_head && h[i].mlp.gated == config.gated_mlp &&
                             h[i].ln_1.type == config.norm_type && h[i].ln_2.type == config.norm_type,
                         where, name, " has other options than the config says");
      check<ConfigError>(!activation_too || h[i].mlp.activation == config.activation, where, name,
                         ".mlp has another activation than the config says, ", name_of(config.activation));
      visit_layers<Linear<T>>(
          h[i],
          [&](const std::string& layer, const Linear<T>& linear) {
            check<ConfigError>(linear.bias.defined() == config.bias, where, layer,
                               config.bias ? " has no bias, which every" : " has a bias, which no",
                               " Linear of this GPT has");
          },
          name + '.');
    }
  }

  /// Makes the output head a matrix of its own, with the numbers of the token embedding. Optimizers made before do not
  /// train it. Throws ConfigError with openai_exact; the model is then unchanged.
  void untie() {
    if (!config.tie_word_embeddings) return;
    GPTConfig untied = config;
    untied.tie_word_embeddings = false;
    untied.validate();
    lm_head.weight = wte.weight.detach().clone().set_requires_grad(wte.weight.requires_grad());
    config = std::move(untied);
  }

  // As the backbone of a TaskModel (models/task_model.hpp). ---------------------------------------------------------

  static constexpr const char* base_model_prefix = "transformer";

  /// Hidden state that a task's head reads: for each sequence that of the last token before the padding. lengths: (B).
  /// Returns (B, C).
  Tensor<T> summary(const Pass& pass, const Tensor<std::int32_t>& lengths) const {
    return detail::last_states("GPT", pass.hidden, lengths);
  }
  /// Computes L1 of the sequences themselves: the mean over sequences of the mean over their tokens, each predicting
  /// the next. tokens: (B, T), lengths: (B). Returns a scalar. Throws DataError if no sequence has two tokens.
  Tensor<T> sequence_loss(const Pass& pass, const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths) const {
    const auto [states, targets, weights] = detail::predicting_states("GPT", pass.hidden, tokens, lengths);
    return loss({states, pass.head}, targets, weights);
  }

  /// Appends tokens to the vocabulary, as fine-tuning does. Their rows ~ N(0, initializer_range^2) are a function of
  /// the seed and the previous vocabulary size. The token embedding becomes a new tensor; copies of this model and
  /// optimizers made before keep the old one. Throws ConfigError for a negative count.
  void add_tokens(Index count, std::uint64_t seed) {
    check<ConfigError>(count >= 0, "GPT", "the number of tokens to add must be 0 or positive, got ", count);
    Generator generator(seed, RandomUse::weights);
    generator.set_position(static_cast<std::uint64_t>(config.vocab_size));
    const NoGrad no_grad;
    const auto extend = [&](Tensor<T>& rows) {
      const Embedding<T> added(count, config.n_embd, Init::normal(config.initializer_range), generator);
      const bool trains = rows.requires_grad();
      rows = concat<T>({rows, added.weight}, 0).set_requires_grad(trains);
    };
    extend(wte.weight);
    if (!config.tie_word_embeddings) extend(lm_head.weight);
    config.vocab_size += count;
    if (count > 0) config.unused_rows = 0;  // they are no longer the last
  }

 private:
  struct EmbeddingMatrices {
    Tensor<T> tokens, positions, head;
  };
  EmbeddingMatrices embedding_matrices() const {
    if (!config.openai_exact) return {wte.weight, wpe.weight, head_weight()};
    const Index V = config.vocab_size;
    const Tensor<T> all = drop(concat<T>({wte.weight, wpe.weight}, 0));
    return {slice(all, 0, 0, V), slice(all, 0, V, V + config.block_size), all};
  }
  // Loss of the head's logits, which are never stored whole.
  Tensor<T> loss(const Pass& pass, const Tensor<TokenId>& targets, const Tensor<T>& row_weights = {}) const {
    const Autocast scope(precision());
    return linear_cross_entropy(pass.hidden, pass.head, targets, row_weights, config.logit_softcap);
  }
  Precision precision() const { return config.precision == Precision::bf16 ? Precision::bf16 : autocast_precision(); }
  // Cold: it runs once, and is compiled for size.
  [[gnu::cold]] GPT(const GPTConfig& options, std::optional<Init> init, Generator generator)
      : config(validated(options)),
        mode(std::make_shared<TrainingMode>(TrainingMode{true, Generator(config.seed, RandomUse::dropout)})),
        wte(config.vocab_size, config.n_embd, init.value_or(Init::normal(config.initializer_range)), generator),
        drop{config.dropout, mode},
        ln_f(config.n_embd, config.layer_norm_epsilon, config.norm_type, config.bias) {
    if (!config.rotary)
      wpe = Embedding<T>(config.block_size, config.n_embd, init.value_or(Init::normal(config.initializer_range)),
                         generator);
    const Tensor<double> rotary =
        config.rotary ? rotary_table(config.block_size, config.head_size(), config.rope_theta) : Tensor<double>();
    const Index C = config.n_embd, H = config.inner();
    const Init inner = init.value_or(Init::normal(config.initializer_range));
    const Init residual = init.value_or(config.zero_projections ? Init::zeros() : Init::normal(residual_range()));
    const auto norm = [&] { return Norm<T>(C, config.layer_norm_epsilon, config.norm_type, config.bias); };
    // The parts are named: g++ 12 destroys those of nested braces twice if a later one throws, as it does without
    // memory.
    for (Index layer = 0; layer < config.n_layer; ++layer)
      h.push_back({.ln_1 = norm(),
                   .attn = SelfAttention<T>{.n_head = config.n_head,
                                            .window = config.window,
                                            .c_attn = Linear<T>(C, config.qkv_size(), inner, generator, config.bias),
                                            .c_proj = Linear<T>(C, C, residual, generator, config.bias),
                                            .attn_dropout = drop,
                                            .resid_dropout = drop,
                                            .scale = config.attention_scale(layer),
                                            .n_kv_head = config.n_kv_head,
                                            .qk_norm = config.qk_norm,
                                            .rotary = rotary},
                   .ln_2 = norm(),
                   .mlp = MLP<T>{.c_fc = Linear<T>(C, config.gated_mlp ? 2 * H : H, inner, generator, config.bias),
                                 .c_proj = Linear<T>(H, C, residual, generator, config.bias),
                                 .dropout = drop,
                                 .activation = config.activation,
                                 .gated = config.gated_mlp},
                   .norm_order = config.norm_order});
    if (!config.tie_word_embeddings) lm_head = Embedding<T>(config.vocab_size, C, inner, generator);
  }
  static Generator weight_generator(const GPTConfig& options) { return Generator(options.seed, RandomUse::weights); }
  // Standard deviation of the initial projections back to the residual stream.
  double residual_range() const {
    if (config.residual_initializer_range != 0) return config.residual_initializer_range;
    const double blocks = static_cast<double>(config.n_layer);
    return config.norm_order == NormOrder::pre ? config.initializer_range / std::sqrt(2.0 * blocks)
                                               : config.initializer_range;
  }
  static const GPTConfig& validated(const GPTConfig& options) {
    options.validate();
    return options;
  }
};

GPTLITE_COMPILED_STRUCT(GPT)

}  // namespace gptlite::inline GPTLITE_ABI
