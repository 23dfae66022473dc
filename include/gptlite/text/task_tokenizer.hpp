#pragma once
// A tokenizer with the three tokens of the task layouts: start, delimiter and extract.

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/text/task_layout.hpp"
#include "gptlite/text/tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// The spellings of the tokens that fine-tuning adds to a vocabulary.
inline constexpr const char* task_token_names[] = {"<|start|>", "<|delimiter|>", "<|extract|>"};

/// A tokenizer with its task tokens. All other tokens keep their ids.
struct TaskTokenizer {
  Tokenizer tokenizer;
  TaskTokens tokens;
};

namespace detail {
/// The tokens of a vocabulary, and those that fine-tuning adds, as the constructors of tokenizers take them.
struct ExtendedTokens {
  std::vector<std::string> tokens, special, ordinary;

  ExtendedTokens(const Vocabulary& vocabulary, Index vocab_size) : tokens(vocabulary.tokens()) {
    check<DataError>(vocabulary.size() <= vocab_size, "with_task_tokens", "the tokenizer has ", vocabulary.size(),
                     " tokens, the model ", vocab_size);
    for (const TokenId id : vocabulary.special_tokens()) special.push_back(vocabulary.id_to_token(id));
    for (const TokenId id : vocabulary.ordinary_tokens()) ordinary.push_back(vocabulary.id_to_token(id));
    for (Index id = vocabulary.size(); id < vocab_size; ++id) {  // a model may have more rows than named tokens
      tokens.push_back("<|unused" + std::to_string(id) + "|>");
      special.push_back(tokens.back());
    }
    for (const char* name : task_token_names) {
      tokens.emplace_back(name);
      special.emplace_back(name);
    }
  }
};
inline TaskTokens task_tokens_from(Index vocab_size) {
  const auto first = static_cast<TokenId>(vocab_size);
  return {first, first + 1, first + 2};
}

template <class Bpe>
TaskTokenizer with_task_tokens(const Bpe& bpe, Index vocab_size) {
  const BpeVocabulary& vocabulary = bpe.vocabulary();
  ExtendedTokens all(vocabulary, vocab_size);
  BpeVocabulary::Merges merges;
  for (const BpeMerge& merge : vocabulary.merges().merges())
    merges.emplace_back(vocabulary.id_to_token(merge.left), vocabulary.id_to_token(merge.right));
  return {Bpe(std::move(all.tokens), merges, all.special, all.ordinary), task_tokens_from(vocab_size)};
}
inline TaskTokenizer with_task_tokens(const WordPiece& pieces, Index vocab_size) {
  ExtendedTokens all(pieces.vocabulary(), vocab_size);
  return {WordPiece(std::move(all.tokens), pieces.lowercase(), all.special, all.ordinary),
          task_tokens_from(vocab_size)};
}
inline TaskTokenizer with_task_tokens(const CharTokenizer&, Index) {
  raise<DataError>("with_task_tokens",
                   "a tokenizer of single characters has no room for the start, delimiter and extract tokens; "
                   "pre-train with byte-pair encoding");
}
}  // namespace detail

/// Adds start, delimiter and extract tokens to a tokenizer. Their ids start at vocab_size, the number of tokens of its
/// model. A tokenizer that has them already is returned as it is. Throws DataError for a CharTokenizer, whose tokens
/// are single characters, and for a tokenizer with more tokens than the model.
inline TaskTokenizer with_task_tokens(const Tokenizer& tokenizer, Index vocab_size) {
  const auto start = tokenizer.token_to_id(task_token_names[0]);
  const auto delimiter = tokenizer.token_to_id(task_token_names[1]);
  const auto extract = tokenizer.token_to_id(task_token_names[2]);
  if (start && delimiter && extract) return {tokenizer, {*start, *delimiter, *extract}};
  return std::visit([&](const auto& own) { return detail::with_task_tokens(own, vocab_size); }, tokenizer.variant());
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
