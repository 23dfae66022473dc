// AtomicFile: files are replaced whole or not at all; the order of its system calls, and each of them failing.

#include "gptlite/core/atomic_file.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "support/recorded_calls.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

#if !defined(_WIN32)
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#endif

using namespace gptlite;

namespace {

// Writes are cut to 3 bytes.
struct ShortWrites : RecordedCalls {
  std::ptrdiff_t write(int file, const void* bytes, std::size_t n) override {
    return RecordedCalls::write(file, bytes, n < 3 ? n : 3);
  }
};

void save(const std::string& path, const std::string& bytes) {
  io::AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

// What a save says whose call of that number fails.
std::string failure(ShortWrites& made, int call, int reason, const std::string& path) {
  made.fail(call, reason);
  const io::FileCallsScope scope(made);
  return message_of<IoError>([&] { save(path, "newer"); });
}

std::ptrdiff_t files_in(const TemporaryFolder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path), {});
}

const std::vector<std::string> calls{"open", "lock", "write", "write", "fsync", "close", "rename", "fsync of folder"};

}  // namespace

TEST_CASE("a file is written in pieces, and replaced") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  save(path, "first");
  CHECK(bytes_of(path) == "first");
  io::AtomicFile file(path);
  file.write("se", 2);
  file.write("", 0);
  file.write("cond", 4);
  CHECK(bytes_of(path) == "first");
  file.commit();
  CHECK(bytes_of(path) == "second");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("everything is on the disk before the name, and the name before success") {
  const TemporaryFolder folder;
  ShortWrites made;
  CHECK(failure(made, -1, 0, folder.file("x")) == "no exception");
  CHECK(made.made == calls);
  CHECK(bytes_of(folder.file("x")) == "newer");
}

TEST_CASE("whichever call fails, a whole file stands, nothing else is left, and the error names the call") {
  for (std::size_t call = 0; call < calls.size(); ++call) {
    const std::string name = calls[call];
    if (name == "lock") continue;  // a file system without locks
    const TemporaryFolder folder;
    const std::string path = folder.file("x", "old");
    ShortWrites made;
    const std::string message = failure(made, static_cast<int>(call), EIO, path);
    CAPTURE(name);
    CHECK(files_in(folder) == 1);
    if (name != "fsync of folder") {
      CHECK(bytes_of(path) == "old");
      CHECK(message ==
            "[AtomicFile] " + path + ": " + name +
                " failed: Input/output error; what stood there before is untouched: check the disk and save again");
    } else {
      CHECK(bytes_of(path) == "newer");
      CHECK(message ==
            "[AtomicFile] " + path +
                ": fsync of its folder failed: Input/output error; the new file is there, but a loss of power "
                "may still undo it: check the disk and save again");
    }
    // A failed fsync is not repeated: the second would succeed without having written.
    CHECK(std::count(made.made.begin(), made.made.end(), "fsync") <= 1);
  }
}

TEST_CASE("an interrupted call is repeated, but close; a file system need not have locks") {
  const TemporaryFolder folder;
  for (std::size_t call = 0; call < calls.size(); ++call) {
    if (calls[call] == "rename") continue;  // is never interrupted
    ShortWrites made;
    const bool lock = calls[call] == "lock";
    CHECK(failure(made, static_cast<int>(call), lock ? ENOLCK : EINTR, folder.file("x")) == "no exception");
    CHECK(made.made.size() == calls.size() + (lock || calls[call] == "close" ? 0 : 1));
    CHECK(bytes_of(folder.file("x")) == "newer");
  }
}

TEST_CASE("a file that failed or was not committed leaves the old one") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x", "old");
  { io::AtomicFile(path).write("new", 3); }
  CHECK(bytes_of(path) == "old");
  CHECK(files_in(folder) == 1);
  ShortWrites made;
  const io::FileCallsScope scope(made);
  io::AtomicFile file(path);
  made.fail(0, ENOSPC);
  CHECK(message_of<IoError>([&] { file.write("lost", 4); }) ==
        "[AtomicFile] " + path +
            ": write failed: No space left on device; what stood there before is untouched: free space and save again");
  CHECK_THROWS_AS(file.commit(), IoError);
  CHECK(bytes_of(path) == "old");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("two writers do not meet, and what a killed one left is removed") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x");
  folder.file("x.tmp-0", "left over");
  folder.file("x.tmp-1", "left over too");
  io::AtomicFile one(path), other(path);
  one.write("one", 3);
  other.write("other", 5);
  CHECK(files_in(folder) == 2);
  one.commit();
  CHECK(bytes_of(path) == "one");
  other.commit();
  CHECK(bytes_of(path) == "other");
  CHECK(files_in(folder) == 1);
}

#if !defined(_WIN32)
TEST_CASE("with stderr closed, no file takes its place") {
  const TemporaryFolder folder;
  const int stderr_before = ::dup(2);
  ::close(2);
  {
    io::AtomicFile file(folder.file("x"));
    std::fputs("message", stderr);
    std::fflush(stderr);
    std::clearerr(stderr);
    file.write("mine", 4);
    file.commit();
  }
  ::dup2(stderr_before, 2);
  ::close(stderr_before);
  CHECK(bytes_of(folder.file("x")) == "mine");
}
#endif

TEST_CASE("what is no file is not replaced, and a folder must exist") {
  const TemporaryFolder folder;
  CHECK(message_of<IoError>([&] { io::AtomicFile file(folder.path.string()); }) ==
        "[AtomicFile] " + folder.path.string() + ": not a file; nothing was written: choose another name");
  const std::string path = folder.file("missing/x");
  CHECK(
      message_of<IoError>([&] { io::AtomicFile file(path); }) ==
      "[AtomicFile] " + path +
          ": open failed: No such file or directory; what stood there before is untouched: create its folder and save "
          "again");
}

#if !defined(_WIN32)
TEST_CASE("a path without a folder is in the current one") {
  const TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path);
  save("x", "here");
  std::filesystem::current_path(before);
  CHECK(bytes_of(folder.file("x")) == "here");
}

TEST_CASE("a disk that fills up leaves the old file whole") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x", "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{1000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  const std::string message = message_of<IoError>([&] { save(path, std::string(2000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(message ==
        "[AtomicFile] " + path +
            ": write failed: File too large; what stood there before is untouched: free space and save again");
  CHECK(bytes_of(path) == "old");
  CHECK(files_in(folder) == 1);
}
#endif

#if !defined(_WIN32)
TEST_CASE("a path that the system refuses is an error that says why, not a file that is missing") {
  const TemporaryFolder folder;
  const std::string loop = folder.file("loop"), long_name = folder.file(std::string(300, 'x'));
  std::filesystem::create_symlink("loop", loop);
  CHECK(message_of<IoError>([&] { io::path_exists(loop); }) ==
        "[path_exists] " + loop + ": Too many levels of symbolic links");
  CHECK(message_of<IoError>([&] { io::path_exists(long_name); }) ==
        "[path_exists] " + long_name + ": File name too long");
  CHECK_THROWS_AS(io::make_folder(loop), IoError);
  CHECK_THROWS_AS(io::make_folder(long_name), IoError);
  CHECK(message_of<IoError>([] { io::make_folder("/proc/self/here"); }).starts_with("[make_folder] /proc/self/here: "));
}
#endif
