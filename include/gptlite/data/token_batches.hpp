#pragma once
// TokenBatches: batches of windows of a token stream in random order; the target of each token is the one after it.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/core/count.hpp"
#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace data {

/// One batch: targets[b][t] is the token that follows inputs[b][t].
struct Batch {
  Tensor<TokenId> inputs;   // (B, T)
  Tensor<TokenId> targets;  // (B, T)
};

/// Options of TokenBatches.
struct TokenBatchesOptions {
  Index batch_size = 12;
  Index block_size = 64;
  std::uint64_t seed = 1337;
};

/// Draws batches in epochs. Each epoch cuts the stream into windows at a new random offset and visits every window
/// once, in random order. Every token but the first is a target at least once per epoch. The n-th window is a function
/// of the seed and n alone.
class TokenBatches {
 public:
  /// Throws DataError if the stream has no more than block_size tokens: a window needs a last target. Throws
  /// ConfigError for sizes that are not positive.
  TokenBatches(std::vector<TokenId> tokens, TokenBatchesOptions options)
      : tokens_(std::move(tokens)), options_(options) {
    check<ConfigError>(options.batch_size > 0 && options.block_size > 0, "TokenBatches",
                       "batch_size and block_size must be positive, got ", options.batch_size, " and ",
                       options.block_size);
    check<DataError>(size() > options.block_size, "TokenBatches", "dataset has ", size(), " tokens, block size needs ",
                     options.block_size + 1);
  }

  /// The next batch.
  Batch next() {
    const Index B = options_.batch_size, T = options_.block_size;
    Batch batch{Tensor<TokenId>::empty({B, T}), Tensor<TokenId>::empty({B, T})};
    for (Index b = 0; b < B; ++b) {
      const auto start = tokens_.begin() + window(position_++);
      std::copy_n(start, T, batch.inputs.data() + b * T);
      std::copy_n(start + 1, T, batch.targets.data() + b * T);
    }
    return batch;
  }

  /// Number of tokens of the stream.
  Index size() const { return static_cast<Index>(tokens_.size()); }
  /// Number of windows per epoch, enough to reach every token at any offset. The first and the last are moved inwards
  /// where they would stick out of the stream.
  Index windows_per_epoch() const { return (size() - 1 + options_.block_size - 1) / options_.block_size + 1; }
  const TokenBatchesOptions& options() const { return options_; }
  /// Number of windows drawn so far. set_position() with a saved value resumes with the same batches.
  Index position() const { return position_; }
  void set_position(Index position) {
    check<ConfigError>(is_count(position), "TokenBatches", "position must be in 0..2^62, got ", position);
    position_ = position;
  }
  /// Calls f(name, state) for the state that a checkpoint keeps: "position" (std::int64_t&). Throws ConfigError if f
  /// leaves it outside 0..2^62.
  template <class F>
  void visit(F&& f) {
    std::int64_t position = position_;
    f(std::string("position"), position);
    set_position(position);
  }

 private:
  // Position of the first token of the n-th window.
  Index window(Index n) {
    if (const Index epoch = n / windows_per_epoch(); epoch != epoch_) {
      order_.resize(static_cast<std::size_t>(windows_per_epoch()));  // before anything changes: it may throw
      epoch_ = epoch;
      Generator epochs(options_.seed, RandomUse::batches);
      epochs.set_position(static_cast<std::uint64_t>(epoch));
      Generator random(epochs.fork());
      offset_ = random.below(options_.block_size);
      std::iota(order_.begin(), order_.end(), Index{0});
      for (Index i = windows_per_epoch() - 1; i > 0; --i)  // Fisher and Yates
        std::swap(order_[static_cast<std::size_t>(i)], order_[static_cast<std::size_t>(random.below(i + 1))]);
    }
    const Index i = order_[static_cast<std::size_t>(n % windows_per_epoch())];
    return std::clamp<Index>(i * options_.block_size - offset_, 0, size() - 1 - options_.block_size);
  }

  std::vector<TokenId> tokens_;
  TokenBatchesOptions options_;
  Index position_ = 0;
  // The epoch of the last call of window(): where it cuts, and the order of its windows.
  Index epoch_ = -1, offset_ = 0;
  LargeVector<Index> order_;
};

/// Splits a token stream into its first `fraction`, to train on, and the rest, to validate with. Throws ConfigError for
/// a fraction outside 0..1.
inline std::pair<std::vector<TokenId>, std::vector<TokenId>> split(const std::vector<TokenId>& tokens,
                                                                   double fraction) {
  check<ConfigError>(fraction >= 0 && fraction <= 1, "split", "fraction must be in 0..1, got ", fraction);
  const auto cut = tokens.begin() + static_cast<Index>(std::llround(fraction * static_cast<double>(tokens.size())));
  return {memory::copy(tokens.begin(), cut), memory::copy(cut, tokens.end())};
}

}  // namespace data
}  // namespace gptlite::inline GPTLITE_ABI
