#pragma once
// EarlyStopping: tells when training no longer improves a metric.

#include <cstdint>
#include <limits>
#include <string>

#include "gptlite/core/count.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Tells when to stop training because a metric, larger is better, no longer improves:
///   if (stopping.improved(dev_accuracy, step)) best.emplace(model);  // std::optional<WeightSnapshot<T>>
///   if (stopping.should_stop()) break;
class EarlyStopping {
 public:
  /// patience: number of evaluations without a new best after which to stop; 0: never. Throws ConfigError if it is
  /// negative.
  explicit EarlyStopping(Index patience = 0) : patience_(patience) {
    check<ConfigError>(patience >= 0, "EarlyStopping", "patience must be 0 (never) or positive, got ", patience);
  }

  /// Records an evaluation at a step. Returns true if the metric is better than all before; NaN never is.
  bool improved(double metric, std::int64_t step) {
    if (!(metric > best_)) {
      ++without_;
      return false;
    }
    best_ = metric;
    best_step_ = step;
    without_ = 0;
    return true;
  }
  /// True once `patience` evaluations in a row were no new best.
  bool should_stop() const { return patience_ > 0 && without_ >= patience_; }
  /// Best metric so far; -infinity before the first evaluation.
  double best() const { return best_; }
  /// Step of the best metric so far; -1 before the first evaluation.
  std::int64_t best_step() const { return best_step_; }

  /// Calls f(name, state) for the state that a checkpoint keeps: "without" and "best_step" (std::int64_t&), "best"
  /// (double&). Throws DataError if f leaves "without" outside 0..2^62.
  template <class F>
  void visit(F&& f) {
    f(std::string("without"), without_);
    f(std::string("best"), best_);
    f(std::string("best_step"), best_step_);
    check<DataError>(is_count(without_), "EarlyStopping", "a saved count must be in 0..2^62, got ", without_);
  }

 private:
  Index patience_;
  std::int64_t without_ = 0;  // evaluations since the best
  double best_ = -std::numeric_limits<double>::infinity();
  std::int64_t best_step_ = -1;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
