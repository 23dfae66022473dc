#pragma once
// AtomicFile: a file that is replaced whole or not at all, whatever fails: a full disk, a killed process, lost power.

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "gptlite/core/error.hpp"
#include "gptlite/core/files.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Writes a temporary file beside `path` and, in commit(), renames it to `path`. Until then, and if anything fails, the
/// previous file is untouched. The temporary file, `path`.tmp-N, is removed; if the process is killed, the next
/// AtomicFile for `path` removes it. Every failure throws IoError with the call, the path, the system's reason and what
/// to do about it.
class AtomicFile {
 public:
  /// path: an existing file, or a new name in a folder that exists.
  explicit AtomicFile(std::string path) : path_(std::move(path)) {
    // A rename would replace /dev/null with a file.
    std::error_code unknown;
    const std::filesystem::file_status status = std::filesystem::status(path_, unknown);
    check<IoError>(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status), "AtomicFile", path_,
                   ": not a file; nothing was written: choose another name");
    int n = 0;
    while (!create(n)) ++n;
    for (++n; reclaim(name(n)); ++n) continue;  // others that a killed process left
  }
  ~AtomicFile() { discard(); }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends n bytes.
  void write(const void* bytes, std::size_t n) {
    if (!detail::write_all(calls_, file_, bytes, n)) fail("write");
  }

  /// Replaces `path` with the bytes written. When it returns, the new file survives a loss of power.
  void commit() {
    // Not repeated after an error: the system has then dropped the data it could not write, and a second fsync would
    // succeed.
    if (detail::repeat_interrupted([&] { return calls_.sync(file_); }) < 0) fail("fsync");
    if (calls_.close(std::exchange(file_, -1)) < 0 && errno != EINTR) fail("close");
    if (calls_.rename(temporary_.c_str(), path_.c_str()) < 0) fail("rename");
    temporary_.clear();
    const std::string folder = detail::parent_of(path_);
    if (detail::repeat_interrupted([&] { return calls_.sync_folder(folder.c_str()); }) < 0) {
      raise<IoError>("AtomicFile", path_, ": fsync of its folder failed: ", std::strerror(errno),
                     "; the new file is there, but a loss of power may still undo it: check the disk and save again");
    }
  }

 private:
  std::string name(int n) const { return path_ + ".tmp-" + std::to_string(n); }

  // Creates temporary file n. Returns false if the name is in use. The file's lock tells other processes that its
  // writer lives.
  bool create(int n) {
    temporary_ = name(n);
    const auto open = [&] { return calls_.create(temporary_.c_str()); };
    file_ = detail::repeat_interrupted(open);
    if (file_ < 0 && errno == EEXIST) {
      if (!reclaim(temporary_)) return false;
      file_ = detail::repeat_interrupted(open);
      if (file_ < 0 && errno == EEXIST) return false;
    }
    if (file_ < 0) {
      temporary_.clear();
      fail("open");
    }
    const bool taken = calls_.lock(file_) < 0 && errno == EWOULDBLOCK;
    if (!taken && path_exists(temporary_)) return true;
    calls_.close(std::exchange(file_, -1));  // another process took it for a left one before it was locked
    return false;
  }

  // Removes a temporary file that no living process writes. Returns true if it is gone.
  bool reclaim(const std::string& temporary) const {
    std::error_code error;
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(temporary, error))) return false;
    const int file = calls_.open_append(temporary.c_str());
    if (file < 0) return false;
    const bool left = calls_.lock(file) == 0;
#if defined(_WIN32)
    calls_.close(file);
    return calls_.remove(temporary.c_str()) == 0;
#else
    const bool removed = left && calls_.remove(temporary.c_str()) == 0;
    calls_.close(file);
    return removed;
#endif
  }

  void discard() noexcept {
    if (file_ >= 0) calls_.close(std::exchange(file_, -1));
    if (!temporary_.empty()) calls_.remove(temporary_.c_str());
    temporary_.clear();
  }

  [[noreturn]] void fail(const char* call) {
    {
      const detail::KeepErrno keep;
      discard();
    }
    detail::raise_io_error("AtomicFile", path_, call, "what stood there before is untouched");
  }

  FileCalls& calls_ = file_calls();
  std::string path_, temporary_;  // temporary_ is empty once there is nothing to remove
  int file_ = -1;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
