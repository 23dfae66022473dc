#pragma once
// The options of programs that train into a folder, and what Ctrl-C and SIGTERM do to them: the first breaks training
// off with a checkpoint, the second ends the program at once.

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "support/command_line.hpp"

namespace examples {

struct RunOptions {
  bool resume = false, overwrite = false;
  std::int64_t save_interval = 500;
  gptlite::Index keep_last = 2;
};

inline void add_options(CLI::App& app, RunOptions& o) {
  auto* const resume = app.add_flag("--resume", o.resume, "continue the run in --out, from its newest checkpoint");
  app.add_flag("--overwrite", o.overwrite, "remove the run that is in --out")->excludes(resume);
  app.add_option("--save-interval", o.save_interval, "steps between checkpoints, 0 for the end only")
      ->capture_default_str();
  app.add_option("--keep-last", o.keep_last, "checkpoints that are kept")->capture_default_str();
}

/// What an io::TrainingRun is told of the options, of the settings that a resumed run must share, and of the program's
/// own files in the folder.
inline gptlite::io::TrainingRunOptions run_options(const RunOptions& o, gptlite::JsonObject config,
                                                   std::vector<std::string> outputs) {
  return {.resume = o.resume,
          .overwrite = o.overwrite,
          .save_interval = o.save_interval,
          .keep_last = o.keep_last,
          .config = std::move(config),
          .outputs = std::move(outputs)};
}

/// While in scope, SIGINT (Ctrl-C), SIGTERM and SIGHUP interrupt a loop; a second one ends the program.
class InterruptHandler {
 public:
  template <class O>
  explicit InterruptHandler(gptlite::train::Loop<O>& loop) {
    target_ = &loop;
    interrupt_ = [](void* target) { static_cast<gptlite::train::Loop<O>*>(target)->interrupt(); };
    caught_ = 0;
    for (std::size_t i = 0; i < signals_.size(); ++i) previous_[i] = std::signal(signals_[i], handle);
  }
  ~InterruptHandler() {
    for (std::size_t i = 0; i < signals_.size(); ++i) std::signal(signals_[i], previous_[i]);
  }
  InterruptHandler(const InterruptHandler&) = delete;
  InterruptHandler& operator=(const InterruptHandler&) = delete;

  /// Says how to go on. Returns the exit code of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM.
  static int exit_code(const std::string& program, const std::string& folder, std::int64_t step) {
    std::cerr << program << ": interrupted; step " << step << " is saved in " << folder
              << ": the same command with --resume continues\n";
    return 128 + caught_;
  }

 private:
  static void handle(int number) {
    if (caught_ != 0) std::_Exit(128 + number);
    caught_ = number;
    interrupt_(target_);
  }

#if defined(SIGHUP)
  static constexpr std::array<int, 3> signals_{SIGINT, SIGTERM, SIGHUP};
#else
  static constexpr std::array<int, 2> signals_{SIGINT, SIGTERM};
#endif
  // A signal handler has no other arguments.
  static inline void* target_ = nullptr;
  static inline void (*interrupt_)(void*) = nullptr;
  static inline volatile std::sig_atomic_t caught_ = 0;
  std::array<void (*)(int), signals_.size()> previous_{};
};

}  // namespace examples
