#pragma once
// FileCalls: the system calls that read, write, lock, rename and remove files, in one place that tests can replace.
// What reads and writes files is in core/, like text_file.hpp, since all floors may do it; io/ has the formats that
// need nlohmann-json.

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "gptlite/config.hpp"

#if defined(_WIN32)
#include <direct.h>
#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#else
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The system calls by which the library reads and writes files. Each returns -1 and sets errno if it fails. A test
/// derives from it to record calls or to let them fail, and puts it in place with a FileCallsScope.
class FileCalls {
 public:
  FileCalls() = default;
  virtual ~FileCalls() = default;
  FileCalls(const FileCalls&) = delete;
  FileCalls& operator=(const FileCalls&) = delete;

  /// Creates a file that must not exist yet, and opens it for writing.
  virtual int create(const char* path);
  /// Opens a file, or makes an empty one, to append to it.
  virtual int open_append(const char* path);
  virtual std::ptrdiff_t write(int file, const void* bytes, std::size_t n);
  virtual int truncate(int file, std::uint64_t size);
  virtual int sync(int file);
  virtual int close(int file);
  /// Takes the lock of an open file without waiting, until it is closed or its process ends. errno is EWOULDBLOCK if
  /// another holds it.
  virtual int lock(int file);
  virtual int rename(const char* from, const char* to);
  /// Lets two folders change names in one step. Fails where the system or the file system cannot.
  virtual int exchange(const char* a, const char* b);
  virtual int link(const char* from, const char* to);
  /// Removes a file or an empty folder.
  virtual int remove(const char* path);
  virtual int make_folder(const char* path);
  /// Makes the names in a folder survive a loss of power.
  virtual int sync_folder(const char* path);

  /// Appends a file, or a pipe to its end, to `text`. errno is ENODEV for a device that never ends. A FIFO that no
  /// program writes to is empty: waiting for a writer could last for ever.
  virtual int read_file(const char* path, std::string& text);
  /// Opens a file to read parts of it; null, and errno, if that fails.
  virtual std::unique_ptr<std::istream> open_to_read(const char* path);
  /// 1 if there is a file or a folder at `path`, 0 if not, -1 if that cannot be determined.
  virtual int exists(const char* path);
};

namespace detail {
/// The calls in force in this thread, a documented global; null: the system's.
inline FileCalls*& replaced_file_calls() {
  static thread_local FileCalls* calls = nullptr;
  return calls;
}
/// Puts errno back at the end of its scope: for what tidies up after a call that failed.
struct KeepErrno {
  const int reason = errno;
  ~KeepErrno() { errno = reason; }
};
#if !defined(_WIN32)
/// Moves a descriptor above those of the standard streams. If stderr is closed, the next file would become stderr, and
/// messages would be written into it.
inline int above_standard_streams(int file) {
  if (file < 0 || file > 2) return file;
  const int moved = ::fcntl(file, F_DUPFD_CLOEXEC, 3);
  const KeepErrno keep;
  ::close(file);
  return moved;
}
#endif
}  // namespace detail

/// The calls that this thread writes with: those of the innermost FileCallsScope, else the system's.
inline FileCalls& file_calls() {
  static FileCalls system;  // documented global: has no state
  FileCalls* const replaced = detail::replaced_file_calls();
  return replaced != nullptr ? *replaced : system;
}

/// Lets this thread write with other calls until it goes out of scope; the calls must outlive it.
class FileCallsScope {
 public:
  explicit FileCallsScope(FileCalls& calls) : previous_(std::exchange(detail::replaced_file_calls(), &calls)) {}
  ~FileCallsScope() { detail::replaced_file_calls() = previous_; }
  FileCallsScope(const FileCallsScope&) = delete;
  FileCallsScope& operator=(const FileCallsScope&) = delete;

 private:
  FileCalls* previous_;
};

namespace detail {

/// Repeats a call while a signal interrupts it.
template <class Call>
auto repeat_interrupted(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace detail

#if defined(_WIN32)
inline int FileCalls::create(const char* path) {
  return ::_open(path, _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY, _S_IREAD | _S_IWRITE);
}
inline int FileCalls::open_append(const char* path) {
  return ::_open(path, _O_WRONLY | _O_CREAT | _O_APPEND | _O_BINARY, _S_IREAD | _S_IWRITE);
}
inline std::ptrdiff_t FileCalls::write(int file, const void* bytes, std::size_t n) {
  return ::_write(file, bytes, static_cast<unsigned>(n));
}
inline int FileCalls::truncate(int file, std::uint64_t size) {
  errno = ::_chsize_s(file, static_cast<__int64>(size));
  return errno == 0 ? 0 : -1;
}
inline int FileCalls::sync(int file) { return ::_commit(file); }
inline int FileCalls::close(int file) { return ::_close(file); }
inline int FileCalls::lock(int) { return 0; }  // an open file cannot be removed by others there
inline int FileCalls::exchange(const char*, const char*) {
  errno = ENOSYS;
  return -1;
}
inline int FileCalls::sync_folder(const char*) { return 0; }  // Windows has no such call
inline int FileCalls::read_file(const char* path, std::string& text) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::array<char, 1 << 16> piece;
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0)
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  if (file.is_open() && file.eof()) return 0;
  if (errno == 0) errno = EIO;
  return -1;
}
#else
inline int FileCalls::create(const char* path) {
  return detail::above_standard_streams(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
}
inline int FileCalls::open_append(const char* path) {
  return detail::above_standard_streams(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
}
inline std::ptrdiff_t FileCalls::write(int file, const void* bytes, std::size_t n) { return ::write(file, bytes, n); }
inline int FileCalls::truncate(int file, std::uint64_t size) { return ::ftruncate(file, static_cast<off_t>(size)); }
inline int FileCalls::sync(int file) {
#if defined(F_FULLFSYNC)  // macOS: fsync alone leaves the bytes in the drive's cache
  if (::fcntl(file, F_FULLFSYNC) == 0) return 0;
#endif
  return ::fsync(file);
}
inline int FileCalls::close(int file) { return ::close(file); }
inline int FileCalls::lock(int file) { return ::flock(file, LOCK_EX | LOCK_NB); }
inline int FileCalls::exchange(const char* a, const char* b) {
#if defined(__linux__) && defined(SYS_renameat2)
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2u));  // 2: RENAME_EXCHANGE
#elif defined(RENAME_SWAP)
  return ::renamex_np(a, b, RENAME_SWAP);
#else
  errno = ENOSYS;
  return -1;
#endif
}
inline int FileCalls::sync_folder(const char* path) {
  const int folder = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  const int result = ::fsync(folder);
  const detail::KeepErrno keep;
  ::close(folder);
  return result == 0 || keep.reason == EINVAL ? 0 : -1;  // EINVAL: this file system does not sync folders
}
inline int FileCalls::read_file(const char* path, std::string& text) {
  const int file = detail::repeat_interrupted([&] { return ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (file < 0) return -1;
  struct Close {
    int file;
    ~Close() {
      const detail::KeepErrno keep;
      ::close(file);
    }
  } const at_end{file};
  struct stat about {};
  if (::fstat(file, &about) < 0) return -1;
  if (S_ISBLK(about.st_mode) || (S_ISCHR(about.st_mode) && ::isatty(file) == 0)) {
    errno = ENODEV;
    return -1;
  }
  std::array<char, 1 << 16> piece;
  for (;;) {
    const auto n = detail::repeat_interrupted([&] { return ::read(file, piece.data(), piece.size()); });
    if (n == 0) return 0;
    if (n > 0) {
      text.append(piece.data(), static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd wanted{file, POLLIN, 0};
      ::poll(&wanted, 1, -1);
    } else {
      return -1;
    }
  }
}
#endif

namespace detail {
/// Runs a function of std::filesystem, which reports in an error_code, as a system call that reports in errno.
template <class F>
int as_call(F&& f) {
  std::error_code error;
  f(error);
  errno = error.default_error_condition().value();
  return error ? -1 : 0;
}
}  // namespace detail

inline int FileCalls::rename(const char* from, const char* to) {
  return detail::as_call([&](std::error_code& error) { std::filesystem::rename(from, to, error); });
}
inline int FileCalls::link(const char* from, const char* to) {
  return detail::as_call([&](std::error_code& error) { std::filesystem::create_hard_link(from, to, error); });
}
inline int FileCalls::remove(const char* path) {
  return detail::as_call([&](std::error_code& error) {
    if (!std::filesystem::remove(path, error) && !error)
      error = std::make_error_code(std::errc::no_such_file_or_directory);
  });
}
inline int FileCalls::make_folder(const char* path) {
#if defined(_WIN32)
  return ::_mkdir(path);
#else
  return ::mkdir(path, 0777);
#endif
}

inline std::unique_ptr<std::istream> FileCalls::open_to_read(const char* path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  errno = 0;
  if (std::filesystem::is_directory(status))
    errno = EISDIR;
  else if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    errno = ESPIPE;  // a pipe has no parts
  if (errno != 0) return nullptr;
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!file->is_open()) return nullptr;
  return file;
}
inline int FileCalls::exists(const char* path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  errno = error.default_error_condition().value();
  return status.type() == std::filesystem::file_type::none ? -1 : std::filesystem::exists(status) ? 1 : 0;
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
