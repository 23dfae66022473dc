#pragma once
// Autocast: sets the precision of matrix products for a scope: `const Autocast bf16(Precision::bf16);`.

#include "gptlite/core/precision.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// Documented global, one per thread: the precision set by the Autocast in scope.
inline Precision& autocast_precision() {
  thread_local Precision precision = Precision::fp32;  // documented global: see above
  return precision;
}
}  // namespace detail

/// The precision in which the next linear, mlp, matmul, attention or linear_cross_entropy on this thread multiplies.
/// Its backward uses the precision of its forward.
inline Precision autocast_precision() { return detail::autocast_precision(); }

/// Matrix products of float tensors compute in `precision` on this thread until this object goes out of scope.
class Autocast {
 public:
  explicit Autocast(Precision precision) : before_(detail::autocast_precision()) {
    detail::autocast_precision() = precision;
  }
  ~Autocast() { detail::autocast_precision() = before_; }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  Precision before_;
};

}  // namespace gptlite::inline GPTLITE_ABI
