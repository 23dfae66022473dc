#pragma once
// RunKeeper: what a Loop tells whoever keeps its run on disk, such as an io::TrainingRun.

#include <string>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Thrown by Loop::throw_if_interrupted, so that an action ends early.
struct Interrupted : Error {
  using Error::Error;
};

/// Called by a Loop at the points at which the state of a run is whole.
class RunKeeper {
 public:
  RunKeeper() = default;
  virtual ~RunKeeper() = default;
  RunKeeper(const RunKeeper&) = delete;
  RunKeeper& operator=(const RunKeeper&) = delete;

  /// Called once, before the first step: a saved state may replace the initial one.
  virtual void begin() = 0;
  /// Called before and after every step: notes the state that a step in progress, or an action, is repeated from if it
  /// does not end.
  virtual void mark() = 0;
  /// Saves the state that was marked last: every so many steps, once training ends, and when it is interrupted.
  virtual void save_marked() = 0;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
