#pragma once
// AtomicFile: a file that is replaced whole or not at all, whatever fails: a full disk, a killed process, lost power.
// It is in core/, like text_file.hpp, since all floors may read and write files; io/ has the formats that need
// nlohmann-json.

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "gptlite/core/error.hpp"

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#else
#include <fcntl.h>
#include <unistd.h>
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The system calls of an AtomicFile. Each returns -1 and sets errno if it fails. Tests replace them with failing ones.
struct FileCalls {
#if defined(_WIN32)
  static int create(const char* path) {
    return ::_open(path, _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY, _S_IREAD | _S_IWRITE);
  }
  static std::ptrdiff_t write(int file, const void* bytes, std::size_t n) {
    return ::_write(file, bytes, static_cast<unsigned>(n));
  }
  static int sync(int file) { return ::_commit(file); }
  static int close(int file) { return ::_close(file); }
  static int sync_folder(const char*) { return 0; }  // Windows has no such call
#else
  static int create(const char* path) { return ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }
  static std::ptrdiff_t write(int file, const void* bytes, std::size_t n) { return ::write(file, bytes, n); }
  static int sync(int file) {
#if defined(F_FULLFSYNC)  // macOS: fsync alone leaves the bytes in the drive's cache
    if (::fcntl(file, F_FULLFSYNC) == 0) return 0;
#endif
    return ::fsync(file);
  }
  static int close(int file) { return ::close(file); }
  static int sync_folder(const char* path) {
    const int folder = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -1;
    const int result = ::fsync(folder), reason = errno;
    ::close(folder);
    errno = reason;
    return result == 0 || reason == EINVAL ? 0 : -1;  // EINVAL: this file system does not sync folders
  }
#endif
  static int rename(const char* from, const char* to) {
    std::error_code error;
    std::filesystem::rename(from, to, error);
    errno = error.default_error_condition().value();
    return error ? -1 : 0;
  }
  static int remove(const char* path) {
    std::error_code error;
    return std::filesystem::remove(path, error) ? 0 : -1;
  }
};

/// Writes a temporary file beside `path` and, in commit(), renames it to `path`. Until then, and if anything fails, the
/// previous file is untouched. The temporary file is removed, except by a process that is killed: it leaves a
/// `path`.tmp-N that may be deleted. Every failure throws IoError with the call, the path, the system's reason and what
/// to do about it.
template <class Calls>
class BasicAtomicFile {
 public:
  /// path: an existing file, or a new name in a folder that exists.
  explicit BasicAtomicFile(std::string path) : path_(std::move(path)) {
    // A rename would replace /dev/null with a file.
    std::error_code unknown;
    const std::filesystem::file_status status = std::filesystem::status(path_, unknown);
    check<IoError>(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status), "AtomicFile", path_,
                   ": not a file; nothing was written: choose another name");
    for (int n = 0; file_ < 0; ++n) {  // a name may be in use, or left over by a killed process
      temporary_ = path_ + ".tmp-" + std::to_string(n);
      file_ = repeated([&] { return Calls::create(temporary_.c_str()); });
      if (file_ < 0 && errno != EEXIST) {
        temporary_.clear();
        fail_call("open");
      }
    }
  }
  ~BasicAtomicFile() { discard(); }
  BasicAtomicFile(const BasicAtomicFile&) = delete;
  BasicAtomicFile& operator=(const BasicAtomicFile&) = delete;

  /// Appends n bytes.
  void write(const void* bytes, std::size_t n) {
    for (const char* at = static_cast<const char*>(bytes); n > 0;) {
      constexpr std::size_t most = std::size_t{1} << 30;  // macOS refuses 2 GB and more at once
      const std::ptrdiff_t written = repeated([&] { return Calls::write(file_, at, n < most ? n : most); });
      if (written <= 0) fail_call("write");
      at += written;
      n -= static_cast<std::size_t>(written);
    }
  }

  /// Replaces `path` with the bytes written. When it returns, the new file survives a loss of power.
  void commit() {
    // Not repeated after an error: the system has then dropped the data it could not write, and a second fsync would
    // succeed.
    if (repeated([&] { return Calls::sync(file_); }) < 0) fail_call("fsync");
    if (Calls::close(std::exchange(file_, -1)) < 0 && errno != EINTR) fail_call("close");
    if (Calls::rename(temporary_.c_str(), path_.c_str()) < 0) fail_call("rename");
    temporary_.clear();
    const std::string folder = std::filesystem::path(path_).parent_path().string();
    if (repeated([&] { return Calls::sync_folder(folder.empty() ? "." : folder.c_str()); }) < 0) {
      raise<IoError>("AtomicFile", path_, ": fsync of its folder failed: ", std::strerror(errno),
                     "; the new file is there, but a loss of power may still undo it: check the disk and save again");
    }
  }

 private:
  /// Repeats a call while a signal interrupts it.
  template <class Call>
  static auto repeated(Call&& call) {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
  }

  void discard() noexcept {
    if (file_ >= 0) Calls::close(std::exchange(file_, -1));
    if (!temporary_.empty()) Calls::remove(temporary_.c_str());
    temporary_.clear();
  }

  [[noreturn]] void fail_call(const char* call) {
    const int reason = errno;
    discard();
    const char* advice = reason == ENOSPC || reason == EFBIG   ? "free space"
                         : reason == ENOENT                    ? "create its folder"
                         : reason == EACCES || reason == EROFS ? "make its folder writable"
                                                               : "check the disk";
    raise<IoError>("AtomicFile", path_, ": ", call, " failed: ", std::strerror(reason),
                   "; what stood there before is untouched: ", advice, " and save again");
  }

  std::string path_, temporary_;  // temporary_ is empty once there is nothing to remove
  int file_ = -1;
};

using AtomicFile = BasicAtomicFile<FileCalls>;

/// True if there is a file or a folder at `path`. Throws IoError with the system's reason if this cannot be determined:
/// a folder that may not be searched, a name that is too long, a loop of links.
inline bool path_exists(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  check<IoError>(status.type() != std::filesystem::file_type::none, "path_exists", path, ": ", error.message());
  return std::filesystem::exists(status);
}

/// Creates a folder and its missing parents. Throws IoError with the system's reason if it cannot.
inline void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check<IoError>(!error, "make_folder", folder, ": ", error.message());
  check<IoError>(std::filesystem::is_directory(folder, error), "make_folder", folder, ": not a folder");
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
