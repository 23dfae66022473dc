#pragma once
// FolderLock: keeps two programs from writing to one folder.

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <string>
#include <utility>

#include "gptlite/core/error.hpp"
#include "gptlite/core/files.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Holds the lock of a folder, in its file .lock, until it goes out of scope or the process ends, however it ends.
/// Where a file system has no locks, nothing is held and nothing is refused.
class FolderLock {
 public:
  /// folder: an existing one. Throws IoError with the number of the other process if that one holds the lock, and with
  /// the system's reason if the folder cannot be written to.
  explicit FolderLock(const std::string& folder) : path_(folder + "/.lock") {
    for (;;) {
      file_ = detail::repeat_interrupted([&] { return calls_.open_append(path_.c_str()); });
      if (file_ < 0) detail::raise_io_error("FolderLock", path_, "open", "nothing was written");
      if (calls_.lock(file_) < 0 && errno == EWOULDBLOCK) {
        std::string process;
        std::ifstream(path_) >> process;
        calls_.close(std::exchange(file_, -1));
        raise<IoError>("FolderLock", folder, ": process ", process.empty() ? "?" : process,
                       " is writing to this folder: wait until it has ended, or choose another folder");
      }
      if (is_ours()) break;
      calls_.close(std::exchange(file_, -1));  // its last holder removed it while this one opened it
    }
    const std::string process = std::to_string(process_id()) + "\n";
    calls_.truncate(file_, 0);
    detail::write_all(calls_, file_, process.data(), process.size());  // for the message alone
  }
  ~FolderLock() {
    if (file_ < 0) return;
    calls_.remove(path_.c_str());
    calls_.close(file_);
    calls_.remove(path_.c_str());  // on Windows, an open file cannot be removed
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
#if defined(_WIN32)
  bool is_ours() const { return true; }
  static long long process_id() { return 0; }
#else
  // True if the open file is the one that the path names.
  bool is_ours() const {
    struct stat open {
    }, named{};
    return ::fstat(file_, &open) == 0 && ::stat(path_.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
           open.st_dev == named.st_dev;
  }
  static long long process_id() { return ::getpid(); }
#endif

  FileCalls& calls_ = file_calls();
  std::string path_;
  int file_ = -1;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
