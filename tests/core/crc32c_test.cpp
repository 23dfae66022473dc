// crc32c: the vectors of RFC 3720, both ways of computing it, and any way of cutting the bytes.

#include "gptlite/core/crc32c.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

using namespace gptlite;

TEST_CASE("the sums of RFC 3720, appendix B.4, and of \"123456789\"") {
  std::vector<unsigned char> bytes(32, 0);
  CHECK(crc32c(bytes.data(), 32) == 0x8a9136aa);
  bytes.assign(32, 0xff);
  CHECK(crc32c(bytes.data(), 32) == 0x62a8ab43);
  std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(0));
  CHECK(crc32c(bytes.data(), 32) == 0x46dd794e);
  std::reverse(bytes.begin(), bytes.end());
  CHECK(crc32c(bytes.data(), 32) == 0x113fdb5c);
  CHECK(crc32c("123456789", 9) == 0xe3069283);
  CHECK(crc32c("", 0) == 0);
}

TEST_CASE("the table gives what the processor's instruction gives, however the bytes are cut") {
  std::vector<unsigned char> bytes(100);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * i + 7 * i);
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    const std::uint32_t whole = crc32c(bytes.data(), n);
    CHECK(~detail::crc32c_by_table(~0u, bytes.data(), n) == whole);
    for (std::size_t cut = 0; cut <= n; cut += 9)
      CHECK(crc32c(bytes.data() + cut, n - cut, crc32c(bytes.data(), cut)) == whole);
  }
}
