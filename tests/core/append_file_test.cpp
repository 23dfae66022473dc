// AppendFile: pieces are whole, what follows `keep` bytes is cut off, and each call failing.

#include "gptlite/core/append_file.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "support/recorded_calls.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

TEST_CASE("a file is emptied, or continued after the bytes that are kept") {
  const TemporaryFolder folder;
  const std::string path = folder.file("log", "line 1\nline 2\nhalf a l");
  {
    io::AppendFile file(path, 14);
    CHECK(file.size() == 14);
    CHECK(bytes_of(path) == "line 1\nline 2\n");
    file.append("line 3\n");
    CHECK(bytes_of(path) == "line 1\nline 2\nline 3\n");  // at once, before it is closed
    CHECK(file.size() == 21);
    file.sync();
  }
  {
    io::AppendFile longer(path, 1000);  // a loss of power took its end
    CHECK(longer.size() == 21);
  }
  const io::AppendFile fresh(path);
  CHECK(fresh.size() == 0);
  CHECK(bytes_of(path).empty());
}

TEST_CASE("a piece that cannot be written whole is taken back") {
  struct HalfWrites : RecordedCalls {
    std::ptrdiff_t write(int file, const void* bytes, std::size_t n) override {
      return RecordedCalls::write(file, bytes, n > 4 ? 4 : n);
    }
  } calls;
  const TemporaryFolder folder;
  const std::string path = folder.file("log");
  const io::FileCallsScope scope(calls);
  io::AppendFile file(path);
  file.append("a line\n");
  calls.fail(1, ENOSPC);  // the second half
  CHECK(message_of<IoError>([&] { file.append("lost line\n"); }) ==
        "[AppendFile] " + path +
            ": write failed: No space left on device; what was written before is untouched: free space");
  CHECK(bytes_of(path) == "a line\n");
  calls.fail(0, EINTR);
  file.append("next\n");
  CHECK(bytes_of(path) == "a line\nnext\n");
  calls.fail(0, EIO);
  CHECK(message_of<IoError>([&] { file.sync(); }) ==
        "[AppendFile] " + path +
            ": fsync failed: Input/output error; a loss of power may undo its last lines: check the disk");
}

TEST_CASE("a file that cannot be opened or cut is an error") {
  const TemporaryFolder folder;
  const std::string path = folder.file("log", "text");
  RecordedCalls calls;
  const io::FileCallsScope scope(calls);
  calls.fail(0, EACCES);
  CHECK(message_of<IoError>([&] { io::AppendFile file(path); }) ==
        "[AppendFile] " + path + ": open failed: Permission denied; nothing was written: make its folder writable");
  calls.fail(1, EIO);
  CHECK(message_of<IoError>([&] { io::AppendFile file(path); }) ==
        "[AppendFile] " + path + ": truncate failed: Input/output error; nothing was written: check the disk");
  CHECK(bytes_of(path) == "text");
}
