#pragma once
// Text files, read and written whole. To users they are part of io/; they are here so that gptlite.hpp and the floors
// below io/ can include them without nlohmann-json.

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "gptlite/core/atomic_file.hpp"
#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The bytes of the file at `path`. Throws DataError with the path and the system's reason if it cannot be read, or if
/// it is empty.
inline std::string read_text(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 1 << 16> piece;
  // errno says why the stream is bad. It means nothing if the stream is good: signals and allocations set it too.
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0)
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  const int reason = errno;
  check<DataError>(file.is_open() && file.eof(), "read_text", path, ": cannot read", reason != 0 ? ": " : "",
                   reason != 0 ? std::strerror(reason) : "");
  check<DataError>(!text.empty(), "read_text", path, ": the file is empty");
  return text;
}

/// Replaces the whole content of the file at `path` with `text`. Throws IoError, and then leaves the previous file
/// untouched.
inline void write_text(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
