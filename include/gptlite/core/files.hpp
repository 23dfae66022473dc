#pragma once
// path_exists and make_folder, and what the classes that write files share.

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "gptlite/core/error.hpp"
#include "gptlite/core/file_calls.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {

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

/// True if there is a file or a folder at `path`. Throws IoError with the system's reason if this cannot be determined:
/// a folder that may not be searched, a name that is too long, a loop of links.
inline bool path_exists(const std::string& path) {
  const int found = file_calls().exists(path.c_str());
  if (found < 0) raise<IoError>("path_exists", path, ": ", std::strerror(errno));
  return found == 1;
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
