#pragma once
// AppendFile: a text file that grows by whole pieces, such as the lines of a log.

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "gptlite/core/error.hpp"
#include "gptlite/core/files.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// A file that is appended to. Every piece is handed to the system at once, so that it survives if the process is
/// killed, and a piece that cannot be written whole is taken back. Failures throw IoError with the call, the path, the
/// system's reason and what to do.
class AppendFile {
 public:
  /// Empties the file at `path`, or makes it. With `keep`, continues the file after its first `keep` bytes; what
  /// follows them is cut off. A file that is shorter is continued at its end.
  explicit AppendFile(std::string path, std::uint64_t keep = 0) : path_(std::move(path)) {
    file_ = detail::repeat_interrupted([&] { return calls_.open_append(path_.c_str()); });
    if (file_ < 0) detail::raise_io_error("AppendFile", path_, "open", "nothing was written", "");
    std::error_code error;
    const std::uintmax_t found = std::filesystem::file_size(path_, error);
    size_ = error ? 0 : std::uint64_t{found} < keep ? std::uint64_t{found} : keep;
    // What is no file, such as /dev/null or a pipe, has nothing to cut off.
    if (std::filesystem::is_regular_file(path_, error) && found > size_ && !cut()) {
      {
        const detail::KeepErrno kept;
        calls_.close(std::exchange(file_, -1));
      }
      detail::raise_io_error("AppendFile", path_, "truncate", "nothing was written", "");
    }
  }
  ~AppendFile() {
    if (file_ >= 0) calls_.close(file_);
  }
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  /// Appends a piece, whole or not at all.
  void append(std::string_view piece) {
    if (!detail::write_all(calls_, file_, piece.data(), piece.size())) {
      {
        const detail::KeepErrno kept;
        cut();
      }
      detail::raise_io_error("AppendFile", path_, "write", "what was written before is untouched", "");
    }
    size_ += piece.size();
  }
  /// Makes all that was appended survive a loss of power.
  void sync() {
    if (detail::repeat_interrupted([&] { return calls_.sync(file_); }) < 0 && errno != EINVAL)  // EINVAL: a pipe
      detail::raise_io_error("AppendFile", path_, "fsync", "a loss of power may undo its last lines", "");
  }

  /// Bytes in the file.
  std::uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

 private:
  bool cut() {
    return detail::repeat_interrupted([&] { return calls_.truncate(file_, size_); }) >= 0;
  }

  FileCalls& calls_ = file_calls();
  std::string path_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
