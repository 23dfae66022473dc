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

#if !defined(_WIN32)
#include <poll.h>
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {
#if defined(_WIN32)
/// Reads a file into `text`. Returns 0, or the errno of the call that failed.
inline int read_file(const std::string& path, std::string& text) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::array<char, 1 << 16> piece;
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0)
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  return file.is_open() && file.eof() ? 0 : errno != 0 ? errno : EIO;
}
#else
/// Reads a file, or a pipe to its end, into `text`. Returns 0, or the errno of the call that failed; ENODEV for a
/// device that never ends. A FIFO that no program writes to is empty: waiting for a writer could last for ever.
inline int read_file(const std::string& path, std::string& text) {
  struct File {
    int number;
    ~File() {
      if (number >= 0) ::close(number);
    }
  };
  const File file{repeat_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); })};
  struct stat about {};
  if (file.number < 0 || ::fstat(file.number, &about) < 0) return errno;
  if (S_ISBLK(about.st_mode) || (S_ISCHR(about.st_mode) && ::isatty(file.number) == 0)) return ENODEV;
  std::array<char, 1 << 16> piece;
  for (;;) {
    const auto n = repeat_interrupted([&] { return ::read(file.number, piece.data(), piece.size()); });
    if (n == 0) return 0;
    if (n > 0) {
      text.append(piece.data(), static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd wanted{file.number, POLLIN, 0};
      ::poll(&wanted, 1, -1);
    } else {
      return errno;
    }
  }
}
#endif
}  // namespace detail

/// The bytes of the file at `path`, which may be a pipe. Throws DataError with the path and the system's reason if it
/// cannot be read, or if it is empty.
inline std::string read_text(const std::string& path) {
  std::string text;
  if (const int reason = detail::read_file(path, text); reason != 0)
    raise<DataError>("read_text", path,
                     ": cannot read: ", reason == ENODEV ? "a device, not a file" : std::strerror(reason));
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
