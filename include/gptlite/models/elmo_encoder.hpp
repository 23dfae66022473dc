#pragma once
// ElmoEncoder: the task model on ELMo's features: their mix, a BiLSTM, and max-pooling (Peters et al. 2018,
// section 3.3).

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "gptlite/autograd/ops/activations.hpp"
#include "gptlite/autograd/ops/max_pool.hpp"
#include "gptlite/models/elmo.hpp"
#include "gptlite/nn/scalar_mix.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Options of an ElmoEncoder.
struct ElmoEncoderOptions {
  Index hidden_size = 128;  ///< units of each direction of the BiLSTM
  /// Token between the two texts of a pair, a TaskLayout's delimiter. Each text is then encoded by itself, to u and v,
  /// and the summary is [u; v; |u - v|; u v]. nullopt: sequences are one text each, and the summary is u.
  std::optional<TokenId> separator = std::nullopt;
  double dropout = 0.1;  ///< on the features and on what is pooled
  std::uint64_t seed = 1337;
};

/// What a TaskModel asks of its backbone's configuration.
struct ElmoEncoderConfig {
  Index n_embd;  ///< channels of the summary
  double initializer_range;
};

/// A backbone of TaskModel that reads what a TaskLayout lays out: start text extract, or start text delimiter text
/// extract. The layout's tokens are left out. With the Elmo frozen (freeze(model, "backbone.elmo.*")) the features are
/// ELMo's, otherwise they are fine-tuned too.
template <class T>
struct ElmoEncoder {
  using value_type = T;
  static constexpr const char* base_model_prefix = "backbone";

  ElmoEncoderConfig config;
  std::optional<TokenId> separator;
  std::shared_ptr<TrainingMode> mode;  // the Elmo's
  Elmo<T> elmo;
  ScalarMix<T> mix;
  Dropout<T> drop;
  LSTM<T> bilstm;

  /// Puts a BiLSTM on an Elmo, whose weights are shared, not copied. Throws ConfigError as LSTM does.
  ElmoEncoder(Elmo<T> model, const ElmoEncoderOptions& options)
      : ElmoEncoder(std::move(model), options, Generator(options.seed, RandomUse::head)) {}

  void visit(auto&& f) {
    f("elmo", elmo);
    f("mix", mix);
    f("bilstm", bilstm);
  }

  /// States of the texts: of a pair the first texts, then the second ones.
  struct Pass {
    Tensor<T> states;              // (B or 2B, T, 2 hidden_size)
    Tensor<std::int32_t> lengths;  // (B or 2B)
  };
  /// Runs the model. tokens: (B, T), lengths: (B). Throws ShapeError if they do not fit, IndexError for a length
  /// outside 2..T, DataError for a sequence without the separator.
  Pass pass(const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths) const {
    const Texts texts = texts_of(tokens, lengths);
    const Tensor<T> features = drop(mix(elmo.features(texts.tokens, texts.lengths)));
    return {bilstm(features, texts.lengths).y(), texts.lengths};
  }
  /// Pools the states of each sequence. Returns (B, config.n_embd).
  Tensor<T> summary(const Pass& pass, const Tensor<std::int32_t>& /*lengths*/) const {
    const Tensor<T> pooled = max_pool(pass.states, pass.lengths);
    if (!separator) return pooled;
    const Index B = pooled.shape()[0] / 2;
    const Tensor<T> u = slice(pooled, 0, 0, B), v = slice(pooled, 0, B, 2 * B), difference = u - v;
    return concat<T>({u, v, relu(difference) + relu(-difference), u * v}, 1);
  }

 private:
  struct Texts {
    Tensor<TokenId> tokens;
    Tensor<std::int32_t> lengths;
  };
  // The texts of the sequences, without start, delimiter and extract.
  Texts texts_of(const Tensor<TokenId>& tokens, const Tensor<std::int32_t>& lengths) const {
    check<ShapeError>(tokens.rank() == 2 && lengths.shape() == Shape{tokens.shape()[0]}, "ElmoEncoder", "tokens ",
                      tokens.shape(), " must be (B, T), with a length for each sequence, got ", lengths.shape());
    const Index B = tokens.shape()[0], positions = tokens.shape()[1];
    for (Index b = 0; b < B; ++b)
      check<IndexError>(lengths.data()[b] >= 2 && lengths.data()[b] <= positions, "ElmoEncoder", "length ",
                        lengths.data()[b], " of sequence ", b, " is outside 2..", positions);
    std::vector<std::pair<const TokenId*, const TokenId*>> first, second;
    for (Index b = 0; b < B; ++b) {
      const TokenId *const row = tokens.data() + b * positions, *const end = row + lengths.data()[b] - 1;
      if (!separator) {
        first.push_back({row + 1, end});
        continue;
      }
      const TokenId* const middle = std::find(row + 1, end, *separator);
      check<DataError>(middle != end, "ElmoEncoder", "sequence ", b, " has no separator ", *separator);
      first.push_back({row + 1, middle});
      second.push_back({middle + 1, end});
    }
    first.insert(first.end(), second.begin(), second.end());
    Index longest = 1;
    for (const auto& [begin, end] : first) longest = std::max<Index>(longest, end - begin);
    const Index count = static_cast<Index>(first.size());
    Texts texts{Tensor<TokenId>::zeros({count, longest}), Tensor<std::int32_t>::empty({count})};
    for (Index i = 0; i < count; ++i) {
      const auto [begin, end] = first[static_cast<std::size_t>(i)];
      std::copy(begin, end, texts.tokens.data() + i * longest);
      texts.lengths.data()[i] = static_cast<std::int32_t>(end - begin);
    }
    return texts;
  }
  ElmoEncoder(Elmo<T> model, const ElmoEncoderOptions& options, Generator generator)
      : config{2 * options.hidden_size * (options.separator ? 4 : 1), 0.02},
        separator(options.separator),
        mode(model.mode),
        elmo(std::move(model)),
        mix(elmo.config.n_layer + 1),
        drop{options.dropout, mode},
        bilstm({.input_size = 2 * elmo.config.n_embd, .hidden_size = options.hidden_size, .bidirectional = true}, drop,
               generator) {
    check<ConfigError>(options.dropout >= 0 && options.dropout < 1, "ElmoEncoder",
                       "dropout must be at least 0 and below 1, got ", options.dropout);
  }
};

}  // namespace gptlite::inline GPTLITE_ABI
