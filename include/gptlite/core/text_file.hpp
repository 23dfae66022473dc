#pragma once
// Text files, read and written whole. To users they are part of io/; they are here so that gptlite.hpp and the floors
// below io/ can include them without nlohmann-json.

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "gptlite/core/atomic_file.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The bytes of the file at `path`, which may be a pipe. Throws DataError with the path and the system's reason if it
/// cannot be read, or if it is empty.
inline std::string read_file(const std::string& path) {
  std::string bytes;
  if (file_calls().read_file(path.c_str(), bytes) < 0)
    raise<DataError>("read_file", path,
                     ": cannot read: ", errno == ENODEV ? "a device, not a file" : std::strerror(errno));
  check<DataError>(!bytes.empty(), "read_file", path, ": the file is empty");
  return bytes;
}

/// The UTF-8 text in the file at `path`, without a byte order mark at its beginning. Throws DataError as read_file
/// does, and with the line and the byte in it, both from 1, if the file is not UTF-8.
inline std::string read_text(const std::string& path) {
  std::string text = read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  check<DataError>(!text.empty(), "read_text", path, ": the file is empty");
  std::size_t line = 1, begin = 0;  // of the line
  for (std::size_t at = 0; at < text.size();) {
    const text::Utf8Sequence sequence = text::utf8_sequence(text, at);
    check<DataError>(sequence.well_formed, "read_text", path, ", line ", line, ", byte ", at - begin + 1,
                     ": not UTF-8: convert the file, or remove what is no text");
    at += sequence.length;
    if (sequence.point == U'\n') begin = at, ++line;
  }
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
