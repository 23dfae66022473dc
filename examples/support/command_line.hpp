#pragma once
// What every example does with its command line and its errors: a misspelt option is answered with the nearest one, an
// error is one line on stderr and a non-zero exit code.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <exception>
#include <gptlite/core/finite.hpp>
#include <gptlite/core/parse_number.hpp>
#include <iostream>
#include <new>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#if !defined(_WIN32)
#include <fcntl.h>
#include <poll.h>
#endif

namespace examples {

/// Edits (insert, delete, replace, exchange of neighbours) that turn a into b.
inline std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  std::iota(d[0].begin(), d[0].end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    d[i][0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

/// Says what is wrong with the text of a number, or nothing. CLI11 itself takes the largest number for one that is out
/// of range, 0 for no text at all, and NaN. No option of any program means anything below 0.
template <class Number>
std::string number_error(const std::string& text, const std::string& kind) {
  Number number{};
  bool good = gptlite::parse_number(text, number);
  if constexpr (std::is_floating_point_v<Number>) good = good && gptlite::is_finite(number);
  if constexpr (std::is_signed_v<Number>) good = good && number >= 0;
  return good ? "" : "needs " + kind + ", got \"" + text + "\"";
}

/// Checks the text of every option that is a number, and that no path is empty.
inline void add_checks(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    const auto check = [&](auto error) { option->check(CLI::Validator(error, "")); };
    if (type.starts_with("INT"))
      check([](const std::string& text) {
        return number_error<std::int64_t>(text, "a whole number, 0 or more and below 2^63");
      });
    else if (type.starts_with("UINT"))
      check([](const std::string& text) {
        return number_error<std::uint64_t>(text, "a whole number, 0 or more and below 2^64");
      });
    else if (type.starts_with("FLOAT"))
      check([](const std::string& text) { return number_error<double>(text, "a number, 0 or more"); });
    else if (type.starts_with("PATH"))
      check([](const std::string& text) { return text.empty() ? "needs a path, got \"\"" : std::string(); });
  }
}

/// Parses the command line. Returns the exit code if the program should end now, else -1.
inline int parse(CLI::App& app, int argc, char** argv) {
  try {
    add_checks(app);
    app.parse(argc, argv);
    return -1;
  } catch (const CLI::ExtrasError&) {
    const std::string wrong = app.remaining().empty() ? "" : app.remaining().front();
    const std::string name = wrong.substr(0, wrong.find('='));
    std::string nearest;
    std::size_t distance = 4;  // beyond three edits it is another word
    for (const CLI::Option* option : app.get_options())
      for (const std::string& known : option->get_lnames())
        if (const std::size_t d = edit_distance(name, "--" + known); d < distance) {
          distance = d;
          nearest = "--" + known;
        }
    std::cerr << app.get_name() << ": unknown option " << name
              << (nearest.empty() ? "; --help lists them all" : "; did you mean " + nearest + "?") << '\n';
    return 2;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::cerr << app.get_name() << ": " << error.what() << '\n';
    return 2;
  }
}

/// Prepares what a program inherits. A closed pipe or a file that reaches the limit of `ulimit -f` becomes an error of
/// the call instead of a signal that kills the program. A standard stream that is closed is opened to nothing: the next
/// file would take its number, and messages would be written into it.
inline void prepare_streams() {
#if !defined(_WIN32)
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (int stream = 0; stream <= 2; ++stream)
    if (::fcntl(stream, F_GETFD) < 0) [[maybe_unused]]
      const int opened = ::open("/dev/null", stream == 0 ? O_RDONLY : O_WRONLY);
#endif
}

/// True if standard output is a pipe whose reader has closed it.
inline bool reader_is_gone() {
#if defined(_WIN32)
  return false;
#else
  pollfd out{1, POLLOUT, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
#endif
}

/// Memory for the way out once there is none: what unwinds may allocate, as nlohmann's destructors do.
inline std::atomic<char*>& memory_reserve() {
  static std::atomic<char*> reserve{new (std::nothrow) char[256 * 1024]};
  return reserve;
}
/// Frees the reserve the first time that memory runs out, and lets the allocation fail all the same.
inline void use_memory_reserve() {
  delete[] memory_reserve().exchange(nullptr);
  throw std::bad_alloc();
}

/// Runs `work`; an exception becomes a line on stderr and exit code 1, and so does output that could not be written. A
/// reader that wanted no more, such as `head`, is no error: exit code 141, as of a program that SIGPIPE ended.
template <class F>
int guarded(const std::string& program, F&& work) {
  prepare_streams();
  memory_reserve();
  std::set_new_handler(use_memory_reserve);
  try {
    const int exit_code = work();
    if (std::cout.flush()) return exit_code;
    if (reader_is_gone()) return 141;
    std::cerr << program << ": standard output: not all of it could be written; is the disk full?\n";
    return 1;
  } catch (const std::bad_alloc& error) {  // std's own text is its name
    const bool plain = std::string(error.what()) == "std::bad_alloc";
    std::cerr << program << ": " << (plain ? "out of memory" : error.what()) << '\n';
    return 1;
  } catch (const std::exception& error) {
    std::cerr << program << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace examples
