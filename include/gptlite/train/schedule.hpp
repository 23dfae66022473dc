#pragma once
// Learning-rate schedules: a linear warm-up, a hold, then cosine, linear or constant; and the schedule of OpenAI's
// fine-tuning.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>

#include "gptlite/core/enum_names.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/finite.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// How the learning rate falls after the warm-up and the hold.
enum class Decay { cosine, linear, constant };

constexpr auto enum_names(Decay) {
  return EnumNames<Decay, 3>{"decay",
                             {{{"cosine", Decay::cosine}, {"linear", Decay::linear}, {"constant", Decay::constant}}}};
}

/// Learning rate of every step. Steps count from 0.
struct Schedule {
  Decay decay = Decay::cosine;
  double learning_rate = 1e-3;   ///< after the warm-up
  double min_learning_rate = 0;  ///< reached at max_steps and kept
  std::int64_t warmup_steps = 0;
  std::int64_t max_steps = 1;
  /// Steps of the fall, the last before max_steps; between warm-up and fall learning_rate is held (warm-up, hold,
  /// decay: WSD). 0, or more steps than there are after the warm-up: no hold.
  std::int64_t decay_steps = 0;

  /// Returns the learning rate of a step. Warm-up: learning_rate (step + 1) / (warmup_steps + 1). Then learning_rate is
  /// held until the fall: with x from 0 to 1 between its beginning and max_steps, min_learning_rate + (learning_rate -
  /// min_learning_rate) s, where s is (1 + cos(pi x)) / 2 for cosine and 1 - x for linear; learning_rate itself for
  /// constant.
  double operator()(std::int64_t step) const {
    if (step < warmup_steps)
      return learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup_steps + 1);
    if (decay == Decay::constant) return learning_rate;
    const std::int64_t begin = decay_steps > 0 ? std::max(warmup_steps, max_steps - decay_steps) : warmup_steps;
    const double length = static_cast<double>(std::max<std::int64_t>(1, max_steps - begin));
    const double x = std::clamp(static_cast<double>(step - begin) / length, 0.0, 1.0);
    const double share = decay == Decay::cosine ? 0.5 * (1 + std::cos(std::numbers::pi * x)) : 1 - x;
    return min_learning_rate + (learning_rate - min_learning_rate) * share;
  }
};

/// Returns the schedule that Radford et al. 2018 fine-tuned with, as in their code (openai/finetune-transformer-lm).
/// Steps count from 0. With x = step / max_steps: learning_rate (x < warmup ? x / warmup : 1) (1 - x), and 0 from
/// max_steps on. warmup: share of max_steps; 0: none.
///
/// It differs from Schedule with Decay::linear: the first step has learning rate 0, and the decay starts with the
/// warm-up and multiplies it too. The rate therefore reaches learning_rate only if warmup is 0. Throws ConfigError for
/// options that cannot work.
inline std::function<double(std::int64_t step)> openai_warmup_linear(double learning_rate, std::int64_t max_steps,
                                                                     double warmup = 0.002) {
  check<ConfigError>(is_finite(learning_rate) && learning_rate >= 0, "openai_warmup_linear",
                     "learning_rate must be 0 or positive and finite, got ", learning_rate);
  check<ConfigError>(max_steps >= 1, "openai_warmup_linear", "max_steps must be 1 or more, got ", max_steps);
  check<ConfigError>(is_finite(warmup) && warmup >= 0 && warmup <= 1, "openai_warmup_linear",
                     "warmup must be a share of max_steps in 0..1, got ", warmup);
  return [=](std::int64_t step) {
    const double x = std::clamp(static_cast<double>(step) / static_cast<double>(max_steps), 0.0, 1.0);
    return learning_rate * (x < warmup ? x / warmup : 1) * (1 - x);
  };
}

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
