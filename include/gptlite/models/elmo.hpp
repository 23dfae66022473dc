#pragma once
// Elmo: two language models of LSTMs, one from the left and one from the right, whose layers are features for a task
// (Peters et al. 2018, "Deep contextualized word representations").

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/nn/embedding.hpp"
#include "gptlite/nn/lstm.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Sizes and options of an Elmo.
struct ElmoConfig {
  Index vocab_size = 0;
  Index n_embd = 512;        ///< channels of the embedding and of each direction, which is projected to them
  Index hidden_size = 4096;  ///< units of each layer and direction; more than n_embd
  Index n_layer = 2;
  double dropout = 0.1;                   ///< on the embedding and each layer's output
  double initializer_range = 0.1;         ///< standard deviation of the initial embedding
  Precision precision = Precision::fp32;  ///< of the model's products; an Autocast in scope can make it bf16 too
  std::uint64_t seed = 1337;              ///< of the initial weights and of dropout

  /// Throws ConfigError, naming the field and its value, if no model can have this configuration.
  void validate() const {
    check<ConfigError>(vocab_size > 0, "ElmoConfig", "vocab_size must be positive, got ", vocab_size);
    check<ConfigError>(n_embd > 0 && hidden_size > n_embd, "ElmoConfig",
                       "n_embd must be positive and below hidden_size ", hidden_size, ", got ", n_embd);
    check<ConfigError>(n_layer > 0, "ElmoConfig", "n_layer must be positive, got ", n_layer);
    check<ConfigError>(dropout >= 0 && dropout < 1, "ElmoConfig", "dropout must be at least 0 and below 1, got ",
                       dropout);
  }
};

/// Two language models that share the token embedding, which is also their output head: tokens in place of the
/// original's characters. Each layer after the first adds its input. Copies are handles on the same weights.
template <class T>
struct Elmo {
  using value_type = T;

  ElmoConfig config;
  std::shared_ptr<TrainingMode> mode;
  Embedding<T> wte;  // tokens (V, C); also the output head
  Dropout<T> drop;
  std::vector<LSTMDirection<T>> forward, reverse;  // per layer

  /// Makes a model with an embedding ~ N(0, initializer_range^2) and LSTMs as PyTorch starts them; all are a function
  /// of config.seed alone. Throws ConfigError as ElmoConfig::validate does.
  explicit Elmo(const ElmoConfig& options)
      : config((options.validate(), options)),
        mode(std::make_shared<TrainingMode>(TrainingMode{true, Generator(config.seed, RandomUse::dropout)})),
        drop{config.dropout, mode} {
    Generator generator(config.seed, RandomUse::weights);
    wte = Embedding<T>(config.vocab_size, config.n_embd, Init::normal(config.initializer_range), generator);
    LSTM<T> layers({.input_size = config.n_embd,
                    .hidden_size = config.hidden_size,
                    .num_layers = config.n_layer,
                    .proj_size = config.n_embd},
                   drop, generator);
    forward = layers.forward;
    reverse = LSTM<T>(layers.options, drop, generator).forward;
  }

  void visit(auto&& f) {
    f("wte", wte);
    f("forward", forward);
    f("reverse", reverse);
  }
  /// Switches to training: dropout is in force.
  void train() { mode->training = true; }
  /// Switches to evaluation: no dropout.
  void eval() { mode->training = false; }

  /// Computes the features of all layers: the embedding, twice, then both directions of each layer. tokens: (B, T),
  /// lengths: (B), the tokens before each sequence's padding; undefined: T. Returns n_layer + 1 tensors (B, T, 2C).
  std::vector<Tensor<T>> features(const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths = {}) const {
    const Tensor<T> x = embedded(tokens);
    std::vector<Tensor<T>> layers{concat<T>({x, x}, 2)};
    for (const auto& [left, right] : run(x, x, lengths)) layers.push_back(concat<T>({left, right}, 2));
    return layers;
  }

  /// Computes the mean of both language models' losses, so that both see the same tokens: -log P(target) from the
  /// tokens up to its left neighbor, and -log P(token) from the targets to its right. tokens and targets: (B, T), where
  /// targets are the tokens moved by one, as data::TokenBatches gives them. Returns a scalar. Throws ShapeError if they
  /// do not fit, IndexError for a token outside the vocabulary.
  Tensor<T> loss(const Tensor<TokenId>& tokens, const Tensor<TokenId>& targets) const {
    check<ShapeError>(tokens.shape() == targets.shape(), "Elmo", "tokens ", tokens.shape(), " and targets ",
                      targets.shape(), " must have one shape");
    const Autocast scope(precision());
    // Named, so that the masks of dropout are drawn in one order with every compiler.
    const Tensor<T> from_left = embedded(tokens), from_right = embedded(targets);
    const Layer last = run(from_left, from_right, {}).back();
    const Tensor<T> left = drop(last.left), right = drop(last.right);
    return (linear_cross_entropy(left, wte.weight, targets) + linear_cross_entropy(right, wte.weight, tokens)) * T(0.5);
  }

 private:
  struct Layer {
    Tensor<T> left, right;  // (B, T, C) each
  };
  Precision precision() const { return config.precision == Precision::bf16 ? Precision::bf16 : autocast_precision(); }
  Tensor<T> embedded(const Tensor<TokenId>& tokens) const {
    check<ShapeError>(tokens.rank() == 2, "Elmo", "tokens must be (B, T), got ", tokens.shape());
    return drop(wte(tokens));
  }
  // Runs both stacks side by side.
  std::vector<Layer> run(Tensor<T> left, Tensor<T> right, const Tensor<std::int32_t>& lengths) const {
    const Autocast scope(precision());
    std::vector<Layer> layers;
    for (std::size_t layer = 0; layer < forward.size(); ++layer) {
      if (layer > 0) left = drop(left), right = drop(right);
      const std::vector<LstmOutput<T>> results =
          lstm<T>({{left, forward[layer].weights}, {right, reverse[layer].weights, TimeOrder::reverse}}, lengths);
      left = layer == 0 ? results[0].y : results[0].y + left;
      right = layer == 0 ? results[1].y : results[1].y + right;
      layers.push_back({left, right});
    }
    return layers;
  }
};

GPTLITE_COMPILED_STRUCT(Elmo)

}  // namespace gptlite::inline GPTLITE_ABI
