#pragma once
// Dropout as a layer, and the mode that the layers of one model share: training or not, and the random numbers.

#include <memory>
#include <utility>

#include "gptlite/autograd/ops/dropout.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Shared by all layers of a model. The generator's position counts the masks drawn: saving it resumes exactly.
struct Mode {
  bool training = true;
  Generator generator;
};

/// `const EvalMode eval(*model.mode);` Puts a model into evaluation mode until it goes out of scope.
class EvalMode {
 public:
  explicit EvalMode(Mode& mode) : mode_(mode), training_(mode.training) { mode.training = false; }
  ~EvalMode() { mode_.training = training_; }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  Mode& mode_;
  bool training_;
};

template <class T>
struct Dropout {
  double p;
  std::shared_ptr<Mode> mode;

  void visit(auto&&) {}
  /// The probability that is in force: 0 outside training.
  double active() const { return mode->training ? p : 0; }
  Tensor<T> operator()(const Tensor<T>& x) const { return active() > 0 ? dropout(x, p, mode->generator) : x; }
};

}  // namespace gptlite::inline GPTLITE_ABI
