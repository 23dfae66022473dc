#pragma once
// Autocast: the precision of matrix products for a scope, as `const Autocast bf16(Precision::bf16);`.

#include "gptlite/core/precision.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// Documented global, one for each thread: what the Autocast in scope asks for.
inline Precision& autocast_precision() {
  thread_local Precision precision = Precision::fp32;
  return precision;
}
}  // namespace detail

/// The precision that the next linear, matmul, attention or linear_cross_entropy multiplies in. Their backward
/// uses the precision of their forward.
inline Precision autocast_precision() { return detail::autocast_precision(); }

/// Matrix products of tensors of float compute in `precision` on this thread until this goes out of scope.
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
