#pragma once
// AdamW: the optimizer of every recipe here, with gradient clipping built in.

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/core/count.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/adamw.hpp"
#include "gptlite/nn/visit.hpp"
#include "gptlite/train/optimizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Options of AdamW.
struct AdamWOptions {
  double learning_rate = 1e-3;
  std::array<double, 2> betas{0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0.01;  ///< on parameters with two or more axes: matrices, not biases and norms
  double max_grad_norm = 1.0;  ///< global norm that gradients are clipped to; 0: no clipping
  /// Factor of the learning rate, and with it of the decay, for each parameter by its name; empty: 1 for all. A
  /// parameter with factor 0 stays as it is, but its gradient counts in the norm. AdamW calls it once per parameter,
  /// when it is made.
  std::function<double(const std::string& name)> learning_rate_scale = {};
  bool openai_exact = false;  ///< the numbers of OpenAI's code of 2018 in place of PyTorch's: see AdamW
};

/// AdamW (Loshchilov and Hutter 2019) with PyTorch's bias correction. Computes the same numbers as torch.optim.AdamW
/// after torch.nn.utils.clip_grad_norm_. `AdamW optimizer(model, {.learning_rate = 1e-3});`
///
/// With openai_exact it computes what the code of Radford et al. 2018 does (openai/finetune-transformer-lm): eps is
/// added to the root before v is corrected, decay has the corrected learning rate, and clipping adds nothing to the
/// norm:
///   g *= min(1, max_grad_norm / norm);    lr_t = lr sqrt(1 - b2^t) / (1 - b1^t);    m and v as in AdamW;
///   p -= lr_t (m / (sqrt(v) + eps) + wd p).
template <class T>
class AdamW {
 public:
  /// Takes the parameters of a model, or of any struct with visit(), that require a gradient. Throws ConfigError for
  /// options that cannot work.
  template <class Module>
  explicit AdamW(Module& module, AdamWOptions options = {}) : options_(options) {
    const auto in_0_1 = [](double x) { return x >= 0 && x < 1; };
    check_learning_rate(options.learning_rate);
    check<ConfigError>(in_0_1(options.betas[0]) && in_0_1(options.betas[1]), "AdamW",
                       "betas must be in 0..1 and below 1, got ", options.betas[0], " and ", options.betas[1]);
    check<ConfigError>(is_finite(options.eps) && options.eps > 0, "AdamW", "eps must be positive and finite, got ",
                       options.eps);
    check<ConfigError>(not_negative(options.weight_decay), "AdamW",
                       "weight_decay must be 0 or positive and finite, got ", options.weight_decay);
    check<ConfigError>(options.max_grad_norm >= 0, "AdamW", "max_grad_norm must be 0 (off) or positive, got ",
                       options.max_grad_norm);
    visit_parameters(module, [&](const std::string& name, Tensor<T>& tensor) {
      if (!tensor.requires_grad()) return;
      const double scale = options.learning_rate_scale ? options.learning_rate_scale(name) : 1;
      check<ConfigError>(not_negative(scale), "AdamW", "learning_rate_scale of ", name,
                         " must be 0 or positive and finite, got ", scale);
      parameters_.push_back({name, tensor, scale, Tensor<T>::zeros(tensor.shape()), Tensor<T>::zeros(tensor.shape())});
    });
  }

  /// Sets the learning rate of the following steps; learning_rate_scale is applied on top. Throws ConfigError for a
  /// negative one or one that is not finite.
  void set_learning_rate(double learning_rate) {
    check_learning_rate(learning_rate);
    options_.learning_rate = learning_rate;
  }
  double learning_rate() const { return options_.learning_rate; }
  const AdamWOptions& options() const { return options_; }
  /// Number of updates so far; skipped steps do not count.
  std::int64_t step_count() const { return step_count_; }

  /// Clips the gradients to max_grad_norm, updates every parameter that has a gradient, and clears all gradients. If
  /// their norm is not finite, it updates nothing and returns `skipped`: one bad batch does not ruin the weights. If
  /// there is no memory, it throws and has changed nothing, neither parameters nor its state nor gradients.
  StepResult step() {
    std::vector<std::span<const T>> gradients;
    for (const Parameter& parameter : parameters_)
      if (parameter.tensor.has_grad())
        gradients.emplace_back(std::as_const(parameter.tensor).grad().data(), parameter.tensor.numel());
    const double norm = std::sqrt(kernels::sum_of_squares(gradients));
    const bool finite = is_finite(norm);
    if (finite) update(norm);
    zero_grad();
    return {norm, !finite};
  }

  /// Clears all gradients.
  void zero_grad() {
    for (Parameter& parameter : parameters_) parameter.tensor.zero_grad();
  }

  /// Calls f(name, state) for the state that a checkpoint keeps, as `Optimizer` describes: "step" (std::int64_t&), then
  /// for each parameter "m.<name>" and "v.<name>" (Tensor<T>& in its shape), the running means of its gradient and of
  /// the gradient's square. Throws ShapeError if f leaves a tensor of another shape and DataError if it leaves a
  /// step outside 0..2^62; that piece of state then stays as it was.
  template <class F>
  void visit(F&& f) {
    const std::int64_t steps = step_count_;
    f(std::string("step"), step_count_);
    if (!is_count(step_count_)) {
      const std::int64_t refused = std::exchange(step_count_, steps);
      raise<DataError>("AdamW", "step must be in 0..2^62, got ", refused);
    }
    const auto visit_moment = [&](const std::string& name, Tensor<T>& moment) {
      const Tensor<T> before = moment;
      f(name, moment);
      if (moment.defined() && moment.shape() == before.shape()) return;
      const Tensor<T> refused = std::exchange(moment, before);
      check<ShapeError>(refused.defined(), "AdamW", name, " must have shape ", before.shape(),
                        ", got an undefined tensor");
      raise<ShapeError>("AdamW", name, " must have shape ", before.shape(), ", got ", refused.shape());
    };
    for (Parameter& parameter : parameters_) {
      visit_moment("m." + parameter.name, parameter.m);
      visit_moment("v." + parameter.name, parameter.v);
    }
  }
  /// Calls f with the same names and constant state.
  template <class F>
  void visit(F&& f) const {
    f(std::string("step"), step_count_);
    for (const Parameter& parameter : parameters_) {
      f("m." + parameter.name, parameter.m);
      f("v." + parameter.name, parameter.v);
    }
  }

 private:
  static bool not_negative(double x) { return is_finite(x) && x >= 0; }
  static void check_learning_rate(double learning_rate) {
    check<ConfigError>(not_negative(learning_rate), "AdamW", "learning_rate must be 0 or positive and finite, got ",
                       learning_rate);
  }

  struct Parameter {
    std::string name;
    Tensor<T> tensor;
    double scale;    // factor of the learning rate
    Tensor<T> m, v;  // running means of the gradient and of its square
  };

  void update(double norm) {
    const double t = static_cast<double>(step_count_ + 1);
    const double correction1 = 1 - std::pow(options_.betas[0], t), correction2 = 1 - std::pow(options_.betas[1], t);
    const bool exact = options_.openai_exact, clip = options_.max_grad_norm > 0 && norm > options_.max_grad_norm;
    // OpenAI's corrections are part of its learning rate, so the kernel makes none.
    const double rate = exact ? options_.learning_rate * std::sqrt(correction2) / correction1 : options_.learning_rate;
    const double norm_eps = exact ? 0 : 1e-6;  // TensorFlow's clip_by_global_norm, PyTorch's clip_grad_norm_
    kernels::AdamWStep constants{.learning_rate = rate,
                                 .beta1 = options_.betas[0],
                                 .beta2 = options_.betas[1],
                                 .eps = options_.eps,
                                 .weight_decay = 0,
                                 .grad_scale = clip ? options_.max_grad_norm / (norm + norm_eps) : 1,
                                 .correction1 = exact ? 1 : correction1,
                                 .correction2 = exact ? 1 : correction2};
    std::vector<kernels::AdamWParameter<T>> updates;
    for (Parameter& parameter : parameters_) {
      Tensor<T>& tensor = parameter.tensor;
      if (!tensor.has_grad()) continue;
      constants.learning_rate = rate * parameter.scale;
      constants.weight_decay = tensor.rank() >= 2 ? options_.weight_decay : 0;
      updates.push_back(
          {tensor.data(), parameter.m.data(), parameter.v.data(), tensor.grad().data(), tensor.numel(), constants});
    }
    kernels::adamw(updates);  // without memory it throws before it writes
    ++step_count_;
  }

  AdamWOptions options_;
  std::vector<Parameter> parameters_;
  std::int64_t step_count_ = 0;
};

template <class Module>
AdamW(Module&, AdamWOptions = {}) -> AdamW<typename Module::value_type>;

GPTLITE_COMPILED_CLASS(AdamW)

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
