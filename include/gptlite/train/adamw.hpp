#pragma once
// AdamW: the optimizer of every recipe here, with gradient clipping built in.

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gptlite/nn/visit.hpp"
#include "gptlite/train/optimizer.hpp"
#include "gptlite/train/optimizer_parts.hpp"

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

namespace detail {

/// Throws ConfigError, naming the optimizer, unless the options that each parameter's update has can work.
inline void check_adamw(std::string_view where, const AdamWOptions& options) {
  const auto in_0_1 = [](double x) { return x >= 0 && x < 1; };
  check<ConfigError>(in_0_1(options.betas[0]) && in_0_1(options.betas[1]), where,
                     "betas must be in 0..1 and below 1, got ", options.betas[0], " and ", options.betas[1]);
  check<ConfigError>(is_finite(options.eps) && options.eps > 0, where, "eps must be positive and finite, got ",
                     options.eps);
  check_not_negative(where, "weight_decay", options.weight_decay);
}

/// Parameters that AdamW updates, with their moments: all of a model, or in Muon those that it does not orthogonalize.
template <class T>
class AdamWParameters {
 public:
  void add(const std::string& name, const Tensor<T>& tensor, double scale) {
    parameters_.push_back({name, tensor, scale, Tensor<T>::zeros(tensor.shape()), Tensor<T>::zeros(tensor.shape())});
  }
  /// Makes update number `step`, counted from 1, of every parameter that has a gradient. grad_scale: from clipping.
  /// Where there is no memory it throws before it writes.
  void update(const AdamWOptions& options, std::int64_t step, double grad_scale) {
    const double t = static_cast<double>(step);
    const double correction1 = 1 - std::pow(options.betas[0], t), correction2 = 1 - std::pow(options.betas[1], t);
    // OpenAI's corrections are part of its learning rate, so the kernel makes none.
    const bool exact = options.openai_exact;
    const double rate = exact ? options.learning_rate * std::sqrt(correction2) / correction1 : options.learning_rate;
    std::vector<kernels::AdamWParameter<T>> updates;
    for (Parameter& parameter : parameters_) {
      Tensor<T>& tensor = parameter.tensor;
      if (!tensor.has_grad()) continue;
      updates.push_back({tensor.data(), parameter.m.data(), parameter.v.data(), tensor.grad().data(), tensor.numel(),
                         kernels::AdamWStep{.learning_rate = rate * parameter.scale,
                                            .beta1 = options.betas[0],
                                            .beta2 = options.betas[1],
                                            .eps = options.eps,
                                            .weight_decay = tensor.rank() >= 2 ? options.weight_decay : 0,
                                            .grad_scale = grad_scale,
                                            .correction1 = exact ? 1 : correction1,
                                            .correction2 = exact ? 1 : correction2}});
    }
    kernels::adamw(updates);
  }
  /// Calls f("m.<name>", m) and f("v.<name>", v) for each parameter.
  template <class F>
  void visit(std::string_view where, F&& f) {
    for (Parameter& parameter : parameters_) {
      visit_state(where, "m." + parameter.name, parameter.m, f);
      visit_state(where, "v." + parameter.name, parameter.v, f);
    }
  }
  template <class F>
  void visit(F&& f) const {
    for (const Parameter& parameter : parameters_) {
      f("m." + parameter.name, parameter.m);
      f("v." + parameter.name, parameter.v);
    }
  }

 private:
  struct Parameter {
    std::string name;
    Tensor<T> tensor;
    double scale;    // factor of the learning rate
    Tensor<T> m, v;  // running means of the gradient and of its square
  };
  std::vector<Parameter> parameters_;
};

}  // namespace detail

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
    detail::check_not_negative("AdamW", "learning_rate", options.learning_rate);
    detail::check_adamw("AdamW", options);
    check<ConfigError>(options.max_grad_norm >= 0, "AdamW", "max_grad_norm must be 0 (off) or positive, got ",
                       options.max_grad_norm);
    visit_parameters(module, [&](const std::string& name, Tensor<T>& tensor) {
      if (!tensor.requires_grad()) return;
      const double scale = options.learning_rate_scale ? options.learning_rate_scale(name) : 1;
      detail::check_not_negative("AdamW", "learning_rate_scale of " + name, scale);
      tensors_.push_back(tensor);
      parameters_.add(name, tensor, scale);
    });
  }

  /// Sets the learning rate of the following steps; learning_rate_scale is applied on top. Throws ConfigError for a
  /// negative one or one that is not finite.
  void set_learning_rate(double learning_rate) {
    detail::check_not_negative("AdamW", "learning_rate", learning_rate);
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
    const double norm = grad_norm(tensors_);
    const bool finite = is_finite(norm);
    if (finite) {
      const double eps = options_.openai_exact ? 0 : 1e-6;  // TensorFlow's clip_by_global_norm, PyTorch's
      parameters_.update(options_, step_count_ + 1, clip_factor(norm, options_.max_grad_norm, eps));
      ++step_count_;
    }
    zero_grad();
    return {norm, !finite};
  }

  /// Clears all gradients.
  void zero_grad() {
    for (Tensor<T>& tensor : tensors_) tensor.zero_grad();
  }

  /// Calls f(name, state) for the state that a checkpoint keeps, as `Optimizer` describes: "step" (std::int64_t&), then
  /// for each parameter "m.<name>" and "v.<name>" (Tensor<T>& in its shape), the running means of its gradient and of
  /// the gradient's square. Throws ShapeError if f leaves a tensor of another shape and DataError if it leaves a
  /// step outside 0..2^62; that piece of state then stays as it was.
  template <class F>
  void visit(F&& f) {
    detail::visit_step_count("AdamW", step_count_, f);
    parameters_.visit("AdamW", f);
  }
  /// Calls f with the same names and constant state.
  template <class F>
  void visit(F&& f) const {
    f(std::string("step"), step_count_);
    parameters_.visit(f);
  }

 private:
  AdamWOptions options_;
  std::vector<Tensor<T>> tensors_;
  detail::AdamWParameters<T> parameters_;
  std::int64_t step_count_ = 0;
};

template <class Module>
AdamW(Module&, AdamWOptions = {}) -> AdamW<typename Module::value_type>;

GPTLITE_COMPILED_CLASS(AdamW)

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
