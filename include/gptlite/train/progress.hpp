#pragma once
// Progress: the display of a training run. On a terminal one live line, elsewhere a plain line every few seconds.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "gptlite/config.hpp"

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace train {

namespace detail {
inline bool is_terminal(std::FILE* stream) {
#if defined(_WIN32)
  const bool tty = _isatty(_fileno(stream)) != 0;
#else
  const bool tty = isatty(fileno(stream)) != 0;
#endif
  const char* term = std::getenv("TERM");
  return tty && !(term != nullptr && std::string_view(term) == "dumb");
}
inline bool colour_wanted() {  // no-color.org: off if NO_COLOR is set and not empty
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}
}  // namespace detail

/// Formats a rate in about four characters: "4.2k", "1.3M".
inline std::string short_number(double x) {
  const char* unit = "";
  for (const char* larger : {"k", "M", "G"}) {
    if (x < 999.5) break;
    x /= 1000;
    unit = larger;
  }
  char text[32];
  std::snprintf(text, sizeof text, x < 9.95 && *unit != '\0' ? "%.1f%s" : "%.0f%s", x, unit);
  return text;
}
/// Formats a time: "42s", "3:07", "1:02:33".
inline std::string short_time(double seconds) {
  const auto s = static_cast<long long>(std::max(0.0, std::round(seconds)));
  char text[48];
  if (s < 60)
    std::snprintf(text, sizeof text, "%llds", s);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  return text;
}

/// Shows step, smoothed loss, tokens/s and time left of a training run: on a terminal one live line, elsewhere a plain
/// line every few seconds.
class Progress {
 public:
  struct Options {
    std::int64_t total_steps = 0;
    double plain_interval = 5;   ///< seconds between plain lines
    std::FILE* stream = stderr;  ///< stdout is left to results; null: nothing is shown
  };

  explicit Progress(Options options)
      : options_(options),
        live_(options.stream != nullptr && detail::is_terminal(options.stream)),
        colour_(live_ && detail::colour_wanted()) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Records a step; call it after every step. Redraws at most ten times per second. step: counted from 1. tokens:
  /// number of tokens that the step read.
  void update(std::int64_t step, double loss, double tokens) {
    const double now = seconds();
    smooth_loss_ = first_ ? loss : 0.95 * smooth_loss_ + 0.05 * loss;
    tokens_ += tokens;
    steps_ += 1;
    const bool last = step >= options_.total_steps;
    if (!first_ && !last && now - drawn_ < (live_ ? 0.1 : options_.plain_interval)) return;
    first_ = false;
    drawn_ = now;
    draw(step, now);
  }

  /// Prints text on lines of its own, above the live line: an evaluation, a sample.
  void print_above(const std::string& text) {
    if (options_.stream == nullptr) return;
    clear();
    std::fprintf(options_.stream, "%s\n", text.c_str());
    std::fflush(options_.stream);
    drawn_ = 0;  // draw the live line again with the next step
    if (!live_) drawn_ = seconds();
  }

  /// Runs `work`, which is not training (an evaluation, a sample), and returns its result. Its time counts neither in
  /// seconds() nor in the rate and the time left.
  template <class F>
  auto pause(F&& work) {
    struct Resume {
      Progress& progress;
      bool outermost;
      ~Resume() {
        if (!outermost) return;
        progress.started_ += Clock::now() - *progress.paused_;
        progress.paused_.reset();
      }
    } resume{*this, !paused_};
    if (!paused_) paused_ = Clock::now();
    return work();
  }

  /// Seconds of training so far, without pauses.
  double seconds() const { return std::chrono::duration<double>(paused_.value_or(Clock::now()) - started_).count(); }
  /// Tokens so far.
  double tokens() const { return tokens_; }
  /// Continues a run that had these figures.
  void resume(double seconds, double tokens) {
    started_ = Clock::now() - std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    if (paused_) paused_ = Clock::now();
    tokens_ = tokens;
    seconds_before_ = seconds;
  }
  /// Tokens per second so far, without pauses.
  double tokens_per_second() const { return tokens_ / std::max(seconds(), 1e-9); }

 private:
  using Clock = std::chrono::steady_clock;

  void draw(std::int64_t step, double now) {
    if (options_.stream == nullptr) return;
    const double left = steps_ > 0 ? (now - seconds_before_) / static_cast<double>(steps_) *
                                         static_cast<double>(options_.total_steps - step)
                                   : 0;
    char text[160];
    std::snprintf(text, sizeof text, "step %lld/%lld  loss %.4f  %s tokens/s  %s left", static_cast<long long>(step),
                  static_cast<long long>(options_.total_steps), smooth_loss_, short_number(tokens_per_second()).c_str(),
                  short_time(left).c_str());
    if (!live_) {
      std::fprintf(options_.stream, "%s\n", text);
    } else {
      const std::int64_t total = std::max<std::int64_t>(1, options_.total_steps);
      const int width = 20, filled = static_cast<int>(width * std::clamp<std::int64_t>(step, 0, total) / total);
      std::string bar;
      for (int i = 0; i < width; ++i) bar += i < filled ? "━" : colour_ ? "━" : " ";
      if (colour_)
        bar = "\033[32m" + bar.substr(0, 3 * static_cast<std::size_t>(filled)) + "\033[90m" +
              bar.substr(3 * static_cast<std::size_t>(filled)) + "\033[0m";
      std::fprintf(options_.stream, "\r\033[K%s  %s", bar.c_str(), text);
    }
    std::fflush(options_.stream);
  }
  void clear() {
    if (!live_ || first_) return;
    std::fprintf(options_.stream, "\r\033[K");
    std::fflush(options_.stream);
  }

  Options options_;
  bool live_, colour_, first_ = true;
  Clock::time_point started_ = Clock::now();                              // moved on by pauses
  std::optional<Clock::time_point> paused_ = {};                          // where a pause began
  double smooth_loss_ = 0, tokens_ = 0, drawn_ = 0, seconds_before_ = 0;  // seconds_before_: of the run resumed
  std::int64_t steps_ = 0;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
