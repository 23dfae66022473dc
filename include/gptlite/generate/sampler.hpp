#pragma once
// Sampler: picks the next token from its scores.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct SamplerOptions {
  double temperature = 1;  ///< divides the scores; 0 takes the likeliest token always (greedy)
  Index top_k = 0;         ///< only the k likeliest tokens; 0: all
  double top_p = 1;        ///< only the likeliest tokens whose probabilities sum up to p (Holtzman et al. 2020)
  std::uint64_t seed = 1337;
};

class Sampler {
 public:
  /// Throws ConfigError for a negative temperature or top_k, or top_p outside 0..1.
  explicit Sampler(SamplerOptions options) : options_(options), generator_(options.seed, RandomUse::sampling) {
    check<ConfigError>(options.temperature >= 0, "Sampler", "temperature must be 0 or positive, got ",
                       options.temperature);
    check<ConfigError>(options.top_k >= 0, "Sampler", "top_k must be 0 (all) or positive, got ", options.top_k);
    check<ConfigError>(options.top_p > 0 && options.top_p <= 1, "Sampler", "top_p must be above 0 and at most 1, got ",
                       options.top_p);
  }

  /// A token drawn from softmax(logits / temperature), cut to top_k and top_p. Equal scores: the lower token first.
  /// Throws DataError if a score is not a number.
  template <class T>
  TokenId operator()(const T* logits, Index vocabulary) {
    for (Index i = 0; i < vocabulary; ++i)
      check<DataError>(!is_nan(logits[i]), "Sampler", "the score of token ", i,
                       " is not a number: has the model diverged?");
    std::vector<TokenId> tokens(static_cast<std::size_t>(vocabulary));
    std::iota(tokens.begin(), tokens.end(), 0);
    const auto likelier = [&](TokenId a, TokenId b) {
      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    };
    if (options_.temperature == 0) return *std::min_element(tokens.begin(), tokens.end(), likelier);

    if (options_.top_k > 0 && options_.top_k < vocabulary) {
      std::partial_sort(tokens.begin(), tokens.begin() + options_.top_k, tokens.end(), likelier);
      tokens.resize(static_cast<std::size_t>(options_.top_k));
    } else if (options_.top_p < 1) {
      std::sort(tokens.begin(), tokens.end(), likelier);
    }
    const double largest = static_cast<double>(logits[*std::min_element(tokens.begin(), tokens.end(), likelier)]);
    std::vector<double> weights;
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
    double left = generator_.uniform() * total;
    std::size_t choice = 0;
    while (choice + 1 < weights.size() && left >= weights[choice]) left -= weights[choice++];
    return tokens[choice];
  }

 private:
  SamplerOptions options_;
  Generator generator_;
};

}  // namespace gptlite::inline GPTLITE_ABI
