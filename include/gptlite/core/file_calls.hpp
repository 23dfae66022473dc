#pragma once
// FileCalls: the system calls that write, lock, rename and remove files, in one place that tests can replace.
// What writes files is in core/, like text_file.hpp, since all floors may do it; io/ has the formats that need
// nlohmann-json.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "gptlite/core/error.hpp"

#if defined(_WIN32)
#include <direct.h>
#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#else
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The system calls by which the library writes. Each returns -1 and sets errno if it fails. A test derives from it to
/// record calls or to let them fail, and puts it in place with a FileCallsScope.
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
};

namespace detail {
inline FileCalls& system_file_calls() {
  static FileCalls calls;  // has no state
  return calls;
}
/// The calls in force in this thread, a documented global; null: the system's.
inline FileCalls*& replaced_file_calls() {
  static thread_local FileCalls* calls = nullptr;
  return calls;
}
#if !defined(_WIN32)
/// Moves a descriptor above those of the standard streams. If stderr is closed, the next file would become stderr, and
/// messages would be written into it.
inline int above_standard_streams(int file) {
  if (file < 0 || file > 2) return file;
  const int moved = ::fcntl(file, F_DUPFD_CLOEXEC, 3), reason = errno;
  ::close(file);
  errno = reason;
  return moved;
}
#endif
}  // namespace detail

/// The calls that this thread writes with: those of the innermost FileCallsScope, else the system's.
inline FileCalls& file_calls() {
  FileCalls* const replaced = detail::replaced_file_calls();
  return replaced != nullptr ? *replaced : detail::system_file_calls();
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

/// Writes n bytes, in as many calls as it takes. Returns false and leaves errno if a call fails.
inline bool write_all(FileCalls& calls, int file, const void* bytes, std::size_t n) {
  for (const char* at = static_cast<const char*>(bytes); n > 0;) {
    constexpr std::size_t most = std::size_t{1} << 30;  // macOS refuses 2 GB and more at once
    const std::ptrdiff_t written = repeat_interrupted([&] { return calls.write(file, at, n < most ? n : most); });
    if (written == 0) errno = EIO;
    if (written <= 0) return false;
    at += written;
    n -= static_cast<std::size_t>(written);
  }
  return true;
}

/// Throws IoError "path: call failed: reason; state: what to do", from errno.
[[noreturn]] inline void raise_io_error(std::string_view where, const std::string& path, const char* call,
                                        const char* state, const char* then = " and save again") {
  const int reason = errno;
  bool space = reason == ENOSPC || reason == EFBIG;
#if defined(EDQUOT)
  space = space || reason == EDQUOT;
#endif
  const char* advice = space                                                    ? "free space"
                       : reason == ENOENT                                       ? "create its folder"
                       : reason == EACCES || reason == EROFS || reason == EPERM ? "make its folder writable"
                                                                                : "check the disk";
  raise<IoError>(where, path, ": ", call, " failed: ", std::strerror(reason), "; ", state, ": ", advice, then);
}

/// The folder that a path is in.
inline std::string parent_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
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
  const int result = ::fsync(folder), reason = errno;
  ::close(folder);
  errno = reason;
  return result == 0 || reason == EINVAL ? 0 : -1;  // EINVAL: this file system does not sync folders
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

/// True if there is a file or a folder at `path`. Throws IoError with the system's reason if this cannot be determined:
/// a folder that may not be searched, a name that is too long, a loop of links.
inline bool path_exists(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  check<IoError>(status.type() != std::filesystem::file_type::none, "path_exists", path, ": ", error.message());
  return std::filesystem::exists(status);
}

/// Creates a folder and its missing parents. When it returns, their names survive a loss of power. Throws IoError with
/// the system's reason if it cannot.
inline void make_folder(const std::string& folder) {
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) return;
  const std::string parent = detail::parent_of(folder);
  if (std::filesystem::status(parent, error).type() == std::filesystem::file_type::not_found) make_folder(parent);
  if (std::filesystem::is_directory(folder, error)) return;  // "runs/" is where "runs" is
  FileCalls& calls = file_calls();
  if (calls.make_folder(folder.c_str()) < 0 && errno != EEXIST)
    raise<IoError>("make_folder", folder, ": ", std::strerror(errno));
  check<IoError>(std::filesystem::is_directory(folder, error), "make_folder", folder, ": not a folder");
  if (detail::repeat_interrupted([&] { return calls.sync_folder(parent.c_str()); }) < 0)
    raise<IoError>("make_folder", folder, ": fsync of ", parent, " failed: ", std::strerror(errno));
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
