#pragma once
// generate: continues texts, token by token.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "gptlite/generate/decoder.hpp"
#include "gptlite/generate/sampler.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct GenerateOptions {
  Index max_new_tokens = 100;
  double temperature = 1;  ///< 0 is greedy; see SamplerOptions for this and the next four
  Index top_k = 0;
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  std::uint64_t seed = 1337;  ///< of the first text; text i of a batch draws with seed + i
  /// A text ends with the first of these sequences of tokens that it comes to; the sequence stays.
  std::vector<std::vector<TokenId>> stop = {};
  /// Called with each new token and the number of its text, as soon as it is drawn. If it returns false, the text ends.
  std::function<bool(TokenId token, Index text)> on_token = {};
  /// Tokens by which the context moves on when block_size are read; the rest is then read again. 1 gives each token the
  /// last block_size tokens before it and reads them all for each; 0: an eighth of block_size.
  Index slide = 0;
  WeightFormat weights = WeightFormat::fp32;
};

namespace detail {

/// The texts that one call of generate() continues.
template <class T>
class Generation {
 public:
  Generation(Decoder<T>& decoder, std::vector<std::vector<TokenId>> texts, const GenerateOptions& options)
      : decoder_(decoder), o_(options), texts_(std::move(texts)) {
    const Index V = decoder.config().vocab_size;
    check<ConfigError>(o_.max_new_tokens >= 0, "generate", "max_new_tokens must be 0 or positive, got ",
                       o_.max_new_tokens);
    check<ConfigError>(o_.slide >= 0 && o_.slide <= block_size(), "generate", "slide must be in 0..block_size ",
                       block_size(), ", got ", o_.slide);
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      const std::vector<TokenId>& text = texts_[i];
      check<DataError>(!text.empty(), "generate", "the prompt is empty: give at least one token");
      check_tokens("generate", text, V);
      samplers_.emplace_back(SamplerOptions{o_.temperature, o_.top_k, o_.top_p, o_.min_p, o_.repetition_penalty,
                                            o_.seed + static_cast<std::uint64_t>(i)});
    }
    for (const std::vector<TokenId>& sequence : o_.stop)
      check<ConfigError>(!sequence.empty(), "generate", "a stop sequence is empty");
  }

  std::vector<std::vector<TokenId>> run() {
    const std::size_t count = texts_.size();
    const Index V = decoder_.config().vocab_size;
    std::vector<std::vector<TokenId>> unread(count);
    std::vector<bool> ended(count, false);
    for (std::size_t i = 0; i < count; ++i) {
      decoder_.forget(static_cast<Index>(i));
      unread[i] = last(texts_[i], block_size());
    }
    for (Index n = 0; n < o_.max_new_tokens && std::count(ended.begin(), ended.end(), false) > 0; ++n) {
      const Tensor<T> scores = decoder_.read(unread);
      for (std::size_t i = 0; i < count; ++i) {
        unread[i].clear();
        if (ended[i]) continue;
        const Index text = static_cast<Index>(i);
        const TokenId token = samplers_[i](scores.data() + text * V, V, texts_[i]);
        texts_[i].push_back(token);
        const bool wanted = !o_.on_token || o_.on_token(token, text);
        ended[i] = !wanted || stops(texts_[i]);
        unread[i] = {token};
        if (decoder_.position(text) == block_size()) {
          decoder_.forget(text);
          unread[i] = last(texts_[i], block_size() + 1 - slide());
        }
        if (ended[i]) unread[i].clear();
      }
    }
    return std::move(texts_);
  }

 private:
  Index block_size() const { return decoder_.config().block_size; }
  Index slide() const { return o_.slide > 0 ? o_.slide : std::max<Index>(1, block_size() / 8); }
  static std::vector<TokenId> last(const std::vector<TokenId>& text, Index count) {
    return {text.end() - std::min(count, static_cast<Index>(text.size())), text.end()};
  }
  bool stops(const std::vector<TokenId>& text) const {
    return std::any_of(o_.stop.begin(), o_.stop.end(), [&](const std::vector<TokenId>& sequence) {
      return sequence.size() <= text.size() && std::equal(sequence.rbegin(), sequence.rend(), text.rbegin());
    });
  }

  Decoder<T>& decoder_;
  const GenerateOptions& o_;
  std::vector<std::vector<TokenId>> texts_;
  std::vector<Sampler> samplers_;
};

}  // namespace detail

/// Each text continued by up to max_new_tokens tokens, all texts side by side. Reads with `decoder`, whose batch is the
/// number of texts, and begins its sequences anew. Throws DataError for an empty text, IndexError for a token outside
/// the vocabulary, ConfigError for an option that cannot be.
template <class T>
std::vector<std::vector<TokenId>> generate(Decoder<T>& decoder, std::vector<std::vector<TokenId>> texts,
                                           const GenerateOptions& options = {}) {
  return detail::Generation<T>(decoder, std::move(texts), options).run();
}

/// The prompt and up to max_new_tokens tokens after it. The model's weights are packed first: to generate often, make a
/// Decoder and keep it.
template <class T>
std::vector<TokenId> generate(const GPT<T>& model, std::vector<TokenId> prompt, const GenerateOptions& options = {}) {
  Decoder<T> decoder(model, {.batch = 1, .weights = options.weights});
  return std::move(generate(decoder, {std::move(prompt)}, options).front());
}

}  // namespace gptlite::inline GPTLITE_ABI
