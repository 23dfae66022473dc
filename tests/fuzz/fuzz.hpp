#pragma once
// What fuzz targets share. A target is a function of some bytes; it may throw nothing but the library's own errors.

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/file_calls.hpp"

namespace fuzz {

/// A fuzz target: its name, which is that of its folder of corpus files and of its dictionary, and its function.
struct Target {
  const char* name;
  void (*run)(std::string_view bytes);
};
/// All targets: targets.cpp.
const std::vector<Target>& targets();

/// Files in memory, instead of those of the system: one is written at a time.
struct MemoryFiles : gptlite::io::FileCalls {
  std::map<std::string, std::string> files;

  int read_file(const char* path, std::string& text) override {
    const auto found = files.find(path);
    if (found == files.end()) return none();
    text += found->second;
    return 0;
  }
  std::unique_ptr<std::istream> open_to_read(const char* path) override {
    const auto found = files.find(path);
    if (found == files.end()) return none(), nullptr;
    return std::make_unique<std::istringstream>(found->second);
  }
  int exists(const char* path) override { return files.contains(path) ? 1 : 0; }

  int create(const char* path) override {
    written_ = &(files[path] = "");
    return 3;
  }
  std::ptrdiff_t write(int, const void* bytes, std::size_t n) override {
    written_->append(static_cast<const char*>(bytes), n);
    return static_cast<std::ptrdiff_t>(n);
  }
  int sync(int) override { return 0; }
  int close(int) override { return 0; }
  int lock(int) override { return 0; }
  int rename(const char* from, const char* to) override {
    files[to] = std::move(files.at(from));
    return remove(from);
  }
  int remove(const char* path) override { return files.erase(path) == 1 ? 0 : none(); }
  int sync_folder(const char*) override { return 0; }

 private:
  static int none() {
    errno = ENOENT;
    return -1;
  }
  std::string* written_ = nullptr;
};

/// Runs `work`, which may refuse the bytes with one of the library's errors. Returns true if it did not.
template <class Work>
bool accepted(Work&& work) {
  try {
    work();
    return true;
  } catch (const gptlite::Error& error) {
    if (std::strlen(error.what()) == 0) std::abort();
    return false;
  }
}

/// Ends the program, as a crash does, unless something that always holds holds.
inline void always(bool condition) {
  if (!condition) std::abort();
}

/// The bytes cut at each zero byte, into at most `most` parts.
inline std::vector<std::string> parts_of(std::string_view bytes, std::size_t most) {
  std::vector<std::string> parts;
  while (parts.size() + 1 < most) {
    const std::size_t zero = bytes.find('\0');
    parts.emplace_back(bytes.substr(0, zero));
    if (zero == bytes.npos) return parts;
    bytes.remove_prefix(zero + 1);
  }
  parts.emplace_back(bytes);
  return parts;
}

}  // namespace fuzz
