#pragma once
// MaskedBatches: a token stream as batches for BERT's pre-training, with tokens to predict and pairs of segments
// (Devlin et al. 2019, section 3.1 and appendix A.2).

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/data/token_batches.hpp"
#include "gptlite/models/bert_pre_training.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace data {

/// Options of MaskedBatches.
struct MaskedBatchesOptions {
  Index batch_size = 12;
  Index block_size = 64;  ///< tokens of a sequence, with [CLS] and [SEP]
  TokenId cls, sep, mask;
  Index vocab_size;  ///< random tokens are drawn from 0..vocab_size - 1; cls, sep and mask may lie beyond
  double mask_probability =
      0.15;  ///< of a token to be chosen: then it is [MASK] in 80%, a random token in 10%, itself in 10%
  bool next_sentence = true;  ///< false: sequences are [CLS] tokens [SEP], and the batch says nothing of the relation
  std::uint64_t seed = 1337;
};

/// Draws batches in epochs over the windows of TokenBatches. A window is cut at random into two segments, which follow
/// each other; in half of the sequences the second one is replaced by tokens from anywhere in the stream:
/// [CLS] a [SEP] b [SEP]. The n-th batch is a function of the seed and n alone.
class MaskedBatches {
 public:
  /// Throws DataError if the stream has no more tokens than a sequence takes from it, ConfigError for sizes,
  /// probabilities or tokens that cannot work.
  MaskedBatches(std::vector<TokenId> tokens, const MaskedBatchesOptions& options)
      : options_(checked(options)),
        windows_(tokens, {.batch_size = options.batch_size, .block_size = content(options), .seed = options.seed}),
        tokens_(std::move(tokens)) {}

  /// The next batch.
  MaskedBatch next() {
    const MaskedBatchesOptions& o = options_;
    Generator batches(o.seed, RandomUse::other);
    batches.set_position(static_cast<std::uint64_t>(windows_.position() / o.batch_size));
    Generator random(batches.fork());
    const Tensor<TokenId> windows = windows_.next().inputs;
    MaskedBatch batch{.tokens = Tensor<TokenId>::empty({o.batch_size, o.block_size}),
                      .targets = Tensor<TokenId>::full({o.batch_size, o.block_size}, ignore_index),
                      .segments = Tensor<std::int32_t>::zeros({o.batch_size, o.block_size})};
    if (o.next_sentence) batch.unrelated = Tensor<std::int32_t>::zeros({o.batch_size});
    bool chosen = false;
    for (Index b = 0; b < o.batch_size; ++b) {
      TokenId* const row = batch.tokens.data() + b * o.block_size;
      lay_out(row, windows.data() + b * content(o), batch, b, random);
      for (Index t = 0; t < o.block_size; ++t)
        if (row[t] != o.cls && row[t] != o.sep && random.uniform() < o.mask_probability) {
          chosen = true;
          choose(row[t], batch.targets.data()[b * o.block_size + t], random);
        }
    }
    if (!chosen) choose(batch.tokens.data()[1], batch.targets.data()[1], random);
    return batch;
  }

  const MaskedBatchesOptions& options() const { return options_; }
  /// Number of windows drawn so far. set_position() with a saved value resumes with the same batches.
  Index position() const { return windows_.position(); }
  void set_position(Index position) { windows_.set_position(position); }
  /// Calls f(name, state) for the state that a checkpoint keeps, as TokenBatches::visit does.
  template <class F>
  void visit(F&& f) {
    windows_.visit(std::forward<F>(f));
  }

 private:
  /// Tokens of a sequence that are the stream's.
  static Index content(const MaskedBatchesOptions& o) { return o.block_size - (o.next_sentence ? 3 : 2); }
  static const MaskedBatchesOptions& checked(const MaskedBatchesOptions& o) {
    check<ConfigError>(o.batch_size > 0 && content(o) >= 2, "MaskedBatches",
                       "batch_size must be positive and block_size ", o.next_sentence ? 5 : 4, " or more, got ",
                       o.batch_size, " and ", o.block_size);
    check<ConfigError>(o.mask_probability > 0 && o.mask_probability < 1, "MaskedBatches",
                       "mask_probability must be above 0 and below 1, got ", o.mask_probability);
    check<ConfigError>(o.vocab_size > 0, "MaskedBatches", "vocab_size must be positive, got ", o.vocab_size);
    for (const TokenId token : {o.cls, o.sep, o.mask})
      check<ConfigError>(token >= 0, "MaskedBatches", "cls, sep and mask must be tokens, got ", token);
    return o;
  }

  /// Writes a sequence with its segments, from a window of the stream.
  void lay_out(TokenId* row, const TokenId* window, MaskedBatch& batch, Index b, Generator& random) const {
    const MaskedBatchesOptions& o = options_;
    const Index n = content(o);
    *row++ = o.cls;
    if (!o.next_sentence) {
      *std::copy_n(window, n, row) = o.sep;
      return;
    }
    // The cut is in the middle half, so that both segments say something.
    const Index first = std::clamp<Index>(n / 4 + random.below(n - n / 2), 1, n - 1), second = n - first;
    const bool unrelated = random.uniform() < 0.5;
    const TokenId* rest = window + first;
    if (unrelated) rest = tokens_.data() + random.below(static_cast<Index>(tokens_.size()) - second + 1);
    row = std::copy_n(window, first, row);
    *row++ = o.sep;
    *std::copy_n(rest, second, row) = o.sep;
    batch.unrelated.data()[b] = unrelated ? 1 : 0;
    std::fill_n(batch.segments.data() + b * o.block_size + first + 2, second + 1, 1);
  }
  /// Makes a token one to be predicted.
  void choose(TokenId& token, TokenId& target, Generator& random) const {
    target = token;
    const double kind = random.uniform();
    if (kind < 0.8)
      token = options_.mask;
    else if (kind < 0.9)
      token = static_cast<TokenId>(random.below(options_.vocab_size));
  }

  MaskedBatchesOptions options_;
  TokenBatches windows_;
  std::vector<TokenId> tokens_;
};

}  // namespace data
}  // namespace gptlite::inline GPTLITE_ABI
