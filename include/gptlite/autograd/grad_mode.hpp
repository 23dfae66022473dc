#pragma once
// NoGrad: no graph is recorded while a NoGrad object is in scope.

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// Documented global, one per thread: whether operations are recorded.
inline bool& grad_enabled_flag() {
  static thread_local bool enabled = true;  // documented global: see above
  return enabled;
}
}  // namespace detail

/// True unless a NoGrad is in scope on this thread.
inline bool grad_enabled() { return detail::grad_enabled_flag(); }

/// `const NoGrad no_grad;` Operations on this thread record nothing until this object goes out of scope.
class NoGrad {
 public:
  NoGrad() : previous_(detail::grad_enabled_flag()) { detail::grad_enabled_flag() = false; }
  ~NoGrad() { detail::grad_enabled_flag() = previous_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};

}  // namespace gptlite::inline GPTLITE_ABI
