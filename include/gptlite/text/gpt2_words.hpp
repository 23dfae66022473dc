#pragma once
// GPT-2's pre-tokenizer: cuts a text into the words that byte-pair encoding works within.

#include <string_view>

#include "gptlite/text/unicode_categories.hpp"
#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Calls word(piece) for the consecutive matches of the pattern
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// in text[begin, end). Together they cover it. Throws DataError for invalid UTF-8, with its byte position in `text`.
template <class F>
void for_each_gpt2_word(std::string_view text, std::size_t begin, std::size_t end, F&& word) {
  text = text.substr(0, end);
  std::size_t at = begin;
  // Returns the category of the code point at `at` and moves `at` past it.
  const auto next_category = [&] { return category(next_code_point(text, at)); };
  // Moves `at` to the end of a run of one category. Returns where its last code point starts, or `at` for an empty run.
  const auto skip = [&](Category kind) {
    std::size_t last = at;
    while (at < end) {
      const std::size_t here = at;
      if (next_category() != kind) {
        at = here;
        break;
      }
      last = here;
    }
    return last;
  };
  const auto contraction = [&] {
    for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
      if (text.substr(begin, ending.size()) == ending) return ending.size();
    return std::size_t{0};
  };
  for (; begin < end; begin = at) {
    if (text[begin] == '\'' && contraction() > 0) {
      at = begin + contraction();
    } else {
      Category kind = next_category();
      if (text[begin] == ' ' && at < end) {
        kind = next_category();
        if (kind == Category::white_space) at = begin + 1;
      }
      const std::size_t last = skip(kind);
      // The last white space before a word belongs to the next match.
      if (kind == Category::white_space && at < end) at = last;
    }
    word(text.substr(begin, at - begin));
  }
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
