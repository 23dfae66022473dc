#pragma once
// EarlyStopping: when further training does not help.

#include <cstdint>
#include <limits>

#include "gptlite/core/error.hpp"
#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Watches a metric of which more is better.
///   if (stopping.improved(dev_accuracy, step)) best.emplace(model);  // std::optional<WeightSnapshot<T>>
///   if (stopping.should_stop()) break;
class EarlyStopping {
 public:
  /// patience: evaluations without a new best after which to stop; 0: never. Throws ConfigError if it is negative.
  explicit EarlyStopping(Index patience = 0) : patience_(patience) {
    check<ConfigError>(patience >= 0, "EarlyStopping", "patience must be 0 (never) or positive, got ", patience);
  }

  /// Takes an evaluation; true if it is better than all before. One that is not a number is never better.
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
  bool should_stop() const { return patience_ > 0 && without_ >= patience_; }
  /// Of all evaluations; -infinity and -1 before the first.
  double best() const { return best_; }
  std::int64_t best_step() const { return best_step_; }

 private:
  Index patience_, without_ = 0;
  double best_ = -std::numeric_limits<double>::infinity();
  std::int64_t best_step_ = -1;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
