// Progress where there is no terminal: which steps get a line, what stands in it, and pauses.

#include "gptlite/train/progress.hpp"

#include <doctest/doctest.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

using namespace gptlite;
using train::Progress;

namespace {

// What is written to a stream that is a file.
struct Output {
  std::FILE* file = std::tmpfile();
  Output() { REQUIRE(file != nullptr); }
  ~Output() { std::fclose(file); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  std::string text() const {
    std::fflush(file);
    std::rewind(file);
    std::string bytes;
    std::array<char, 256> part;
    while (const std::size_t n = std::fread(part.data(), 1, part.size(), file)) bytes.append(part.data(), n);
    std::fseek(file, 0, SEEK_END);
    return bytes;
  }
};

// True if the text follows the pattern, in which a * stands for one or more characters of one line.
bool follows(std::string_view text, std::string_view pattern) {
  if (pattern.empty() || text.empty()) return pattern.empty() && text.empty();
  if (pattern[0] != '*') return text[0] == pattern[0] && follows(text.substr(1), pattern.substr(1));
  return text[0] != '\n' && (follows(text.substr(1), pattern.substr(1)) || follows(text.substr(1), pattern));
}

const std::string rest = "  * tokens/s  * left\n";

}  // namespace

TEST_CASE("rates are short numbers") {
  CHECK(train::short_number(0) == "0");
  CHECK(train::short_number(7.4) == "7");
  CHECK(train::short_number(999) == "999");
  CHECK(train::short_number(999.7) == "1.0k");
  CHECK(train::short_number(1000) == "1.0k");
  CHECK(train::short_number(9960) == "10k");
  CHECK(train::short_number(999999) == "1.0M");
  CHECK(train::short_number(4249) == "4.2k");
  CHECK(train::short_number(42000) == "42k");
  CHECK(train::short_number(1.3e6) == "1.3M");
  CHECK(train::short_number(25e6) == "25M");
}

TEST_CASE("times are seconds or minutes or hours") {
  CHECK(train::short_time(0) == "0s");
  CHECK(train::short_time(-5) == "0s");
  CHECK(train::short_time(41.7) == "42s");
  CHECK(train::short_time(59.6) == "1:00");
  CHECK(train::short_time(187) == "3:07");
  CHECK(train::short_time(3599) == "59:59");
  CHECK(train::short_time(3753) == "1:02:33");
  CHECK(train::short_time(360000) == "100:00:00");
}

TEST_CASE("every step has a line if the interval is 0") {
  const Output output;
  {
    Progress progress({.total_steps = 3, .plain_interval = 0, .stream = output.file});
    progress.update(1, 2, 100);
    CHECK(follows(output.text(), "step 1/3  loss 2.0000" + rest));
    progress.update(2, 1, 100);
    progress.update(3, 1, 100);
  }
  // The loss is smoothed: 0.95 2 + 0.05 1, and once more. Nothing is added in the end.
  CHECK(follows(output.text(),
                "step 1/3  loss 2.0000" + rest + "step 2/3  loss 1.9500" + rest + "step 3/3  loss 1.9025" + rest));
}

TEST_CASE("within the interval only the first and the last step have a line") {
  const Output output;
  Progress progress({.total_steps = 50, .plain_interval = 1000, .stream = output.file});
  for (int step = 1; step <= 50; ++step) progress.update(step, 1, 10);
  CHECK(follows(output.text(), "step 1/50  loss 1.0000" + rest + "step 50/50  loss 1.0000" + rest));
}

TEST_CASE("what is printed above is a line of its own and starts a new interval") {
  const Output output;
  Progress progress({.total_steps = 50, .plain_interval = 0.5, .stream = output.file});
  progress.print_above("before");
  progress.update(1, 1, 10);
  std::this_thread::sleep_for(std::chrono::milliseconds(550));
  progress.print_above("loss \xC3\xA4");
  progress.update(2, 1, 10);  // the interval has started anew
  CHECK(follows(output.text(), "before\nstep 1/50  loss 1.0000" + rest + "loss \xC3\xA4\n"));
  std::this_thread::sleep_for(std::chrono::milliseconds(550));
  progress.update(3, 1, 10);
  CHECK(
      follows(output.text(), "before\nstep 1/50  loss 1.0000" + rest + "loss \xC3\xA4\nstep 3/50  loss 1.0000" + rest));
}

TEST_CASE("pauses count neither as time nor in the rate and hand on what their work returns") {
  using namespace std::chrono_literals;
  const Output output;
  Progress progress({.total_steps = 2, .stream = output.file});
  progress.update(1, 1, 1000);
  const auto slow = [] { std::this_thread::sleep_for(300ms); };
  CHECK(progress.pause([&] { return slow(), 42; }) == 42);
  CHECK_THROWS_AS(progress.pause([&] { slow(), throw std::runtime_error("failed"); }), std::runtime_error);
  CHECK(progress.seconds() < 0.3);
  CHECK(progress.tokens_per_second() > 1000 / 0.3);
  slow();
  CHECK(progress.seconds() >= 0.3);
  CHECK(progress.tokens_per_second() <= 1000 / 0.3);
}

TEST_CASE("time stands still in a pause, also in one within another") {
  using namespace std::chrono_literals;
  const Output output;
  Progress progress({.total_steps = 3, .plain_interval = 0.2, .stream = output.file});
  progress.update(1, 1, 1000);
  progress.pause([&] {
    const double before = progress.seconds();
    std::this_thread::sleep_for(300ms);
    progress.pause([] { std::this_thread::sleep_for(300ms); });
    CHECK(progress.seconds() == before);
    progress.print_above("in a pause");  // the interval starts anew when training goes on
  });
  CHECK(progress.seconds() >= 0);
  CHECK(progress.seconds() < 0.2);
  std::this_thread::sleep_for(250ms);
  progress.update(2, 1, 1000);
  CHECK(follows(output.text(), "step 1/3  loss 1.0000" + rest + "in a pause\n" + "step 2/3  loss 1.0000" + rest));
}

TEST_CASE("without a stream nothing is shown and everything is counted") {
  Progress progress({.total_steps = 2, .stream = nullptr});
  progress.print_above("nowhere");
  progress.update(1, 1, 1000);
  progress.update(2, 1, 1000);
  CHECK(progress.tokens_per_second() == doctest::Approx(2000 / progress.seconds()).epsilon(0.5));
}

TEST_CASE("the time left follows from the steps done") {
  const Output output;
  Progress progress({.total_steps = 1000, .plain_interval = 0, .stream = output.file});
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  progress.update(1, 1, 1);  // 0.1 s for one step: at least 100 s for 999
  CHECK(follows(output.text(), "step 1/1000  loss 1.0000  * tokens/s  *:* left\n"));
}
