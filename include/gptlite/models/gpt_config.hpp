#pragma once
// GPTConfig: the sizes and options of a GPT, with the published presets.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/precision.hpp"
#include "gptlite/core/shape.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/activations.hpp"
#include "gptlite/models/norm_order.hpp"
#include "gptlite/nn/norm_type.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Ids of the tokens that begin a text, end it and pad a batch.
struct SpecialTokens {
  std::optional<TokenId> bos = std::nullopt;
  std::vector<TokenId> eos = {};  ///< generation ends with any of them
  std::optional<TokenId> pad = std::nullopt;

  bool is_eos(TokenId token) const { return std::find(eos.begin(), eos.end(), token) != eos.end(); }
  bool operator==(const SpecialTokens&) const = default;
};

/// Sizes and options of a GPT.
struct GPTConfig {
  Index vocab_size = 0;
  Index block_size = 512;  ///< longest sequence: number of positions
  Index n_layer = 12;
  Index n_head = 12;
  Index n_embd = 768;                             ///< channels; a multiple of n_head
  Index n_inner = 0;                              ///< channels inside the MLP; 0: 4 n_embd
  Activation activation = Activation::gelu_tanh;  ///< of the MLP
  double dropout = 0;                             ///< on embeddings, attention weights and residuals
  Index window = 0;                               ///< k of L1's context window; 0: all earlier positions
  NormOrder norm_order = NormOrder::post;
  bool scale_attn_weights = true;                ///< divide the scores q k^T by sqrt(n_embd / n_head)
  bool scale_attn_by_inverse_layer_idx = false;  ///< and by the layer's number, from 1 (Mistral's GPT-2)
  bool tie_word_embeddings = true;               ///< the output head is the token embedding, not a matrix of its own
  Precision precision = Precision::fp32;         ///< of the model's products; an Autocast in scope can make it bf16 too
  double layer_norm_epsilon = 1e-5;
  double initializer_range = 0.02;  ///< standard deviation of the initial weights
  /// Standard deviation of the initial projections back to the residual stream. 0: initializer_range, with
  /// NormOrder::pre divided by sqrt(2 n_layer), as in GPT-2.
  double residual_initializer_range = 0;
  std::uint64_t seed = 1337;  ///< of the initial weights and of dropout
  /// Trains as the code released with GPT-1 does where it differs from the paper. Dropout masks the embedding matrices
  /// instead of their sum, so the tied head is masked too. The loss's softmax covers the vocabulary and the position
  /// rows. A TaskModel's head drops the same channels for all answers of an example.
  bool openai_exact = false;
  /// What the files of a loaded model say of its tokens. nullopt: nothing is known yet, save_model takes the
  /// tokenizer's end of text.
  std::optional<SpecialTokens> special_tokens = std::nullopt;
  Index unused_rows = 0;  ///< last rows of the vocabulary without a token, which generation never draws

  // Later inventions, off by default: with none of them the model is GPT-1's or GPT-2's. ---------------------------

  bool rotary = false;        ///< rotary positions (Su et al. 2021) in place of learned ones
  double rope_theta = 10000;  ///< base of their angles
  NormType norm_type = NormType::layer_norm;
  bool qk_norm = false;           ///< each head of q and k is divided by its root mean square (Henry et al. 2020)
  Index n_kv_head = 0;            ///< heads of k and v, a divisor of n_head (Ainslie et al. 2023); 0: n_head
  bool gated_mlp = false;         ///< activation(a) b, [a, b] = c_fc(x): SwiGLU with silu (Shazeer 2020)
  bool bias = true;               ///< linears and layer norms have biases
  double logit_softcap = 0;       ///< c: logits become c tanh(logits / c) (Gemma 2); 0: they stay
  bool zero_projections = false;  ///< the projections back to the residual stream start as zeros

  /// GPT-1 (Radford et al. 2018, "Improving language understanding by generative pre-training"): 116,534,784
  /// parameters.
  static GPTConfig gpt1() {
    return {.vocab_size = 40478,
            .block_size = 512,
            .n_layer = 12,
            .n_head = 12,
            .n_embd = 768,
            .dropout = 0.1,
            .norm_order = NormOrder::post};
  }
  /// Smallest GPT-2 (Radford et al. 2019, "Language models are unsupervised multitask learners"): 124,439,808
  /// parameters.
  static GPTConfig gpt2() {
    return {.vocab_size = 50257,
            .block_size = 1024,
            .n_layer = 12,
            .n_head = 12,
            .n_embd = 768,
            .dropout = 0.1,
            .norm_order = NormOrder::pre};
  }

  /// True if none of the later inventions is on, so that transformers' gpt2 or openai-gpt computes the same.
  bool is_published() const { return unpublished_options().empty(); }
  /// Names of the later inventions that are on, for messages: "rotary, qk_norm". zero_projections is none: it is gone
  /// after the first step.
  std::string unpublished_options() const {
    std::string names;
    const auto add = [&](bool on, const char* name) {
      if (on) names.append(names.empty() ? "" : ", ").append(name);
    };
    add(rotary, "rotary");
    add(norm_type != NormType::layer_norm, "rms_norm");
    add(qk_norm, "qk_norm");
    add(n_kv_head != 0 && n_kv_head != n_head, "n_kv_head");
    add(gated_mlp, "gated_mlp");
    add(!bias, "no bias");
    add(logit_softcap != 0, "logit_softcap");
    return names;
  }
  Index kv_heads() const { return n_kv_head != 0 ? n_kv_head : n_head; }
  Index head_size() const { return n_embd / n_head; }
  /// Channels of q, k and v together.
  Index qkv_size() const { return (n_head + 2 * kv_heads()) * head_size(); }
  /// Channels inside the MLP.
  Index inner() const { return n_inner != 0 ? n_inner : 4 * n_embd; }
  /// Factor of the scores q k^T in a layer, counted from 0.
  double attention_scale(Index layer) const {
    const double heads = scale_attn_weights ? std::sqrt(static_cast<double>(n_embd / n_head)) : 1;
    return 1 / (scale_attn_by_inverse_layer_idx ? heads * static_cast<double>(layer + 1) : heads);
  }
  /// Number of scalar parameters of a GPT of this configuration.
  Index parameter_count() const {
    const Index C = n_embd, norm = bias && norm_type == NormType::layer_norm ? 2 * C : C, row = bias ? 1 : 0;
    const auto linear = [&](Index in, Index out) { return (in + row) * out; };
    const Index attention = linear(C, qkv_size()) + linear(C, C);
    const Index mlp = linear(C, gated_mlp ? 2 * inner() : inner()) + linear(inner(), C);
    return (vocab_size * (tie_word_embeddings ? 1 : 2) + (rotary ? 0 : block_size)) * C +
           n_layer * (attention + mlp + 2 * norm) + (norm_order == NormOrder::pre ? norm : 0);
  }

  /// Throws ConfigError, naming the field and its value, if no model can have this configuration.
  void validate() const {
    const auto positive = [](const char* field, Index value) {
      check<ConfigError>(value > 0, "GPTConfig", field, " must be positive, got ", value);
    };
    positive("vocab_size", vocab_size);
    positive("block_size", block_size);
    positive("n_layer", n_layer);
    positive("n_head", n_head);
    positive("n_embd", n_embd);
    check<ConfigError>(n_inner >= 0, "GPTConfig", "n_inner must be 0 (4 n_embd) or positive, got ", n_inner);
    check<ConfigError>(tie_word_embeddings || !openai_exact, "GPTConfig",
                       "openai_exact masks one matrix for tokens and head: it needs tie_word_embeddings");
    check<ConfigError>(n_embd % n_head == 0, "GPTConfig", "n_embd ", n_embd, " is not divisible by n_head ", n_head);
    check<ConfigError>(n_kv_head >= 0 && n_head % kv_heads() == 0, "GPTConfig", "n_kv_head must divide n_head ", n_head,
                       ", got ", n_kv_head);
    check<ConfigError>(!rotary || head_size() % 2 == 0, "GPTConfig", "rotary turns pairs of channels: n_embd / n_head ",
                       "must be even, got ", head_size());
    check<ConfigError>(rope_theta > 0 && is_finite(rope_theta), "GPTConfig", "rope_theta must be positive, got ",
                       rope_theta);
    check<ConfigError>(logit_softcap >= 0 && is_finite(logit_softcap), "GPTConfig",
                       "logit_softcap must be 0 (off) or positive, got ", logit_softcap);
    check<ConfigError>(is_published() || !openai_exact, "GPTConfig", "openai_exact is GPT-1 as released, without ",
                       unpublished_options());
    check<ConfigError>(dropout >= 0 && dropout < 1, "GPTConfig", "dropout must be in 0..1 and below 1, got ", dropout);
    check<ConfigError>(window >= 0, "GPTConfig", "window must be 0 (all) or positive, got ", window);
    check<ConfigError>(unused_rows >= 0 && unused_rows < vocab_size, "GPTConfig",
                       "unused_rows must be in 0..vocab_size ", vocab_size, " and below it, got ", unused_rows);
    check<ConfigError>(layer_norm_epsilon > 0, "GPTConfig", "layer_norm_epsilon must be positive, got ",
                       layer_norm_epsilon);
  }
};

}  // namespace gptlite::inline GPTLITE_ABI
