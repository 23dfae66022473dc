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
  bool draft = false;  ///< of the Decoder that generate() makes of a model: see DecoderOptions
};

namespace detail {

/// The texts that one call of generate() continues.
template <class T>
class Generation {
 public:
  Generation(Decoder<T>& decoder, std::vector<std::vector<TokenId>> texts, const GenerateOptions& options)
      : decoder_(decoder), o_(options), texts_(std::move(texts)), ended_(texts_.size(), false) {
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
                                            o_.seed + std::uint64_t{i}});
    }
    for (const std::vector<TokenId>& sequence : o_.stop)
      check<ConfigError>(!sequence.empty(), "generate", "a stop sequence is empty");
  }

  std::vector<std::vector<TokenId>> run() {
    const Index V = decoder_.config().vocab_size, count = static_cast<Index>(texts_.size());
    for (Index i = 0; i < count; ++i) {
      decoder_.forget(i);
      unread_.push_back(last(texts_[static_cast<std::size_t>(i)], block_size()));
    }
    for (Index n = 0; n < o_.max_new_tokens && std::count(ended_.begin(), ended_.end(), false) > 0; ++n) {
      const std::vector<TokenId> guesses = guess(o_.max_new_tokens - n - 1);
      for (const TokenId token : guesses) unread_[0].push_back(token);
      const Tensor<T> scores = guesses.empty() ? decoder_.read(unread_) : decoder_.read_all(unread_);
      for (Index i = 0; i < count; ++i) draw(i, scores.data() + i * V);
      std::size_t right = 0;  // guesses that were drawn: what follows them was read with them
      for (; right < guesses.size() && !ended_[0] && texts_[0].back() == guesses[right]; ++n)
        draw(0, scores.data() + static_cast<Index>(++right) * V);
      if (!guesses.empty()) {
        decoder_.rewind(0, decoder_.position(0) - static_cast<Index>(guesses.size() - right));
        wanted_guesses_ = right == guesses.size() ? 2 * right + 1 : std::max<std::size_t>(right, 1);
      }
      for (Index i = 0; i < count; ++i) slide_if_full(i);
    }
    return std::move(texts_);
  }

 private:
  Index block_size() const { return decoder_.config().block_size; }
  Index slide() const { return o_.slide > 0 ? o_.slide : std::max<Index>(1, block_size() / 8); }
  /// What the draft expects a single text to go on with: drawn from its scores as the text's own tokens will be from
  /// theirs, with the same random numbers. Few where guesses were wrong.
  std::vector<TokenId> guess(Index most) {
    std::vector<TokenId> guesses;
    if (!decoder_.has_draft() || texts_.size() != 1 || unread_[0].size() != 1) return guesses;
    const Index position = decoder_.position(0);
    most = std::min({most, block_size() - position - 1, Decoder<T>::tokens_of_a_pass - 1});
    const std::size_t wanted = std::min(static_cast<std::size_t>(most), wanted_guesses_);
    Sampler sampler = samplers_[0];
    std::vector<TokenId> text = texts_[0];
    while (guesses.size() < wanted) {
      const Tensor<T> scores = decoder_.read_draft({{text.back()}});
      guesses.push_back(sampler(scores.data(), scores.size(), text));
      text.push_back(guesses.back());
    }
    decoder_.rewind(0, position);
    return guesses;
  }
  /// Draws the next token of a text, which is then to be read.
  void draw(Index i, const T* scores) {
    const auto text = static_cast<std::size_t>(i);
    unread_[text].clear();
    if (ended_[text]) return;
    const TokenId token = samplers_[text](scores, decoder_.config().vocab_size, texts_[text]);
    texts_[text].push_back(token);
    const bool wanted = !o_.on_token || o_.on_token(token, i);
    ended_[text] = !wanted || stops(texts_[text]);
    if (!ended_[text]) unread_[text] = {token};
  }
  void slide_if_full(Index i) {
    const auto text = static_cast<std::size_t>(i);
    if (ended_[text] || decoder_.position(i) < block_size()) return;
    decoder_.forget(i);
    unread_[text] = last(texts_[text], block_size() + 1 - slide());
  }
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
  std::vector<std::vector<TokenId>> texts_, unread_;
  std::vector<bool> ended_;
  std::vector<Sampler> samplers_;
  std::size_t wanted_guesses_ = 3;
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
  Decoder<T> decoder(model, {.batch = 1, .weights = options.weights, .draft = options.draft});
  return std::move(generate(decoder, {std::move(prompt)}, options).front());
}

GPTLITE_COMPILED_CLASS(detail::Generation)

}  // namespace gptlite::inline GPTLITE_ABI
