// read_text and write_text: whole files byte by byte, and the reason why one cannot be read or written.

#include "gptlite/core/text_file.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#if defined(__unix__)
#include <signal.h>
#include <sys/time.h>
#endif

#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

#if !defined(_WIN32)
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#endif

using namespace gptlite;

TEST_CASE("a file is read byte by byte") {
  const TemporaryFolder folder;
  std::string bytes = "one\r\ntwo\n";
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  CHECK(io::read_text(folder.file("bytes", bytes)) == bytes);
  const std::string large(1000003, 'x');
  CHECK((io::read_text(folder.file("large", large)) == large));
}

TEST_CASE("a failure before is not taken for one of this file") {
  const TemporaryFolder folder;
  const std::string path = folder.file("text", "hello");
  errno = EACCES;
  CHECK(io::read_text(path) == "hello");
}

#if defined(__unix__)
TEST_CASE("a signal while a file is read fails nothing") {
  const TemporaryFolder folder;
  const std::string bytes(20'000'000, 'x'), path = folder.file("large", bytes);
  struct sigaction ignore {
  }, before{};
  ignore.sa_handler = [](int) { errno = EINTR; };  // as a handler that calls into the system leaves it
  sigaction(SIGALRM, &ignore, &before);
  const itimerval every_ms{{0, 1000}, {0, 1000}}, never{};
  setitimer(ITIMER_REAL, &every_ms, nullptr);
  bool same = true;
  for (int i = 0; i < 5 && same; ++i) same = io::read_text(path) == bytes;
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  CHECK(same);
}
#endif

#if !defined(_WIN32)
TEST_CASE("a pipe is read to its end; one without a writer, and a device, do not block") {
  const TemporaryFolder folder;
  const std::string fifo = folder.file("fifo");
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(message_of<DataError>([&] { io::read_text(fifo); }) == "[read_text] " + fifo + ": the file is empty");
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) {
      const std::string piece(1000, static_cast<char>('a' + i % 26));
      CHECK(::write(ends[1], piece.data(), piece.size()) == 1000);
      std::this_thread::sleep_for(std::chrono::milliseconds(i % 10 == 0 ? 5 : 0));
    }
    ::close(ends[1]);
  });
  const std::string text = io::read_text("/dev/fd/" + std::to_string(ends[0]));
  writer.join();
  ::close(ends[0]);
  CHECK(text.size() == 50'000);
  CHECK(text.ends_with(std::string(1000, 'x')));
  CHECK(message_of<DataError>([] { io::read_text("/dev/zero"); }) ==
        "[read_text] /dev/zero: cannot read: a device, not a file");
}
#endif

TEST_CASE("a missing file is reported with its path") {
  const TemporaryFolder folder;
  const std::string path = folder.file("missing.txt");
  CHECK(message_of<DataError>([&] { io::read_text(path); }) ==
        "[read_text] " + path + ": cannot read: No such file or directory");
}

TEST_CASE("a folder is not a text") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  CHECK(message_of<DataError>([&] { io::read_text(path); }) == "[read_text] " + path + ": cannot read: Is a directory");
}

TEST_CASE("an empty file is reported") {
  const TemporaryFolder folder;
  const std::string path = folder.file("empty.txt", "");
  CHECK(message_of<DataError>([&] { io::read_text(path); }) == "[read_text] " + path + ": the file is empty");
}

TEST_CASE("a text is written byte by byte in the place of what was there") {
  const TemporaryFolder folder;
  const std::string path = folder.file("text", "a longer text that was there before"), bytes("a\r\n\0b", 5);
  io::write_text(path, bytes);
  CHECK(io::read_text(path) == bytes);
  CHECK(message_of<IoError>([&] { io::write_text(folder.file("none") + "/text", "a"); }).find("create its folder") !=
        std::string::npos);
}
