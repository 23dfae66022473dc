#pragma once
// Text files, read and written whole. To users they are part of io/; they are here so that gptlite.hpp and the floors
// below io/ can include them without nlohmann-json.

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "gptlite/core/atomic_file.hpp"
#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The bytes of the file at `path`, which may be a pipe. Throws DataError with the path and the system's reason if it
/// cannot be read, or if it is empty.
inline std::string read_text(const std::string& path) {
  std::string text;
  if (file_calls().read_file(path.c_str(), text) < 0)
    raise<DataError>("read_text", path,
                     ": cannot read: ", errno == ENODEV ? "a device, not a file" : std::strerror(errno));
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
