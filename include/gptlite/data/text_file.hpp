#pragma once
// Reading a text file whole.

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace data {

/// The bytes of a file. Throws DataError with the path and the system's reason if it cannot be read or is empty.
inline std::string read_text(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  if (file) bytes << file.rdbuf();  // fails for a folder, and for an empty file
  const int reason = errno;
  check<DataError>(file.is_open() && reason == 0, "read_text", path, ": cannot read", reason != 0 ? ": " : "",
                   reason != 0 ? std::strerror(reason) : "");
  std::string text = bytes.str();
  check<DataError>(!text.empty(), "read_text", path, ": the file is empty");
  return text;
}

}  // namespace data
}  // namespace gptlite::inline GPTLITE_ABI
