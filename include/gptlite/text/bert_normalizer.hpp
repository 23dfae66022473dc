#pragma once
// BERT's normalizer, which GPT-1's tokenizer uses too: no control characters, spaces around ideographs and, but for
// cased models, lower case without accents.

#include <algorithm>
#include <iterator>

#include "gptlite/text/unicode_categories.hpp"
#include "gptlite/text/unicode_mappings.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// Calls put(point) for each code point that `point` becomes in a cased model: none for a control character, and spaces
/// around an ideograph.
template <class F>
void bert_clean(char32_t point, F&& put) {
  if (contains(unicode::controls, point)) return;
  const bool spaces = contains(unicode::spaced, point);
  if (spaces) put(U' ');
  put(point);
  if (spaces) put(U' ');
}

/// Calls put(point) for each code point that `point` becomes, none to five. Accents that remain keep their order (the
/// original sorts them).
template <class F>
void bert_normalize(char32_t point, F&& put) {
  if (contains(unicode::removed, point)) return;
  const bool spaces = contains(unicode::spaced, point);
  if (spaces) put(U' ');
  const auto before = [](char32_t p, const auto& entry) { return p < entry.first; };
  const auto mapping = std::upper_bound(std::begin(unicode::mappings), std::end(unicode::mappings), point, before);
  const auto expansion =
      std::upper_bound(std::begin(unicode::expansions), std::end(unicode::expansions), point, before);
  if (point >= 0xAC00 && point < 0xD7A4) {  // a syllable of Hangul is two or three letters
    const char32_t syllable = point - 0xAC00;
    put(0x1100 + syllable / 588);
    put(0x1161 + syllable % 588 / 28);
    if (syllable % 28 != 0) put(0x11A7 + syllable % 28);
  } else if (expansion != std::begin(unicode::expansions) && std::prev(expansion)->first == point) {
    for (const char32_t part : std::prev(expansion)->to) put(part);
  } else {
    if (mapping != std::begin(unicode::mappings)) {
      const unicode::CodePointMapping& m = *std::prev(mapping);
      const char32_t distance = point - m.first;
      if (distance % m.step == 0 && distance / m.step < m.count) point = m.to + distance / m.step * m.shift;
    }
    put(point);
  }
  if (spaces) put(U' ');
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
