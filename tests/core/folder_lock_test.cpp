// FolderLock: one holder at a time, and none is left behind, however it ended.

#include "gptlite/core/folder_lock.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>

#include "support/recorded_calls.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>

using namespace gptlite;

TEST_CASE("a second holder is told which process has the lock; its end gives the lock free") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  std::optional<io::FolderLock> lock(path);
  CHECK(message_of<IoError>([&] { io::FolderLock second(path); }) ==
        "[FolderLock] " + path + ": process " + std::to_string(getpid()) +
            " is writing to this folder: wait until it has ended, or choose another folder");
  lock.reset();
  CHECK(std::filesystem::is_empty(path));
  CHECK_NOTHROW(io::FolderLock{path});
}

TEST_CASE("the lock of a killed process holds nobody up") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  const pid_t child = fork();
  if (child == 0) {
    const io::FolderLock lock(path);
    _exit(0);  // no destructor
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(std::filesystem::exists(path + "/.lock"));
  CHECK_NOTHROW(io::FolderLock{path});
  CHECK(std::filesystem::is_empty(path));
}

TEST_CASE("a file system without locks refuses nobody; a folder that cannot be written does") {
  const TemporaryFolder folder;
  RecordedCalls calls;
  const io::FileCallsScope scope(calls);
  calls.fail(1, ENOLCK);
  CHECK_NOTHROW(io::FolderLock{folder.path.string()});
  calls.fail(0, EROFS);
  CHECK(message_of<IoError>([&] { io::FolderLock lock(folder.path.string()); }) ==
        "[FolderLock] " + folder.file(".lock") +
            ": open failed: Read-only file system; nothing was written: make its folder writable and save again");
}
#endif
