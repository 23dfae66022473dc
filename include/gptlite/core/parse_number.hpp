#pragma once
// parse_number: reads a text that is one number and nothing else.

#include <charconv>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Reads a decimal number, an integer or a double, that is all of `text`. Returns false, and leaves the value of
/// `number` unspecified, for anything else: no text, spaces, characters after the number, a number out of range.
/// Independent of the locale.
template <class Number>
bool parse_number(std::string_view text, Number& number) {
#if !defined(__cpp_lib_to_chars)  // libc++ before 20 reads no floating-point numbers
  if constexpr (std::is_floating_point_v<Number>) {
    std::istringstream in{std::string(text)};
    in.imbue(std::locale::classic());
    return in >> std::noskipws >> number && in.peek() == std::char_traits<char>::eof();
  } else
#endif
  {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
  }
}

}  // namespace gptlite::inline GPTLITE_ABI
