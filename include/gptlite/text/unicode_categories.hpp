#pragma once
// The categories of code points that the pre-tokenizers tell apart. Code points beyond Unicode are in none.

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "gptlite/text/unicode_tables.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// True if a sorted table of ranges contains a code point.
template <std::size_t N>
constexpr bool contains(const unicode::CodePointRange (&ranges)[N], char32_t point) {
  const auto after = std::upper_bound(std::begin(ranges), std::end(ranges), point,
                                      [](char32_t p, const unicode::CodePointRange& range) { return p < range.first; });
  return after != std::begin(ranges) && point <= std::prev(after)->last;
}

/// Categories of GPT-2's pattern: \p{L}, \p{N}, \s, and the rest.
enum class Category : std::uint8_t { letter, number, white_space, other };

namespace detail {
constexpr Category find_category(char32_t point) {
  return contains(unicode::letters, point)       ? Category::letter
         : contains(unicode::numbers, point)     ? Category::number
         : contains(unicode::white_space, point) ? Category::white_space
                                                 : Category::other;
}
inline constexpr auto ascii_categories = [] {
  std::array<Category, 128> categories{};
  for (char32_t point = 0; point < 128; ++point) categories[point] = find_category(point);
  return categories;
}();
}  // namespace detail

/// Category of a code point.
constexpr Category category(char32_t point) {
  return point < 128 ? detail::ascii_categories[point] : detail::find_category(point);
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
