#pragma once
// Dropout as a layer, and the mode that all layers of a model share: training or evaluation, and the random numbers.

#include <memory>
#include <utility>

#include "gptlite/autograd/ops/dropout.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Mode of a model: training or evaluation, and the random numbers of dropout. All layers of a model share one:
///   auto mode = std::make_shared<TrainingMode>(TrainingMode{true, Generator(seed, RandomUse::dropout)});
/// The generator's position counts the masks drawn; saving it resumes exactly.
struct TrainingMode {
  bool training = true;
  Generator generator;
};

namespace detail {
/// Flag of this thread, a documented global: true while an EvalScope is open.
inline bool& evaluating_flag() {
  static thread_local bool evaluating = false;  // documented global: see above
  return evaluating;
}
}  // namespace detail

/// `const EvalScope eval;` turns dropout off in all models that this thread calls until it goes out of scope, whatever
/// their mode. Writes to no model, so threads may evaluate one model at the same time.
class EvalScope {
 public:
  EvalScope() : previous_(detail::evaluating_flag()) { detail::evaluating_flag() = true; }
  ~EvalScope() { detail::evaluating_flag() = previous_; }
  EvalScope(const EvalScope&) = delete;
  EvalScope& operator=(const EvalScope&) = delete;

 private:
  bool previous_;
};

/// Dropout layer: in training zeroes each number with probability p and scales the others by 1 / (1 - p).
template <class T>
struct Dropout {
  double p;
  std::shared_ptr<TrainingMode> mode;

  void visit(auto&&) {}
  /// Probability in force: p in training, 0 in evaluation and in an EvalScope.
  double rate() const { return mode->training && !detail::evaluating_flag() ? p : 0; }
  /// Drops numbers of x, any shape. Returns the same shape; x itself if rate() is 0.
  Tensor<T> operator()(const Tensor<T>& x) const { return rate() > 0 ? dropout(x, p, mode->generator) : x; }
};

}  // namespace gptlite::inline GPTLITE_ABI
