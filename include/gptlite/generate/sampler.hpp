#pragma once
// Sampler: draws the next token from its logits.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/simd/math.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Options of a Sampler.
struct SamplerOptions {
  double temperature = 1;  ///< divides the logits; 0 always takes the token with the largest one (greedy)
  Index top_k = 0;         ///< keep the k tokens with the largest logits; 0: all
  double top_p = 1;  ///< keep the likeliest tokens whose probabilities add up to p (nucleus, Holtzman et al. 2020)
  double min_p = 0;  ///< keep tokens with probability >= min_p * the largest probability (Nguyen et al. 2024)
  /// Above 1: a token that the sequence already has becomes less likely. Its logit is divided by the penalty if it is
  /// positive and multiplied if it is negative (Keskar et al. 2019).
  double repetition_penalty = 1;
  std::uint64_t seed = 1337;
};

/// Draws tokens from their logits.
class Sampler {
 public:
  /// Throws ConfigError for a negative temperature or top_k, top_p or min_p outside 0..1, top_p 0, or a penalty not
  /// above 0.
  explicit Sampler(SamplerOptions options) : options_(options), generator_(options.seed, RandomUse::sampling) {
    check<ConfigError>(options.temperature >= 0, "Sampler", "temperature must be 0 or positive, got ",
                       options.temperature);
    check<ConfigError>(options.top_k >= 0, "Sampler", "top_k must be 0 (all) or positive, got ", options.top_k);
    check<ConfigError>(options.top_p > 0 && options.top_p <= 1, "Sampler", "top_p must be above 0 and at most 1, got ",
                       options.top_p);
    check<ConfigError>(options.min_p >= 0 && options.min_p <= 1, "Sampler", "min_p must be in 0..1, got ",
                       options.min_p);
    check<ConfigError>(options.repetition_penalty > 0, "Sampler", "repetition_penalty must be positive, got ",
                       options.repetition_penalty);
  }

  /// Draws a token from softmax(logits / temperature), cut to top_k, then top_p, then min_p. logits: (vocabulary).
  /// sequence: the tokens so far, to which the repetition penalty applies. Among equal logits the cuts keep the lower
  /// token. Throws DataError if a logit is not a number.
  template <class T>
  TokenId operator()(const T* logits, Index vocabulary, std::span<const TokenId> sequence = {}) {
    const auto not_a_number = [](T logit) { return is_nan(logit); };
    if (std::count_if(logits, logits + vocabulary, not_a_number) > 0)
      raise<DataError>("Sampler", "the logit of token ",
                       std::find_if(logits, logits + vocabulary, not_a_number) - logits,
                       " is not a number: has the model diverged?");
    LargeVector<T> changed;
    if (options_.repetition_penalty != 1) {
      changed = penalised(logits, vocabulary, sequence);
      logits = changed.data();
    }
    const T largest = kernels::simd::max_of(vocabulary, logits);
    return options_.temperature == 0 ? static_cast<TokenId>(std::find(logits, logits + vocabulary, largest) - logits)
                                     : draw(logits, vocabulary, static_cast<double>(largest));
  }

 private:
  template <class T>
  LargeVector<T> penalised(const T* logits, Index vocabulary, std::span<const TokenId> sequence) const {
    LargeVector<T> changed(logits, logits + vocabulary);
    const T penalty = static_cast<T>(options_.repetition_penalty);
    for (const TokenId token : sequence) {  // from the unchanged logit: penalized once, however often a token occurs
      const T logit = logits[token];
      changed[static_cast<std::size_t>(token)] = logit > 0 ? logit / penalty : logit * penalty;
    }
    return changed;
  }

  template <class T>
  TokenId draw(const T* logits, Index vocabulary, double largest) {
    using V = kernels::simd::Vec<double>;
    const double temperature = options_.temperature;
    LargeVector<double> weights(logits, logits + vocabulary);  // probabilities relative to the largest
    kernels::simd::transform(
        weights.data(), vocabulary,
        [=](V logit) { return kernels::simd::exp_nonpositive((logit - largest) / V::broadcast(temperature)); },
        weights.data());
    const auto weight = [&](TokenId token) { return weights[static_cast<std::size_t>(token)]; };
    const auto likelier = [&](TokenId a, TokenId b) {
      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    };
    LargeVector<TokenId> tokens(static_cast<std::size_t>(vocabulary));
    std::iota(tokens.begin(), tokens.end(), 0);
    if (options_.top_k > 0 && options_.top_k < vocabulary) {
      std::partial_sort(tokens.begin(), tokens.begin() + options_.top_k, tokens.end(), likelier);
      tokens.resize(static_cast<std::size_t>(options_.top_k));
    }
    if (options_.top_p < 1) {
      const double total = std::accumulate(tokens.begin(), tokens.end(), 0.0,
                                           [&](double sum, TokenId token) { return sum + weight(token); });
      // All tokens below (1 - p) / n of the total have less than 1 - p of it together: they need not be sorted.
      const double least = (1 - options_.top_p) * total / static_cast<double>(tokens.size());
      std::erase_if(tokens, [&](TokenId token) { return weight(token) < least; });
      std::sort(tokens.begin(), tokens.end(), likelier);
      double kept = 0;
      std::size_t count = 0;
      while (count < tokens.size() && kept < options_.top_p * total) kept += weight(tokens[count++]);
      tokens.resize(std::max<std::size_t>(count, 1));
    }
    std::erase_if(tokens, [&](TokenId token) { return weight(token) < options_.min_p || weight(token) == 0; });
    if (!std::is_sorted(tokens.begin(), tokens.end())) std::sort(tokens.begin(), tokens.end());
    return race(tokens, weights);
  }

  /// Returns the token with the smallest E / weight, where each token of the vocabulary has its own exponential random
  /// number E. Each token wins with the probability of its weight (equivalent to the Gumbel-max trick). Slightly
  /// different logits, such as a draft's, nearly always lead to the same token. tokens: ascending.
  TokenId race(const LargeVector<TokenId>& tokens, const LargeVector<double>& weights) {
    constexpr TokenId block = 64;
    std::array<std::uint32_t, 2 * block> words;
    const RandomStream stream = generator_.fork();
    TokenId begin = -block, first = tokens.front();  // words belong to the tokens from `begin` on
    double largest = 0;                              // weight / E
    for (const TokenId token : tokens) {
      if (token >= begin + block) {
        begin = token / block * block;
        random_bits(stream, 2 * Index{begin}, 2 * block, words.data());
      }
      const double weight = weights[static_cast<std::size_t>(token)];
      const auto at = 2 * static_cast<std::size_t>(token - begin);
      const std::uint64_t bits = std::uint64_t{words[at]} << 20 | words[at + 1] >> 12;
      const double uniform = static_cast<double>(bits) * 0x1p-52 + 0x1p-53;  // in (0, 1)
      if (uniform * largest >= weight) continue;                             // E is larger: no logarithm is needed
      const double speed = weight / -std::log1p(-uniform);
      if (speed > largest) {
        largest = speed;
        first = token;
      }
    }
    return first;
  }

  SamplerOptions options_;
  Generator generator_;
};

}  // namespace gptlite::inline GPTLITE_ABI
