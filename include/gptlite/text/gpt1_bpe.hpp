#pragma once
// Gpt1Bpe: the tokenizer of GPT-1. Byte-pair encoding of the characters of words in lower case.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/text/bert_words.hpp"
#include "gptlite/text/bpe_vocabulary.hpp"
#include "gptlite/text/word_cache.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Tokenizer of GPT-1, as in the Python package `tokenizers`: BERT's normalizer and pre-tokenizer, then BPE with </w>
/// at the end of words and <unk> for a character without a token.
class Gpt1Bpe {
 public:
  /// Takes tokens in the order of their ids and merges in the order they were learned. Special tokens are recognized in
  /// texts. Throws DataError as BpeVocabulary does, and for a vocabulary without <unk>.
  Gpt1Bpe(std::vector<std::string> tokens, const BpeVocabulary::Merges& merges,
          const std::vector<std::string>& special_tokens = {"<unk>"},
          const std::vector<std::string>& ordinary_tokens = {})
      : vocabulary_(std::move(tokens), merges, special_tokens, ordinary_tokens),
        unknown_(vocabulary_.required_id("<unk>")) {}

  Index vocab_size() const { return vocabulary_.size(); }

  /// Returns the tokens of a text. Throws DataError for a text that is not UTF-8, with the byte offset.
  std::vector<TokenId> encode(std::string_view text) const {
    std::vector<TokenId> tokens;
    WordCache cache(text.size());
    const auto encode_run = [&](std::string_view run) { append_words(text, run, tokens); };
    vocabulary_.split(
        text,
        [&](std::size_t begin, std::size_t end) {
          for_bert_runs(text, begin, end, [&](std::size_t first, std::size_t last) {
            cache.append(text.substr(first, last - first), tokens, encode_run);
          });
        },
        [&](TokenId id) { memory::append(tokens, id); });
    return tokens;
  }

  /// Returns the words of tokens, separated by spaces. encode() keeps neither other white space nor case nor accents.
  /// Throws IndexError for a token outside the vocabulary.
  std::string decode(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (const TokenId token : tokens) text += id_to_bytes(token);
    if (!tokens.empty() && id_to_token(tokens.back()).ends_with(word_end)) text.pop_back();
    return text;
  }

  /// The text that a token adds, which ends in a space if the token ends a word. Throws IndexError for a token outside
  /// the vocabulary.
  std::string id_to_bytes(TokenId id) const {
    std::string text = id_to_token(id);
    if (text.ends_with(word_end)) text.replace(text.size() - word_end.size(), word_end.size(), " ");
    return text;
  }
  /// The spelling of a token, with </w> if it ends a word. Throws IndexError for a token outside the vocabulary.
  const std::string& id_to_token(TokenId id) const { return vocabulary_.id_to_token(id); }
  /// The id of a token as the vocabulary spells it, if there is one.
  std::optional<TokenId> token_to_id(std::string_view token) const { return vocabulary_.token_to_id(token); }
  /// The ids of the special tokens, ascending.
  const std::vector<TokenId>& special_tokens() const { return vocabulary_.special_tokens(); }
  /// The id of <|endoftext|>, if the vocabulary has it; GPT-1's published one does not.
  std::optional<TokenId> end_of_text() const { return vocabulary_.end_of_text(); }
  const BpeVocabulary& vocabulary() const { return vocabulary_; }

 private:
  static constexpr std::string_view word_end = "</w>";

  // Appends the tokens of `run`, which is a part of `text`.
  void append_words(std::string_view text, std::string_view run, std::vector<TokenId>& tokens) const {
    const std::size_t first = static_cast<std::size_t>(run.data() - text.data());
    for_bert_words(text, first, first + run.size(), true, [&](const std::u32string& word) {
      const std::size_t begin = tokens.size();
      for (std::size_t i = 0; i < word.size(); ++i) {
        std::string symbol;
        append_utf8(symbol, word[i]);
        if (i + 1 == word.size()) symbol += word_end;
        memory::append(tokens, vocabulary_.token_to_id(symbol).value_or(unknown_));
      }
      vocabulary_.merges().apply(tokens, begin);
    });
  }

  BpeVocabulary vocabulary_;
  TokenId unknown_;
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
