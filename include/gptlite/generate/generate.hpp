#pragma once
// generate: continues sequences of tokens until all have ended.

#include <utility>
#include <vector>

#include "gptlite/generate/session.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Continues all prompts side by side, each by up to max_new_tokens tokens, and returns the prompts with their new
/// tokens. Resets the sequences of `decoder`, whose batch must be the number of prompts. Throws ShapeError if it is
/// not, DataError for an empty prompt, IndexError for a token outside the vocabulary, ConfigError for an option that
/// cannot work.
template <class T>
std::vector<std::vector<TokenId>> generate(Decoder<T>& decoder, std::vector<std::vector<TokenId>> prompts,
                                           const GenerateOptions& options = {}) {
  check<ShapeError>(static_cast<Index>(prompts.size()) == decoder.batch(), "generate", prompts.size(),
                    " prompts given, the decoder's batch is ", decoder.batch());
  GenerationSession<T> session(decoder, {.prompt_tokens_per_step = 0});
  GenerateOptions own = options;
  for (std::size_t i = 0; i < prompts.size(); ++i, ++own.seed)
    session.start_in(static_cast<Index>(i), std::move(prompts[i]), own);
  while (session.running() > 0) session.step();
  for (std::size_t i = 0; i < prompts.size(); ++i) prompts[i] = session.tokens(static_cast<Index>(i));
  return prompts;
}

/// Continues one prompt by up to max_new_tokens tokens and returns the prompt with the new tokens. Packs the model's
/// weights first: to generate often, make a Decoder and keep it.
template <class T>
std::vector<TokenId> generate(const GPT<T>& model, std::vector<TokenId> prompt, const GenerateOptions& options = {}) {
  Decoder<T> decoder(model, {.batch = 1, .weights = options.weights, .draft = options.draft});
  return std::move(generate(decoder, {std::move(prompt)}, options).front());
}

}  // namespace gptlite::inline GPTLITE_ABI
