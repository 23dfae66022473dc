// Progress on a terminal, seen through a pseudo-terminal: the live line, colours, and when they stay off.

#if !defined(_WIN32)

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>

#include "gptlite/train/progress.hpp"

using gptlite::train::Progress;

namespace {

// A terminal to write to; what was written is read from its other end.
class Terminal {
 public:
  Terminal() : screen_(posix_openpt(O_RDWR | O_NOCTTY)) {
    REQUIRE(screen_ >= 0);
    REQUIRE(grantpt(screen_) == 0);
    REQUIRE(unlockpt(screen_) == 0);
    stream = std::fopen(ptsname(screen_), "w");
    REQUIRE(stream != nullptr);
    termios settings{};
    REQUIRE(tcgetattr(fileno(stream), &settings) == 0);
    cfmakeraw(&settings);  // no carriage returns added
    REQUIRE(tcsetattr(fileno(stream), TCSANOW, &settings) == 0);
    fcntl(screen_, F_SETFL, O_NONBLOCK);
  }
  ~Terminal() {
    std::fclose(stream);
    close(screen_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // What was written since the last call.
  std::string text() const {
    std::string bytes;
    std::array<char, 1024> part;
    for (ssize_t n; (n = read(screen_, part.data(), part.size())) > 0;)
      bytes.append(part.data(), static_cast<std::size_t>(n));
    return bytes;
  }

  std::FILE* stream = nullptr;

 private:
  int screen_;
};

// True on machines (bare containers) where no pseudo-terminal can be opened.
bool no_terminal() {
  static const bool missing = [] {
    const int screen = posix_openpt(O_RDWR | O_NOCTTY);
    if (screen < 0) return true;
    const bool ready = grantpt(screen) == 0 && unlockpt(screen) == 0 && access(ptsname(screen), W_OK) == 0;
    close(screen);
    return !ready;
  }();
  return missing;
}

// TERM and NO_COLOR while a test runs.
struct Environment {
  Environment(const char* term, const char* no_color) {
    setenv("TERM", term, 1);
    no_color == nullptr ? unsetenv("NO_COLOR") : setenv("NO_COLOR", no_color, 1);
  }
  ~Environment() {
    unsetenv("TERM");
    unsetenv("NO_COLOR");
  }
};

std::string bar(int length) {
  std::string text;
  for (int i = 0; i < length; ++i) text += "\xE2\x94\x81";
  return text;
}

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

}  // namespace

TEST_CASE("the live line is tested where a pseudo-terminal can be opened") {
  if (no_terminal()) MESSAGE("skipped: this machine has no pseudo-terminals");
}

TEST_CASE("a terminal has one live line that is drawn over and cleared in the end" * doctest::skip(no_terminal())) {
  const Environment environment("xterm", "1");
  const Terminal terminal;
  {
    Progress progress({.total_steps = 40, .stream = terminal.stream});
    progress.update(10, 2, 100);
    const std::string line = terminal.text();
    CHECK(starts_with(line, "\r\033[K" + bar(5) + std::string(15, ' ') + "  step 10/40  loss 2.0000  "));
    CHECK(line.find('\n') == std::string::npos);
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    progress.update(12, 2, 100);
    CHECK(starts_with(terminal.text(), "\r\033[K" + bar(6) + std::string(14, ' ') + "  step 12/40  "));
    progress.update(40, 2, 100);  // the last is always drawn
    CHECK(starts_with(terminal.text(), "\r\033[K" + bar(20) + "  step 40/40  "));
  }
  CHECK(terminal.text() == "\r\033[K");
}

TEST_CASE("the live line is drawn at most ten times a second" * doctest::skip(no_terminal())) {
  const Environment environment("xterm", "1");
  const Terminal terminal;
  Progress progress({.total_steps = 4000, .stream = terminal.stream});
  for (int step = 1; step <= 1000; ++step) progress.update(step, 2, 100);
  const double seconds = progress.seconds();
  const std::string lines = terminal.text();
  CHECK(static_cast<double>(std::count(lines.begin(), lines.end(), '\r')) <= 1 + seconds / 0.1);
}

TEST_CASE("what is printed above stands above the live line" * doctest::skip(no_terminal())) {
  const Environment environment("xterm", "1");
  const Terminal terminal;
  Progress progress({.total_steps = 40, .stream = terminal.stream});
  progress.print_above("before");
  CHECK(terminal.text() == "before\n");
  progress.update(1, 2, 100);
  terminal.text();
  progress.print_above("after");
  CHECK(terminal.text() == "\r\033[Kafter\n");
}

TEST_CASE("the bar is coloured unless NO_COLOR is set and not empty" * doctest::skip(no_terminal())) {
  const Terminal terminal;
  const auto first_line = [&] {
    Progress progress({.total_steps = 4, .stream = terminal.stream});
    terminal.text();
    progress.update(1, 2, 100);
    return terminal.text();
  };
  const std::string coloured = "\r\033[K\033[32m" + bar(5) + "\033[90m" + bar(15) + "\033[0m  step 1/4  ";
  for (const char* no_color : {static_cast<const char*>(nullptr), ""}) {
    const Environment environment("xterm", no_color);
    CHECK(starts_with(first_line(), coloured));
  }
  const Environment environment("xterm", "1");
  CHECK(starts_with(first_line(), "\r\033[K" + bar(5) + std::string(15, ' ') + "  step 1/4  "));
}

TEST_CASE("a dumb terminal gets plain lines" * doctest::skip(no_terminal())) {
  const Environment environment("dumb", nullptr);
  const Terminal terminal;
  Progress progress({.total_steps = 4, .stream = terminal.stream});
  progress.update(1, 2, 100);
  CHECK(starts_with(terminal.text(), "step 1/4  loss 2.0000  "));
}

TEST_CASE("steps beyond the total are drawn as a full bar" * doctest::skip(no_terminal())) {
  const Environment environment("xterm", nullptr);
  const Terminal terminal;
  Progress progress({.total_steps = 4, .stream = terminal.stream});
  CHECK_NOTHROW(progress.update(5, 2, 100));
  CHECK(starts_with(terminal.text(), "\r\033[K\033[32m" + bar(20) + "\033[90m\033[0m  step 5/4  "));
}

#endif
