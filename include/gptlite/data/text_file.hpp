#pragma once
// Reading a text file whole.

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace data {

/// The bytes of a file. Throws DataError with the path and the system's reason if it cannot be read or is empty.
inline std::string read_text(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 1 << 16> piece;
  // errno says why the stream is bad, nothing where it is good: signals and allocations set it too.
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0)
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  const int reason = errno;
  check<DataError>(file.is_open() && file.eof(), "read_text", path, ": cannot read", reason != 0 ? ": " : "",
                   reason != 0 ? std::strerror(reason) : "");
  check<DataError>(!text.empty(), "read_text", path, ": the file is empty");
  return text;
}

}  // namespace data
}  // namespace gptlite::inline GPTLITE_ABI
