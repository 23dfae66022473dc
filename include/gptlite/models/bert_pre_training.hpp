#pragma once
// BertPreTraining: a Bert with the heads of its two pre-training tasks, the masked language model and the prediction of
// the next sentence (Devlin et al. 2019, section 3.1).

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "gptlite/autograd/ops/matmul.hpp"
#include "gptlite/models/bert.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Batch of BERT's pre-training: sequences with some tokens replaced, and what they were.
struct MaskedBatch {
  Tensor<TokenId> tokens;               // (B, T)
  Tensor<TokenId> targets;              // (B, T): the token that was there; ignore_index where none was chosen
  Tensor<std::int32_t> lengths = {};    // (B): tokens before the padding; undefined: T
  Tensor<std::int32_t> segments = {};   // (B, T); undefined: as the model's separator says
  Tensor<std::int32_t> unrelated = {};  // (B): 0 if the second segment follows the first, 1 if not; undefined: unknown
};

/// Losses of a batch: scalars, to be minimized.
template <class T>
struct BertLosses {
  Tensor<T> mlm;    ///< mean of -log P(token) over the chosen positions
  Tensor<T> nsp;    ///< mean of -log P(unrelated or not); undefined if that is unknown
  Tensor<T> total;  ///< their sum
};

/// A Bert with both heads. The output matrix of the masked language model is the token embedding. Copies are handles on
/// the same weights.
template <class T>
struct BertPreTraining {
  using value_type = T;

  Bert<T> bert;
  std::shared_ptr<TrainingMode> mode;  // the encoder's
  Linear<T> transform;                 // (C, C), with the activation of the config
  LayerNorm<T> ln;                     // after transform
  Tensor<T> bias;                      // (V), of the logits
  Linear<T> seq_relationship;          // (C, 2), on the pooled state

  /// Puts new heads on a Bert, whose weights are shared, not copied. The heads' weights ~ N(0, initializer_range^2), a
  /// function of the config's seed alone. Throws ConfigError for a Bert without a pooler.
  explicit BertPreTraining(Bert<T> model)
      : BertPreTraining(model, Init::normal(model.config.initializer_range),
                        Generator(model.config.seed, RandomUse::head)) {}
  /// Puts heads with weights drawn as `init` says on a Bert: Init::none() for weights that a file replaces.
  BertPreTraining(Bert<T> model, Init init)
      : BertPreTraining(model, init, Generator(model.config.seed, RandomUse::head)) {}

  void visit(auto&& f) {
    f("bert", bert);
    f("transform", transform);
    f("ln", ln);
    f("bias", bias);
    f("seq_relationship", seq_relationship);
  }
  /// Switches to training: dropout is in force.
  void train() { mode->training = true; }
  /// Switches to evaluation: no dropout.
  void eval() { mode->training = false; }

  /// Computes the logits of every token of the vocabulary. hidden: (..., C). Returns (..., V).
  Tensor<T> logits(const Tensor<T>& hidden) const {
    const Autocast scope(bert.precision());
    return matmul(ln(transform(hidden, bert.config.activation)), bert.wte.weight, {.transpose_b = true}) + bias;
  }
  /// Computes the logits of "follows" and "unrelated". hidden: (B, T, C). Returns (B, 2).
  Tensor<T> relation_logits(const Tensor<T>& hidden) const {
    const Autocast scope(bert.precision());
    return seq_relationship(bert.pooled(hidden));
  }

  /// Computes both losses in one pass. Throws ShapeError and IndexError as Bert::pass does, and DataError for a batch
  /// in which no token was chosen.
  BertLosses<T> losses(const MaskedBatch& batch) const {
    check<ShapeError>(batch.targets.shape() == batch.tokens.shape(), "BertPreTraining", "targets must be ",
                      batch.tokens.shape(), " as the tokens are, got ", batch.targets.shape());
    const Tensor<T> hidden = bert.pass(batch.tokens, batch.lengths, batch.segments);
    // The product with the vocabulary is most of the work: it is done for the chosen tokens alone.
    std::vector<std::int32_t> rows, targets;
    for (Index i = 0; i < batch.targets.numel(); ++i) {
      if (batch.targets.data()[i] == ignore_index) continue;
      rows.push_back(static_cast<std::int32_t>(i));
      targets.push_back(batch.targets.data()[i]);
    }
    check<DataError>(!rows.empty(), "BertPreTraining", "no token of the batch was chosen to be predicted");
    const Tensor<T> chosen = gather_rows(reshape(hidden, {hidden.shape()[0] * hidden.shape()[1], hidden.shape()[2]}),
                                         Tensor<std::int32_t>::from(rows));
    BertLosses<T> losses;
    losses.mlm = cross_entropy(logits(chosen), Tensor<TokenId>::from(targets));
    losses.total = losses.mlm;
    if (batch.unrelated.defined()) {
      losses.nsp = cross_entropy(relation_logits(hidden), batch.unrelated);
      losses.total = losses.mlm + losses.nsp;
    }
    return losses;
  }
  /// Computes the sum of both losses. Returns a scalar. Throws as losses() does.
  Tensor<T> loss(const MaskedBatch& batch) const { return losses(batch).total; }

 private:
  BertPreTraining(Bert<T> model, Init init, Generator generator)
      : bert(std::move(model)),
        mode(bert.mode),
        transform(bert.config.n_embd, bert.config.n_embd, init, generator),
        ln(bert.config.n_embd, bert.config.layer_norm_epsilon),
        bias(Tensor<T>::zeros({bert.config.vocab_size}).set_requires_grad()),
        seq_relationship(bert.config.n_embd, 2, init, generator) {
    check<ConfigError>(bert.config.pooler, "BertPreTraining", "needs a Bert with a pooler");
  }
};

GPTLITE_COMPILED_STRUCT(BertPreTraining)

}  // namespace gptlite::inline GPTLITE_ABI
