#pragma once
// The words of BERT's pre-tokenizer: normalized runs of characters between white space, each punctuation mark alone.

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "gptlite/core/utf8.hpp"
#include "gptlite/text/bert_normalizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// True for ASCII white space and punctuation, except for the vertical tab and the form feed, which the normalizer
/// drops: what is left and right of such a byte is encoded independently.
inline bool separates_bert_words(char c) {
  static constexpr auto table = [] {
    std::array<bool, 256> cut{};
    for (char32_t p = 0; p < 128; ++p)
      cut[p] = contains(unicode::punctuation, p) || (p != U'\v' && p != U'\f' && contains(unicode::white_space, p));
    return cut;
  }();
  return table[static_cast<unsigned char>(c)];
}

/// Calls run(begin, end) for the parts of text[begin, end) between which separates_bert_words() cuts, separators alone.
template <class F>
void for_bert_runs(std::string_view text, std::size_t begin, std::size_t end, F&& run) {
  for (std::size_t at = begin; begin < end; begin = at) {
    do ++at;
    while (at < end && !separates_bert_words(text[at - 1]) && !separates_bert_words(text[at]));
    run(begin, at);
  }
}

/// Calls f(word) for each word of text[begin, end), which must begin and end between code points. lowercase: letters
/// become lower case and lose their accents, as in BERT's uncased models and GPT-1. Throws DataError for a text that is
/// not UTF-8, with the offset in `text`.
template <class F>
void for_bert_words(std::string_view text, std::size_t begin, std::size_t end, bool lowercase, F&& f) {
  std::u32string word;
  const auto end_word = [&] {
    if (!word.empty()) f(std::as_const(word));
    word.clear();
  };
  const auto put = [&](char32_t point) {
    const bool alone = contains(unicode::punctuation, point);
    if (alone || contains(unicode::white_space, point)) end_word();
    if (!contains(unicode::white_space, point)) word.push_back(point);
    if (alone) end_word();
  };
  while (begin < end) {
    const char32_t point = next_code_point(text, begin);
    if (lowercase)
      bert_normalize(point, put);
    else
      bert_clean(point, put);
  }
  end_word();
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
