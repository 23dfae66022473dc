#pragma once
// generate: continues a text, token by token.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/generate/sampler.hpp"
#include "gptlite/models/gpt.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct GenerateOptions {
  Index max_new_tokens = 100;
  double temperature = 1;  ///< 0 is greedy; see SamplerOptions for this and the next two
  Index top_k = 0;
  double top_p = 1;
  std::uint64_t seed = 1337;
};

/// The prompt and max_new_tokens tokens after it, each drawn given the last block_size tokens before. The model is put
/// back into its mode afterwards. Throws DataError for an empty prompt, IndexError for a token outside the vocabulary.
template <class T>
std::vector<TokenId> generate(const GPT<T>& model, std::vector<TokenId> tokens, GenerateOptions options = {}) {
  check<DataError>(!tokens.empty(), "generate", "the prompt is empty: give at least one token");
  check<ConfigError>(options.max_new_tokens >= 0, "generate", "max_new_tokens must be 0 or positive, got ",
                     options.max_new_tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    check<IndexError>(tokens[i] >= 0 && tokens[i] < model.config.vocab_size, "generate", "token ", tokens[i],
                      " at position ", i, " is outside the vocabulary of ", model.config.vocab_size);
  Sampler sampler({options.temperature, options.top_k, options.top_p, options.seed});
  const NoGrad no_grad;
  const EvalMode eval(*model.mode);
  for (Index n = 0; n < options.max_new_tokens; ++n) {
    const Index length = std::min(static_cast<Index>(tokens.size()), model.config.block_size);
    Tensor<TokenId> context = Tensor<TokenId>::empty({1, length});
    std::copy(tokens.end() - length, tokens.end(), context.data());
    const Tensor<T> last = slice(model.hidden(context), 1, length - 1, length);  // (1, 1, C)
    const Tensor<T> scores = model.head(last);                                   // (1, 1, V)
    tokens.push_back(sampler(scores.data(), model.config.vocab_size));
  }
  return tokens;
}

}  // namespace gptlite::inline GPTLITE_ABI
