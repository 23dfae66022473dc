#pragma once
// The input layouts of the four tasks (Radford et al. 2018, section 3.3): texts between a start, a delimiter and an
// extract token, shortened to what a model can read.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

using Tokens = std::vector<TokenId>;

/// The three tokens that the layouts add to a vocabulary.
struct TaskTokens {
  TokenId start, delimiter, extract;
};

/// Layout of texts as sequences of tokens:
///   const TaskLayout layout{{start, delimiter, extract}, model.config.block_size};
struct TaskLayout {
  TaskTokens tokens;
  Index max_length;           ///< most tokens of a sequence
  Index max_part_length = 0;  ///< most tokens of a text, 0: as many as fit. GPT-1's code: max_length / 2 - 2

  /// Lays out a text: start text extract.
  Tokens classification(const Tokens& text) const { return sequence({text}); }
  /// Lays out a pair of texts: start premise delimiter hypothesis extract.
  Tokens entailment(const Tokens& premise, const Tokens& hypothesis) const { return sequence({premise, hypothesis}); }
  /// Lays out a pair of texts in both orders, since neither is the right one: start a delimiter b extract, and start b
  /// delimiter a extract.
  std::vector<Tokens> similarity(const Tokens& a, const Tokens& b) const {
    return {sequence({a, b}), sequence({b, a})};
  }
  /// Lays out each answer: start context delimiter answer extract. A question is part of the context, without a
  /// delimiter.
  std::vector<Tokens> multiple_choice(const Tokens& context, const std::vector<Tokens>& answers) const {
    std::vector<Tokens> sequences;
    for (const Tokens& answer : answers) sequences.push_back(sequence({context, answer}));
    return sequences;
  }

  /// Lays out any parts: start part delimiter part ... extract. Each part is first cut to max_part_length. Then, while
  /// the sequence is longer than max_length, the longest part (the last of several) loses its last token. The special
  /// tokens stay. Throws ConfigError if max_length has no room for one token of each part, or for a negative
  /// max_part_length.
  Tokens sequence(std::vector<Tokens> parts) const {
    const auto special = static_cast<Index>(parts.size()) + 1;
    check<ConfigError>(!parts.empty() && max_length >= special + static_cast<Index>(parts.size()), "TaskLayout",
                       "max_length ", max_length, " has no room for ", parts.size(), " parts and ", special,
                       " special tokens");
    check<ConfigError>(max_part_length >= 0, "TaskLayout", "max_part_length must be 0 (no limit) or positive, got ",
                       max_part_length);
    if (max_part_length > 0)
      for (Tokens& part : parts) part.resize(std::min(part.size(), static_cast<std::size_t>(max_part_length)));
    Index total = special;
    for (const Tokens& part : parts) total += static_cast<Index>(part.size());
    for (; total > max_length; --total)
      std::max_element(parts.rbegin(), parts.rend(), [](const Tokens& a, const Tokens& b) {
        return a.size() < b.size();
      })->pop_back();
    Tokens sequence{tokens.start};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) sequence.push_back(tokens.delimiter);
      sequence.insert(sequence.end(), parts[i].begin(), parts[i].end());
    }
    sequence.push_back(tokens.extract);
    return sequence;
  }
};

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
