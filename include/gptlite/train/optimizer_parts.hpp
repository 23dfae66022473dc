#pragma once
// What optimizers share: checks of their options, the norm of all gradients, and state that a visitor may replace.

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/count.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/adamw.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Norm of the gradients of all parameters together; those without a gradient count as zeros.
template <class T>
double grad_norm(const std::vector<Tensor<T>>& parameters) {
  std::vector<std::span<const T>> gradients;
  for (const Tensor<T>& parameter : parameters)
    if (parameter.has_grad()) gradients.emplace_back(parameter.grad().data(), parameter.numel());
  return std::sqrt(kernels::sum_of_squares(gradients));
}

/// Factor that clips gradients of this norm to max_norm, as torch.nn.utils.clip_grad_norm_ does with eps 1e-6. A
/// max_norm of 0: no clipping.
inline double clip_factor(double norm, double max_norm, double eps = 1e-6) {
  return max_norm > 0 && norm > max_norm ? max_norm / (norm + eps) : 1;
}

namespace detail {

/// Throws ConfigError unless a value is 0 or positive, and finite. `where` is the optimizer, `what` the option.
inline void check_not_negative(std::string_view where, std::string_view what, double value) {
  check<ConfigError>(is_finite(value) && value >= 0, where, what, " must be 0 or positive and finite, got ", value);
}

/// Calls f("step", count). Throws DataError if f leaves a count outside 0..2^62, which stays as it was.
template <class F>
void visit_step_count(std::string_view where, std::int64_t& count, F&& f) {
  const std::int64_t before = count;
  f(std::string("step"), count);
  if (is_count(count)) return;
  const std::int64_t refused = std::exchange(count, before);
  raise<DataError>(where, "step must be in 0..2^62, got ", refused);
}

/// Calls f(name, state). Throws ShapeError if f leaves a tensor of another shape; the state stays as it was.
template <class T, class F>
void visit_state(std::string_view where, const std::string& name, Tensor<T>& state, F&& f) {
  const Tensor<T> before = state;
  f(name, state);
  if (state.defined() && state.shape() == before.shape()) return;
  const Tensor<T> refused = std::exchange(state, before);
  check<ShapeError>(refused.defined(), where, name, " must have shape ", before.shape(), ", got an undefined tensor");
  raise<ShapeError>(where, name, " must have shape ", before.shape(), ", got ", refused.shape());
}

}  // namespace detail

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
