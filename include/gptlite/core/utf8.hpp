#pragma once
// UTF-8 to Unicode code points and back. Strict: what is not well-formed is refused, with its position.

#include <cstdint>
#include <string>
#include <string_view>

#include "gptlite/core/error.hpp"
#include "gptlite/core/large_vector.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

/// One sequence of a text: a code point, or U+FFFD for bytes that are not well-formed.
struct Utf8Sequence {
  char32_t point = U'\uFFFD';
  std::size_t length = 1;   // in bytes; if not well-formed, as far as a code point could have started so
  bool well_formed = true;  // no stray or missing continuation byte, overlong form, surrogate, or point above U+10FFFF
  bool cut_off = false;     // the text ends inside: more bytes could make it well-formed
};

/// Reads the sequence at bytes[at]; `at` must be inside.
inline Utf8Sequence utf8_sequence(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const std::uint32_t lead = byte(at);
  if (lead < 0x80) return {lead};
  const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0) return {.well_formed = false};
  std::uint32_t point = lead & (0x7F >> length);
  // The second byte reveals overlong forms, surrogates and points above U+10FFFF.
  std::uint32_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  std::uint32_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i, low = 0x80, high = 0xBF) {
    const bool cut_off = at + i == bytes.size();
    if (cut_off || byte(at + i) < low || byte(at + i) > high)
      return {.length = i, .well_formed = false, .cut_off = cut_off};
    point = point << 6 | (byte(at + i) & 0x3F);
  }
  return {point, length};
}

/// Returns the code point at bytes[at] and moves `at` past it. Throws DataError with the byte offset of a sequence that
/// is not well-formed.
inline char32_t next_code_point(std::string_view bytes, std::size_t& at) {
  const Utf8Sequence sequence = utf8_sequence(bytes, at);
  check<DataError>(sequence.well_formed, "utf8", "invalid UTF-8 at byte ", at);
  at += sequence.length;
  return sequence.point;
}

/// The code points of a UTF-8 text. Throws DataError as next_code_point does.
inline std::u32string decode_utf8(std::string_view bytes) {
  std::u32string points;
  memory::reserve(points, bytes.size());
  for (std::size_t at = 0; at < bytes.size();) points.push_back(next_code_point(bytes, at));
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
