// read_file, read_text and write_text: whole files byte by byte, and the reason why one cannot be read or written.

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
  CHECK(io::read_file(folder.file("bytes", bytes)) == bytes);
  const std::string large(1000003, 'x');
  CHECK((io::read_file(folder.file("large", large)) == large));
}

TEST_CASE("a failure before is not taken for one of this file") {
  const TemporaryFolder folder;
  const std::string path = folder.file("text", "hello");
  errno = EACCES;
  CHECK(io::read_file(path) == "hello");
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
  for (int i = 0; i < 5 && same; ++i) same = io::read_file(path) == bytes;
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
  CHECK(message_of<DataError>([&] { io::read_file(fifo); }) == "[read_file] " + fifo + ": the file is empty");
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
  const std::string text = io::read_file("/dev/fd/" + std::to_string(ends[0]));
  writer.join();
  ::close(ends[0]);
  CHECK(text.size() == 50'000);
  CHECK(text.ends_with(std::string(1000, 'x')));
  CHECK(message_of<DataError>([] { io::read_file("/dev/zero"); }) ==
        "[read_file] /dev/zero: cannot read: a device, not a file");
}
#endif

TEST_CASE("a missing file is reported with its path") {
  const TemporaryFolder folder;
  const std::string path = folder.file("missing.txt");
  CHECK(message_of<DataError>([&] { io::read_file(path); }) ==
        "[read_file] " + path + ": cannot read: No such file or directory");
}

TEST_CASE("a folder is not a text") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  CHECK(message_of<DataError>([&] { io::read_file(path); }) == "[read_file] " + path + ": cannot read: Is a directory");
}

TEST_CASE("an empty file is reported") {
  const TemporaryFolder folder;
  const std::string path = folder.file("empty.txt", "");
  CHECK(message_of<DataError>([&] { io::read_file(path); }) == "[read_file] " + path + ": the file is empty");
}

TEST_CASE("a text is written byte by byte in the place of what was there") {
  const TemporaryFolder folder;
  const std::string path = folder.file("text", "a longer text that was there before"), bytes("a\r\n\0b", 5);
  io::write_text(path, bytes);
  CHECK(io::read_file(path) == bytes);
  CHECK(message_of<IoError>([&] { io::write_text(folder.file("none") + "/text", "a"); }).find("create its folder") !=
        std::string::npos);
}

TEST_CASE("a text is UTF-8 without a byte order mark, whose line ends stay; else its line and byte are named") {
  const TemporaryFolder folder;
  CHECK(io::read_text(folder.file("mark", "\xEF\xBB\xBFone\r\ntwo \xEF\xBB\xBF")) == "one\r\ntwo \xEF\xBB\xBF");
  CHECK(message_of<DataError>([&] {
          io::read_text(folder.file("mark", "\xEF\xBB\xBF"));
        }).ends_with(": the file is empty"));
  const auto message = [&](const std::string& bytes) {
    const std::string path = folder.file("text", bytes), text = message_of<DataError>([&] { io::read_text(path); });
    return text.substr(text.find(',') + 2);
  };
  const std::string rest = ": not UTF-8: convert the file, or remove what is no text";
  CHECK(message("\xFF") == "line 1, byte 1" + rest);
  CHECK(message("one\ntw\xC3\xA9 \xE9t\xE9\n") == "line 2, byte 6" + rest);
  CHECK(message("\xEF\xBB\xBFone\n\n\nab\xED\xA0\x80") == "line 4, byte 3" + rest);
  CHECK(message("cut off \xE2\x82") == "line 1, byte 9" + rest);
  CHECK(message_of<DataError>([&] { io::read_text(folder.file("missing")); }).starts_with("[read_file] "));
}
