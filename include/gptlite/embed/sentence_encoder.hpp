#pragma once
// SentenceEncoder: a vector for each text, from a BERT's hidden states, so that texts of similar meaning have nearby
// vectors (Reimers and Gurevych 2019, "Sentence-BERT").

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/core/enum_names.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/kernels/elementwise.hpp"
#include "gptlite/models/bert.hpp"
#include "gptlite/text/tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// How the states of a text's tokens become one vector: their mean, the first one ([CLS]), or the largest number of
/// each channel.
enum class Pooling { mean, cls, max };

constexpr auto enum_names(Pooling) {
  return EnumNames<Pooling, 3>{"pooling", {{{"mean", Pooling::mean}, {"cls", Pooling::cls}, {"max", Pooling::max}}}};
}

/// Options of a SentenceEncoder.
struct SentenceEncoderOptions {
  Index max_length = 0;  ///< longest sequence of tokens, with [CLS] and [SEP]; 0: the model's block_size
  Pooling pooling = Pooling::mean;
  bool normalize = true;         ///< vectors get length 1, so that their dot product is the cosine
  Index tokens_per_pass = 2048;  ///< texts of about the same length run together, up to this many tokens
};

/// A text and how near it is.
struct Neighbor {
  Index index;   ///< row of the vectors
  double score;  ///< dot product with the query's vector
};

/// Encodes texts with a BERT: `SentenceEncoder encoder(model, tokenizer); encoder.encode({"a text", "another"})`. May
/// be used by several threads at once.
template <class T>
class SentenceEncoder {
 public:
  /// Throws ConfigError for options that cannot work, DataError for a tokenizer without [CLS] or [SEP].
  SentenceEncoder(Bert<T> model, text::Tokenizer tokenizer, SentenceEncoderOptions options = {})
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), options_(options) {
    const auto required = [&](std::string_view token) {
      const auto id = tokenizer_.token_to_id(token);
      check<DataError>(id.has_value(), "SentenceEncoder", "the tokenizer has no ", token);
      return *id;
    };
    cls_ = required("[CLS]");
    sep_ = required("[SEP]");
    if (options_.max_length == 0) options_.max_length = model_.config.block_size;
    check<ConfigError>(options_.max_length >= 2 && options_.max_length <= model_.config.block_size, "SentenceEncoder",
                       "max_length must be in 2..", model_.config.block_size, ", the model's block_size, got ",
                       options_.max_length);
    check<ConfigError>(options_.tokens_per_pass > 0, "SentenceEncoder", "tokens_per_pass must be positive, got ",
                       options_.tokens_per_pass);
  }

  const Bert<T>& model() const { return model_; }
  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  const SentenceEncoderOptions& options() const { return options_; }
  /// Number of components of a vector: n_embd.
  Index dimension() const { return model_.config.n_embd; }

  /// Computes a vector for each text, in their order. A longer text is cut at options().max_length tokens. Returns
  /// (texts, dimension()). Throws DataError, with the text's number, for a text that is not UTF-8.
  Tensor<T> encode(const std::vector<std::string>& texts) const {
    std::vector<std::vector<TokenId>> tokens(texts.size());
    parallel_for(static_cast<Index>(texts.size()),
                 [&](Index i) { tokens[static_cast<std::size_t>(i)] = tokens_of(texts, static_cast<std::size_t>(i)); });
    std::vector<std::size_t> order(texts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return tokens[a].size() < tokens[b].size(); });
    Tensor<T> vectors = Tensor<T>::empty({static_cast<Index>(texts.size()), dimension()});
    const NoGrad no_grad;
    const EvalScope no_dropout;
    for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
      for (end = begin + 1; end < order.size(); ++end) {
        const auto longest = static_cast<Index>(tokens[order[end]].size());
        if (static_cast<Index>(end + 1 - begin) * longest > options_.tokens_per_pass) break;
      }
      encode_batch(
          {order.begin() + static_cast<std::ptrdiff_t>(begin), order.begin() + static_cast<std::ptrdiff_t>(end)},
          tokens, vectors);
    }
    return vectors;
  }
  /// Computes the vector of one text. Returns (dimension()).
  Tensor<T> encode_text(const std::string& text) const {
    return encode(std::vector<std::string>{text}).view({dimension()});
  }

 private:
  std::vector<TokenId> tokens_of(const std::vector<std::string>& texts, std::size_t i) const {
    std::vector<TokenId> tokens{cls_};
    try {
      const std::vector<TokenId> own = tokenizer_.encode(texts[i]);
      const auto most = static_cast<std::size_t>(options_.max_length - 2);
      tokens.insert(tokens.end(), own.begin(), own.begin() + static_cast<std::ptrdiff_t>(std::min(own.size(), most)));
    } catch (const DataError& error) {
      raise<DataError>("SentenceEncoder", "text ", i, ": ", error.what());
    }
    tokens.push_back(sep_);
    return tokens;
  }

  /// Runs the texts `rows`, of which the last is the longest, and writes their vectors.
  void encode_batch(const std::vector<std::size_t>& rows, const std::vector<std::vector<TokenId>>& tokens,
                    Tensor<T>& vectors) const {
    const auto B = static_cast<Index>(rows.size()), longest = static_cast<Index>(tokens[rows.back()].size());
    Tensor<TokenId> batch = Tensor<TokenId>::zeros({B, longest});
    Tensor<std::int32_t> lengths = Tensor<std::int32_t>::empty({B});
    for (Index b = 0; b < B; ++b) {
      const std::vector<TokenId>& text = tokens[rows[static_cast<std::size_t>(b)]];
      std::copy(text.begin(), text.end(), batch.data() + b * longest);
      lengths.data()[b] = static_cast<std::int32_t>(text.size());
    }
    // One segment, even if a text has a [SEP] of its own.
    const Tensor<T> hidden = model_.pass(batch, lengths, Tensor<std::int32_t>::zeros(batch.shape()));
    T* const to = vectors.data();
    parallel_for(B, [&](Index b) {
      const auto row = static_cast<Index>(rows[static_cast<std::size_t>(b)]);
      pool(to + row * dimension(), hidden.data() + b * longest * dimension(), lengths.data()[b]);
    });
  }

  /// Pools the states of one text, (length, dimension()), into `vector`.
  void pool(T* vector, const T* states, Index length) const {
    using V = kernels::simd::Vec<T>;
    const Index C = dimension();
    std::copy_n(states, C, vector);
    for (Index t = 1; t < length && options_.pooling != Pooling::cls; ++t) {
      const auto join = [&](auto f) { kernels::simd::transform(vector, C, f, vector, states + t * C); };
      if (options_.pooling == Pooling::mean)
        join([](V sum, V state) { return sum + state; });
      else
        join([](V most, V state) { return kernels::simd::max(most, state); });
    }
    T scale = options_.pooling == Pooling::mean ? T(1) / static_cast<T>(length) : T(1);
    if (options_.normalize) {
      const T squares = kernels::simd::sum_of<T>(
          C, [](V v) { return v * v; }, vector);
      scale = T(1) / std::max(std::sqrt(squares), T(1e-12));
    }
    kernels::simd::transform(
        vector, C, [scale](V v) { return v * scale; }, vector);
  }

  Bert<T> model_;
  text::Tokenizer tokenizer_;
  SentenceEncoderOptions options_;
  TokenId cls_ = 0, sep_ = 0;
};

/// The `count` rows of `vectors` (N, C) with the largest dot products with `query` (C), the largest first; of equal
/// ones the lower row. NaN comes last. Throws ShapeError if the
/// shapes do not fit.
template <class T>
std::vector<Neighbor> nearest(const Tensor<T>& vectors, const Tensor<T>& query, Index count) {
  check<ShapeError>(vectors.rank() == 2 && query.shape() == Shape{vectors.shape()[1]}, "nearest", "vectors ",
                    vectors.shape(), " must be (N, C) and the query (C), got ", query.shape());
  using V = kernels::simd::Vec<T>;
  const Index N = vectors.shape()[0], C = vectors.shape()[1];
  std::vector<Neighbor> all(static_cast<std::size_t>(N));
  parallel_for_ranges(N, 1024, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      all[static_cast<std::size_t>(i)] = {
          i, static_cast<double>(kernels::simd::sum_of<T>(
                 C, [](V a, V b) { return a * b; }, vectors.data() + i * C, query.data()))};
  });
  const auto kept = all.begin() + static_cast<std::ptrdiff_t>(std::clamp<Index>(count, 0, N));
  std::partial_sort(all.begin(), kept, all.end(), [](const Neighbor& a, const Neighbor& b) {
    const bool first = is_nan(a.score), second = is_nan(b.score);
    if (first || second) return first == second ? a.index < b.index : second;
    return a.score != b.score ? a.score > b.score : a.index < b.index;
  });
  all.erase(kept, all.end());
  return all;
}

}  // namespace gptlite::inline GPTLITE_ABI
