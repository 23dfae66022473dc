#pragma once
// train_byte_bpe: learns the vocabulary and the merges of a ByteBpe from a text.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gptlite/text/byte_bpe.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Options of train_byte_bpe.
struct BpeTrainerOptions {
  Index vocab_size = 10000;        // including special tokens and the 256 bytes
  std::int64_t min_frequency = 0;  // rarer pairs are not merged
  std::vector<std::string> special_tokens = {};
};

namespace detail {

/// Merges the most frequent pair of neighbors, again and again. Counts are updated where words change, and a heap finds
/// the largest. The vocabulary and merges are those of BpeTrainer in the Python package `tokenizers`.
class BpeTrainer {
 public:
  explicit BpeTrainer(const BpeTrainerOptions& options) {
    for (const std::string& token : options.special_tokens) add(token);
    std::vector<char32_t> alphabet(byte_alphabet.begin(), byte_alphabet.end());
    std::sort(alphabet.begin(), alphabet.end());
    for (const char32_t character : alphabet) {
      std::string token;
      append_utf8(token, character);
      add(token);
    }
    check<ConfigError>(options.vocab_size >= size(), "train_byte_bpe", "vocab_size is ", options.vocab_size,
                       ", the bytes and special tokens are ", size());
  }

  void add_words(std::string_view text) {
    std::unordered_map<std::string_view, std::int64_t> counts;
    for_each_gpt2_word(text, 0, text.size(), [&](std::string_view word) { ++counts[word]; });
    for (const auto& [bytes, count] : counts) {
      Word word{{}, count};
      for (const char byte : bytes) word.tokens.push_back(ids_.at(to_byte_alphabet({&byte, 1})));
      for (std::size_t i = 0; i + 1 < word.tokens.size(); ++i)
        change(word.tokens[i], word.tokens[i + 1], words_.size(), count);
      words_.push_back(std::move(word));
    }
    queue_changed_pairs();
  }

  void merge(Index vocab_size, std::int64_t min_frequency) {
    while (size() < vocab_size && !queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end());
      Candidate best = std::move(queue_.back());
      queue_.pop_back();
      if (const std::int64_t count = counts_[best.pair]; count != best.count) {  // stale: other merges changed it
        best.count = count;
        push(std::move(best));
        continue;
      }
      if (best.count < std::max<std::int64_t>(min_frequency, 1)) break;
      const auto left = static_cast<TokenId>(best.pair >> 32), right = static_cast<TokenId>(best.pair & 0xFFFFFFFF);
      const std::string &a = token(left), &b = token(right);
      merges_.emplace_back(a, b);
      const TokenId merged = add(a + b);
      for (const std::size_t word : best.words) merge_in_word(word, left, right, merged);
      queue_changed_pairs();
    }
  }

  ByteBpe tokenizer(const std::vector<std::string>& special_tokens) && {
    return {std::move(tokens_), merges_, special_tokens};
  }

 private:
  struct Word {
    std::vector<TokenId> tokens;
    std::int64_t count;  // in the text
  };
  struct Candidate {
    std::int64_t count;
    std::uint64_t pair;
    std::vector<std::size_t> words;  // that had the pair when it was counted
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  Index size() const { return static_cast<Index>(tokens_.size()); }
  const std::string& token(TokenId id) const { return tokens_[static_cast<std::size_t>(id)]; }
  // Returns the id of a token, a new one if the token is new: two pairs may spell the same token.
  TokenId add(const std::string& token) {
    const auto [known, added] = ids_.try_emplace(token, static_cast<TokenId>(tokens_.size()));
    if (added) tokens_.push_back(token);
    return known->second;
  }
  void push(Candidate candidate) {
    queue_.push_back(std::move(candidate));
    std::push_heap(queue_.begin(), queue_.end());
  }
  void change(TokenId left, TokenId right, std::size_t word, std::int64_t count) {
    const std::uint64_t pair = pair_key(left, right);
    counts_[pair] += count;
    if (count < 0) return;
    std::vector<std::size_t>& words = changed_[pair];
    if (words.empty() || words.back() != word) words.push_back(word);
  }
  void queue_changed_pairs() {
    for (auto& [pair, words] : changed_)
      if (const std::int64_t count = counts_[pair]; count > 0) push({count, pair, std::move(words)});
    changed_.clear();
  }
  void merge_in_word(std::size_t index, TokenId left, TokenId right, TokenId merged) {
    std::vector<TokenId>& tokens = words_[index].tokens;
    const std::int64_t count = words_[index].count;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] != left || i + 1 == tokens.size() || tokens[i + 1] != right) {
        tokens[kept++] = tokens[i];
        continue;
      }
      if (kept > 0) {
        change(tokens[kept - 1], left, index, -count);
        change(tokens[kept - 1], merged, index, count);
      }
      ++i;
      if (i + 1 < tokens.size()) {
        change(right, tokens[i + 1], index, -count);
        change(merged, tokens[i + 1], index, count);
      }
      tokens[kept++] = merged;
    }
    tokens.resize(kept);
  }

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, TokenId> ids_;
  BpeVocabulary::Merges merges_;
  std::vector<Word> words_;
  std::unordered_map<std::uint64_t, std::int64_t> counts_;               // of pairs
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> changed_;  // pairs now more frequent; their words
  std::vector<Candidate> queue_;                                         // a heap
};

}  // namespace detail

/// Learns merges until the vocabulary has `vocab_size` tokens or no pair occurs min_frequency times. Ids go first to
/// the special tokens, then to the bytes in the order of their alphabet, then to the merges. Among pairs of equal count
/// the one with the lowest ids is merged first. Throws DataError for a text that is not UTF-8, ConfigError for a
/// vocabulary too small for the bytes and special tokens.
inline ByteBpe train_byte_bpe(std::string_view text, const BpeTrainerOptions& options) {
  detail::BpeTrainer trainer(options);
  trainer.add_words(text);
  trainer.merge(options.vocab_size, options.min_frequency);
  return std::move(trainer).tokenizer(options.special_tokens);
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
