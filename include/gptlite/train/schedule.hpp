#pragma once
// Learning-rate schedules: a linear warm-up, then cosine, linear or constant.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// How the learning rate falls after the warm-up.
enum class Decay { cosine, linear, constant };

/// The learning rate of every step. Steps count from 0.
struct Schedule {
  Decay decay = Decay::cosine;
  double learning_rate = 1e-3;  ///< after the warm-up
  double min_lr = 0;            ///< reached at max_steps and kept
  std::int64_t warmup_steps = 0;
  std::int64_t max_steps = 1;

  /// Warm-up: learning_rate (step + 1) / (warmup_steps + 1). Then, with x from 0 to 1 between the end of the warm-up
  /// and max_steps: min_lr + (learning_rate - min_lr) (1 + cos(pi x)) / 2, or (1 - x) for linear.
  double operator()(std::int64_t step) const {
    if (step < warmup_steps)
      return learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup_steps + 1);
    if (decay == Decay::constant) return learning_rate;
    const double length = static_cast<double>(std::max<std::int64_t>(1, max_steps - warmup_steps));
    const double x = std::clamp(static_cast<double>(step - warmup_steps) / length, 0.0, 1.0);
    const double share = decay == Decay::cosine ? 0.5 * (1 + std::cos(std::numbers::pi * x)) : 1 - x;
    return min_lr + (learning_rate - min_lr) * share;
  }
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
