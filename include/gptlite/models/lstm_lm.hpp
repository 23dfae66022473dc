#pragma once
// LstmLm: a language model of LSTMs in GPT's place, the ablation of Radford et al. 2018 (section 5): the same
// embeddings, losses and tasks.

#include <cstdint>
#include <memory>
#include <utility>

#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/autograd/ops/matmul.hpp"
#include "gptlite/models/sequence_states.hpp"
#include "gptlite/nn/embedding.hpp"
#include "gptlite/nn/lstm.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Sizes and options of an LstmLm.
struct LstmLmConfig {
  Index vocab_size = 0;
  Index n_embd = 768;  ///< channels of the embedding and of each layer's output, which is projected to them
  Index hidden_size =
      2048;  ///< units of each layer; more than n_embd. 4/3 n_embd has as many parameters as a block of GPT
  Index n_layer = 1;
  double dropout = 0;                     ///< on the embedding and each layer's output
  double initializer_range = 0.1;         ///< standard deviation of the initial embedding
  Precision precision = Precision::fp32;  ///< of the model's products; an Autocast in scope can make it bf16 too
  std::uint64_t seed = 1337;              ///< of the initial weights and of dropout

  /// Throws ConfigError, naming the field and its value, if no model can have this configuration.
  void validate() const {
    check<ConfigError>(vocab_size > 0, "LstmLmConfig", "vocab_size must be positive, got ", vocab_size);
    check<ConfigError>(n_embd > 0 && hidden_size > n_embd, "LstmLmConfig",
                       "n_embd must be positive and below hidden_size ", hidden_size, ", got ", n_embd);
    check<ConfigError>(n_layer > 0, "LstmLmConfig", "n_layer must be positive, got ", n_layer);
    check<ConfigError>(dropout >= 0 && dropout < 1, "LstmLmConfig", "dropout must be at least 0 and below 1, got ",
                       dropout);
  }
};

/// A language model of LSTM layers with projections and residual sums. The output head is the token embedding. Copies
/// are handles on the same weights.
template <class T>
struct LstmLm {
  using value_type = T;

  LstmLmConfig config;
  std::shared_ptr<TrainingMode> mode;
  Embedding<T> wte;  // tokens (V, C); also the output head
  Dropout<T> drop;
  LSTM<T> lstm;

  /// Makes a model with an embedding ~ N(0, initializer_range^2) and LSTMs as PyTorch starts them; all are a function
  /// of config.seed alone. Throws ConfigError as LstmLmConfig::validate does.
  explicit LstmLm(const LstmLmConfig& options) : LstmLm(options, Generator(options.seed, RandomUse::weights)) {}

  void visit(auto&& f) {
    f("wte", wte);
    f("lstm", lstm);
  }
  /// Switches to training: dropout is in force.
  void train() { mode->training = true; }
  /// Switches to evaluation: no dropout.
  void eval() { mode->training = false; }

  /// Computes the last hidden states. tokens: (B, T). lengths: (B), the tokens before each sequence's padding;
  /// undefined: T. Returns (B, T, C). Throws ShapeError if tokens are not (B, T), IndexError for a token outside the
  /// vocabulary.
  Tensor<T> pass(const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths = {}) const {
    check<ShapeError>(tokens.rank() == 2, "LstmLm", "tokens must be (B, T), got ", tokens.shape());
    const Autocast scope(precision());
    return drop(lstm(drop(wte(tokens)), lengths).y());
  }
  /// Computes the logits of the next token at every position. tokens: (B, T). Returns (B, T, V). Throws as pass() does.
  Tensor<T> logits(const Tensor<TokenId>& tokens) const {
    const Autocast scope(precision());
    return matmul(pass(tokens), wte.weight, {.transpose_b = true});
  }
  /// Computes the mean of -log P(target) over all positions whose target is not ignore_index. tokens and targets: (B,
  /// T). Returns a scalar.
  Tensor<T> loss(const Tensor<TokenId>& tokens, const Tensor<TokenId>& targets) const {
    const Autocast scope(precision());
    return linear_cross_entropy(pass(tokens), wte.weight, targets);
  }

  // As the backbone of a TaskModel (models/task_model.hpp). ---------------------------------------------------------

  static constexpr const char* base_model_prefix = "backbone";

  /// State that a task's head reads: for each sequence that of its last token. Returns (B, C).
  Tensor<T> summary(const Tensor<T>& hidden, const Tensor<std::int32_t>& lengths) const {
    return detail::last_states("LstmLm", hidden, lengths);
  }
  /// Computes L1 of the sequences themselves, as GPT::sequence_loss does. Returns a scalar.
  Tensor<T> sequence_loss(const Tensor<T>& hidden, const Tensor<TokenId>& tokens,
                          const Tensor<std::int32_t>& lengths) const {
    const Autocast scope(precision());
    const auto [states, targets, weights] = detail::predicting_states("LstmLm", hidden, tokens, lengths);
    return linear_cross_entropy(states, wte.weight, targets, weights);
  }

 private:
  Precision precision() const { return config.precision == Precision::bf16 ? Precision::bf16 : autocast_precision(); }
  [[gnu::cold]] LstmLm(const LstmLmConfig& options, Generator generator)
      : config((options.validate(), options)),
        mode(std::make_shared<TrainingMode>(TrainingMode{true, Generator(config.seed, RandomUse::dropout)})),
        wte(config.vocab_size, config.n_embd, Init::normal(config.initializer_range), generator),
        drop{config.dropout, mode},
        lstm({.input_size = config.n_embd,
              .hidden_size = config.hidden_size,
              .num_layers = config.n_layer,
              .proj_size = config.n_embd,
              .residual = true},
             drop, generator) {}
};

GPTLITE_COMPILED_STRUCT(LstmLm)

}  // namespace gptlite::inline GPTLITE_ABI
