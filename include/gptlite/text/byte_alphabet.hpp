#pragma once
// GPT-2's alphabet of bytes: one printable code point per byte, so that a vocabulary of text can spell any bytes.

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace text {

namespace detail {
// A printable byte is its own Latin-1 character; the others are U+0100, U+0101, ... in their order.
inline constexpr auto byte_alphabet = [] {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    alphabet[byte] = printable ? byte : next++;
  }
  return alphabet;
}();
inline constexpr auto alphabet_bytes = [] {
  std::array<int, 0x144> bytes{};  // -1: no byte
  bytes.fill(-1);
  for (int byte = 0; byte < 256; ++byte) bytes[byte_alphabet[static_cast<std::size_t>(byte)]] = byte;
  return bytes;
}();
}  // namespace detail

/// Spells bytes as the vocabulary does, in UTF-8: " a" becomes U+0120 a.
inline std::string to_byte_alphabet(std::string_view bytes) {
  std::string spelt;
  for (const char byte : bytes) append_utf8(spelt, detail::byte_alphabet[static_cast<unsigned char>(byte)]);
  return spelt;
}

/// The bytes that a token spells; nullopt if a character is not in the alphabet. Throws DataError for a token that is
/// not UTF-8.
inline std::optional<std::string> from_byte_alphabet(std::string_view spelt) {
  std::string bytes;
  for (std::size_t at = 0; at < spelt.size();) {
    const char32_t point = next_code_point(spelt, at);
    if (point >= detail::alphabet_bytes.size() || detail::alphabet_bytes[point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(detail::alphabet_bytes[point]));
  }
  return bytes;
}

}  // namespace text
}  // namespace gptlite::inline GPTLITE_ABI
