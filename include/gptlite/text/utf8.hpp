#pragma once
// UTF-8 to Unicode code points and back. Strict: what is not well-formed is refused with its place.

#include <cstdint>
#include <string>
#include <string_view>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// The code points of a UTF-8 text. Throws DataError with the byte offset of the first sequence that is not well-formed
/// (a stray or missing continuation byte, an overlong form, a surrogate, more than U+10FFFF).
inline std::u32string decode_utf8(std::string_view bytes) {
  std::u32string points;
  points.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
    const std::uint32_t lead = byte(at);
    const std::size_t length = lead < 0x80         ? 1
                               : lead >> 5 == 0x6  ? 2
                               : lead >> 4 == 0xE  ? 3
                               : lead >> 3 == 0x1E ? 4
                                                   : 0;
    std::uint32_t point = length == 1 ? lead : length == 2 ? lead & 0x1F : length == 3 ? lead & 0x0F : lead & 0x07;
    bool valid = length != 0 && at + length <= bytes.size();
    for (std::size_t i = 1; valid && i < length; ++i) {
      valid = byte(at + i) >> 6 == 0x2;
      point = point << 6 | (byte(at + i) & 0x3F);
    }
    constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};  // by length: below is an overlong form
    valid = valid && point >= smallest[length] && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    check<DataError>(valid, "utf8", "invalid UTF-8 at byte ", at);
    points.push_back(static_cast<char32_t>(point));
    at += length;
  }
  return points;
}

/// Appends a code point to a UTF-8 text.
inline void append_utf8(std::string& bytes, char32_t point) {
  const auto put = [&](std::uint32_t byte) { bytes.push_back(static_cast<char>(byte)); };
  const auto p = static_cast<std::uint32_t>(point);
  if (p < 0x80) {
    put(p);
  } else if (p < 0x800) {
    put(0xC0 | p >> 6), put(0x80 | (p & 0x3F));
  } else if (p < 0x10000) {
    put(0xE0 | p >> 12), put(0x80 | (p >> 6 & 0x3F)), put(0x80 | (p & 0x3F));
  } else {
    put(0xF0 | p >> 18), put(0x80 | (p >> 12 & 0x3F)), put(0x80 | (p >> 6 & 0x3F)), put(0x80 | (p & 0x3F));
  }
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
