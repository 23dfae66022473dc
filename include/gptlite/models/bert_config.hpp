#pragma once
// BertConfig: the sizes and options of a BERT.

#include <cstdint>
#include <optional>

#include "gptlite/core/precision.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/activations.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Sizes and options of a BERT.
struct BertConfig {
  Index vocab_size = 0;
  Index block_size = 512;  ///< longest sequence: number of positions
  Index n_layer = 12;
  Index n_head = 12;
  Index n_embd = 768;                            ///< channels; a multiple of n_head
  Index n_inner = 0;                             ///< channels inside the MLP; 0: 4 n_embd
  Index type_vocab_size = 2;                     ///< kinds of segments
  Activation activation = Activation::gelu_erf;  ///< of the MLP and the masked language model's head
  double dropout = 0;                            ///< on embeddings, attention weights and residuals
  double layer_norm_epsilon = 1e-12;
  double initializer_range = 0.02;        ///< standard deviation of the initial weights
  Precision precision = Precision::fp32;  ///< of the model's products; an Autocast in scope can make it bf16 too
  std::uint64_t seed = 1337;              ///< of the initial weights and of dropout
  bool pooler = true;                     ///< has the layer on the first token, which next-sentence prediction trains
  /// Token that ends a segment, [SEP]: with it the tokens after the first one are of segment 1, unless pass() is told
  /// otherwise. nullopt: all are of segment 0.
  std::optional<TokenId> separator = std::nullopt;

  /// BERT base (Devlin et al. 2019, "BERT: Pre-training of deep bidirectional transformers"), uncased: 109,482,240
  /// parameters.
  static BertConfig base() { return {.vocab_size = 30522, .dropout = 0.1, .separator = 102}; }

  /// Channels inside the MLP.
  Index inner() const { return n_inner != 0 ? n_inner : 4 * n_embd; }
  /// Number of scalar parameters of a Bert of this configuration, without the heads of pre-training.
  Index parameter_count() const {
    const Index C = n_embd, norm = 2 * C;
    const Index attention = C * 3 * C + 3 * C + C * C + C, mlp = C * inner() + inner() + inner() * C + C;
    return (vocab_size + block_size + type_vocab_size) * C + norm + n_layer * (attention + mlp + 2 * norm) +
           (pooler ? C * C + C : 0);
  }

  /// Throws ConfigError, naming the field and its value, if no model can have this configuration.
  void validate() const {
    const auto positive = [](const char* field, Index value) {
      check<ConfigError>(value > 0, "BertConfig", field, " must be positive, got ", value);
    };
    positive("vocab_size", vocab_size);
    positive("block_size", block_size);
    positive("n_layer", n_layer);
    positive("n_head", n_head);
    positive("n_embd", n_embd);
    positive("type_vocab_size", type_vocab_size);
    check<ConfigError>(n_inner >= 0, "BertConfig", "n_inner must be 0 (4 n_embd) or positive, got ", n_inner);
    check<ConfigError>(n_embd % n_head == 0, "BertConfig", "n_embd ", n_embd, " is not divisible by n_head ", n_head);
    check<ConfigError>(dropout >= 0 && dropout < 1, "BertConfig", "dropout must be at least 0 and below 1, got ",
                       dropout);
    check<ConfigError>(layer_norm_epsilon > 0, "BertConfig", "layer_norm_epsilon must be positive, got ",
                       layer_norm_epsilon);
    check<ConfigError>(!separator || type_vocab_size >= 2, "BertConfig",
                       "a separator needs type_vocab_size 2 or more, got ", type_vocab_size);
  }
};

}  // namespace gptlite::inline GPTLITE_ABI
