#pragma once
// Dropout as a layer, and the mode that the layers of one model share: training or not, and the random numbers.

#include <memory>
#include <utility>

#include "gptlite/autograd/ops/dropout.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Shared by all layers of a model. The generator's position counts the masks drawn: saving it resumes exactly.
struct TrainingMode {
  bool training = true;
  Generator generator;
};

namespace detail {
/// Documented global, one per thread: whether an EvalScope is open.
inline bool& evaluating_flag() {
  static thread_local bool evaluating = false;
  return evaluating;
}
}  // namespace detail

/// `const EvalScope eval;` Models that this thread calls compute without dropout until it goes out of scope, whatever
/// their mode. Writes to no model, so that threads may evaluate one model at the same time.
class EvalScope {
 public:
  EvalScope() : previous_(detail::evaluating_flag()) { detail::evaluating_flag() = true; }
  ~EvalScope() { detail::evaluating_flag() = previous_; }
  EvalScope(const EvalScope&) = delete;
  EvalScope& operator=(const EvalScope&) = delete;

 private:
  bool previous_;
};

template <class T>
struct Dropout {
  double p;
  std::shared_ptr<TrainingMode> mode;

  void visit(auto&&) {}
  /// The probability that is in force: 0 outside training and in an EvalScope.
  double rate() const { return mode->training && !detail::evaluating_flag() ? p : 0; }
  Tensor<T> operator()(const Tensor<T>& x) const { return rate() > 0 ? dropout(x, p, mode->generator) : x; }
};

}  // namespace gptlite::inline GPTLITE_ABI
