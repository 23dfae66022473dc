#pragma once
// CRC32C (Castagnoli), the checksum of checkpoints, as in RFC 3720, appendix B.4.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "gptlite/config.hpp"

#if defined(__SSE4_2__) && defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// tables[k][b]: what byte b does to the sum k bytes later. Polynomial 0x1EDC6F41, bits reversed.
inline constexpr std::array<std::array<std::uint32_t, 256>, 8> crc32c_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t sum = b;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82F63B78u : 0u);
    tables[0][b] = sum;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b) tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
  return tables;
}();

/// Continues a sum, bits inverted as inside the algorithm, by table: eight bytes at a time.
inline std::uint32_t crc32c_by_table(std::uint32_t sum, const unsigned char* at, std::size_t n) {
  const auto& t = crc32c_tables;
  for (; n >= 8; n -= 8, at += 8) {
    const std::uint32_t low = sum ^ (std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 |
                                     std::uint32_t{at[3]} << 24);
    sum = t[7][low & 0xff] ^ t[6][low >> 8 & 0xff] ^ t[5][low >> 16 & 0xff] ^ t[4][low >> 24] ^ t[3][at[4]] ^
          t[2][at[5]] ^ t[1][at[6]] ^ t[0][at[7]];
  }
  for (; n > 0; --n, ++at) sum = (sum >> 8) ^ t[0][(sum ^ *at) & 0xff];
  return sum;
}
}  // namespace detail

/// Returns the CRC32C of n bytes. `before`: the CRC32C of the bytes before them, to sum a text piece by piece.
inline std::uint32_t crc32c(const void* bytes, std::size_t n, std::uint32_t before = 0) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  std::uint32_t sum = ~before;
#if defined(__SSE4_2__) && defined(__x86_64__)
  std::uint64_t wide = sum;
  for (; n >= 8; n -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  sum = static_cast<std::uint32_t>(wide);
#endif
  return ~detail::crc32c_by_table(sum, at, n);
}

}  // namespace gptlite::inline GPTLITE_ABI
