#pragma once
// Sampler: picks the next token from its scores.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct SamplerOptions {
  double temperature = 1;  ///< divides the scores; 0 takes the likeliest token always (greedy)
  Index top_k = 0;         ///< only the k likeliest tokens; 0: all
  double top_p = 1;        ///< only the likeliest tokens whose probabilities sum up to p (Holtzman et al. 2020)
  double min_p = 0;        ///< only tokens at least so many times as likely as the likeliest (Nguyen et al. 2024)
  /// Above 1: a token that the text has already becomes less likely. Its score is divided by the penalty, or multiplied
  /// if it is negative (Keskar et al. 2019).
  double repetition_penalty = 1;
  std::uint64_t seed = 1337;
};

class Sampler {
 public:
  /// Throws ConfigError for a negative temperature or top_k, top_p or min_p outside 0..1, or a penalty not above 0.
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

  /// A token drawn from softmax(logits / temperature), cut to top_k, then top_p, then min_p. `text` is what the
  /// repetition penalty counts: the tokens so far. Equal scores: the lower token first. Throws DataError if a score is
  /// not a number.
  template <class T>
  TokenId operator()(const T* logits, Index vocabulary, std::span<const TokenId> text = {}) {
    for (Index i = 0; i < vocabulary; ++i)
      check<DataError>(!is_nan(logits[i]), "Sampler", "the score of token ", i,
                       " is not a number: has the model diverged?");
    std::vector<T> changed;
    if (options_.repetition_penalty != 1) {
      changed = penalised(logits, vocabulary, text);
      logits = changed.data();
    }
    const TokenId likeliest = static_cast<TokenId>(std::max_element(logits, logits + vocabulary) - logits);
    return options_.temperature == 0 ? likeliest : draw(logits, vocabulary, likeliest);
  }

 private:
  template <class T>
  std::vector<T> penalised(const T* logits, Index vocabulary, std::span<const TokenId> text) const {
    std::vector<T> scores(logits, logits + vocabulary);
    const T penalty = static_cast<T>(options_.repetition_penalty);
    for (const TokenId token : text) {  // from the unchanged score: however often a token occurs, it is penalised once
      const T score = logits[token];
      scores[static_cast<std::size_t>(token)] = score > 0 ? score / penalty : score * penalty;
    }
    return scores;
  }

  template <class T>
  TokenId draw(const T* logits, Index vocabulary, TokenId likeliest) {
    std::vector<TokenId> tokens(static_cast<std::size_t>(vocabulary));
    std::iota(tokens.begin(), tokens.end(), 0);
    const auto likelier = [&](TokenId a, TokenId b) {
      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    };
    if (options_.top_k > 0 && options_.top_k < vocabulary) {
      std::partial_sort(tokens.begin(), tokens.begin() + options_.top_k, tokens.end(), likelier);
      tokens.resize(static_cast<std::size_t>(options_.top_k));
    } else if (options_.top_p < 1) {
      std::sort(tokens.begin(), tokens.end(), likelier);
    }
    const double largest = static_cast<double>(logits[likeliest]);
    std::vector<double> weights;  // probabilities, as parts of the largest
    for (const TokenId token : tokens)
      weights.push_back(std::exp((static_cast<double>(logits[token]) - largest) / options_.temperature));
    double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    if (options_.top_p < 1) {
      double kept = 0;
      std::size_t count = 0;
      while (count < weights.size() && kept < options_.top_p * total) kept += weights[count++];
      weights.resize(count);
      total = kept;
    }
    for (double& weight : weights)
      if (weight < options_.min_p) {
        total -= weight;
        weight = 0;
      }
    double left = generator_.uniform() * total;
    std::size_t choice = weights.size();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] == 0) continue;
      choice = i;  // rounding may leave a little after the last one
      if (left < weights[i]) break;
      left -= weights[i];
    }
    return tokens[choice];
  }

  SamplerOptions options_;
  Generator generator_;
};

}  // namespace gptlite::inline GPTLITE_ABI
