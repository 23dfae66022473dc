#pragma once
// TemporaryFolder: a folder of a test's own that is removed in the end, in memory where the system offers it: hundreds
// of small files would wait for a disk.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <system_error>

struct TemporaryFolder {
  const std::filesystem::path path = base() / ("gptlite_test_" + std::to_string(std::random_device{}()));
  TemporaryFolder() { std::filesystem::create_directory(path); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  /// The path of a file in the folder.
  std::string file(const std::string& name) const { return (path / name).string(); }
  /// The same, after writing it.
  std::string file(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return file(name);
  }

 private:
  static std::filesystem::path base() {
    std::error_code error;
    const std::filesystem::space_info memory = std::filesystem::space("/dev/shm", error);
    return !error && memory.available > (std::uintmax_t{1} << 28) ? "/dev/shm" : std::filesystem::temp_directory_path();
  }
};

/// All bytes of a file; none if there is no file.
inline std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
