#pragma once
// RunState: references to everything that a training run continues from, by name; saved to and loaded from a
// Checkpoint.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/io/checkpoint.hpp"
#include "gptlite/io/differences.hpp"
#include "gptlite/nn/visit.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

namespace detail {
/// Receives the state of a run piece by piece.
class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  virtual void visit(const std::string& name, std::int64_t& number) = 0;
  virtual void visit(const std::string& name, double& number) = 0;
  virtual void visit(const std::string& name, Tensor<float>& tensor) = 0;
  virtual void visit(const std::string& name, Tensor<double>& tensor) = 0;
  /// The gradient that a parameter has collected so far in a step in progress.
  virtual void visit_gradient(const std::string& name, Tensor<float>& parameter) = 0;
  virtual void visit_gradient(const std::string& name, Tensor<double>& parameter) = 0;
};

/// What a StateCollector takes of the state.
enum class Collected { numbers, tensors, gradients };  // each with those before it

/// Puts handles of tensors and values of numbers into a checkpoint.
class StateCollector : public StateVisitor {
 public:
  StateCollector(Checkpoint& into, Collected what) : into_(into), what_(what) {}
  void visit(const std::string& name, std::int64_t& number) override { into_.integers[name] = number; }
  void visit(const std::string& name, double& number) override { into_.reals[name] = number; }
  void visit(const std::string& name, Tensor<float>& tensor) override { add(name, tensor); }
  void visit(const std::string& name, Tensor<double>& tensor) override { add(name, tensor); }
  void visit_gradient(const std::string& name, Tensor<float>& parameter) override { add_gradient(name, parameter); }
  void visit_gradient(const std::string& name, Tensor<double>& parameter) override { add_gradient(name, parameter); }

 private:
  template <class T>
  void add(const std::string& name, const Tensor<T>& tensor) {
    if (what_ == Collected::numbers) return;
    into_.tensors.emplace(name, tensor.detach());
  }
  template <class T>
  void add_gradient(const std::string& name, const Tensor<T>& parameter) {
    if (what_ == Collected::gradients && parameter.has_grad()) add(name, parameter.grad());
  }
  Checkpoint& into_;
  Collected what_;
};

/// Puts the numbers of a checkpoint, or its tensors, into the state of a run.
class StateAssigner : public StateVisitor {
 public:
  StateAssigner(const Checkpoint& from, bool tensors) : from_(from), tensors_(tensors) {}
  void visit(const std::string& name, std::int64_t& number) override {
    if (!tensors_) number = from_.integers.at(name);
  }
  void visit(const std::string& name, double& number) override {
    if (!tensors_) number = from_.reals.at(name);
  }
  void visit(const std::string& name, Tensor<float>& tensor) override { copy(name, tensor); }
  void visit(const std::string& name, Tensor<double>& tensor) override { copy(name, tensor); }
  void visit_gradient(const std::string& name, Tensor<float>& parameter) override { set_gradient(name, parameter); }
  void visit_gradient(const std::string& name, Tensor<double>& parameter) override { set_gradient(name, parameter); }

 private:
  template <class T>
  void copy(const std::string& name, const Tensor<T>& tensor) {
    if (!tensors_) return;
    const auto& saved = std::get<Tensor<T>>(from_.tensors.at(name));
    std::copy_n(saved.data(), saved.numel(), const_cast<T*>(tensor.data()));
  }
  template <class T>
  void set_gradient(const std::string& name, Tensor<T>& parameter) {
    if (!tensors_ || !parameter.requires_grad()) return;
    const auto saved = from_.tensors.find(name);
    if (saved == from_.tensors.end())
      parameter.zero_grad();
    else
      parameter.grad_state()->grad = std::get<Tensor<T>>(saved->second).storage();
  }
  const Checkpoint& from_;
  bool tensors_;
};
}  // namespace detail

/// References to the state of a run. Objects must outlive it.
class RunState {
 public:
  /// Adds numbers (std::int64_t, double), a tensor, a model, or an object whose visit(f) calls f(name, state) for each
  /// piece of its state, as those of optimizers and batches do. Of a model (a struct with value_type) these are its
  /// parameters, the gradients of a step in progress, and the random numbers of its dropout (`mode`). Throws
  /// ConfigError for a name that is taken.
  template <class Object>
  void add(const std::string& name, Object& object) {
    if constexpr (!gptlite::detail::is_tensor<Object> && requires { typename Object::value_type; })
      add_part(
          name, [&object, name](Visitor& f) { visit_model(name, object, f); },
          [&object, name](Visitor& f) { visit_dropout(name, object, f); });
    else
      add_part(
          name, [&object, name](Visitor& f) { visit_object(name, object, f); },
          [&object, name](Visitor& f) { visit_object(name, object, f); });
  }
  /// Adds an optimizer: its state changes in step() alone.
  template <class O>
  void add_optimizer(const std::string& name, O& optimizer) {
    add_part(
        name, [&optimizer, name](Visitor& f) { visit_object(name, optimizer, f); }, [](Visitor&) {});
  }

  /// The numbers that change while a step is computed: those of all objects but optimizers.
  Checkpoint collect_numbers() const {
    Checkpoint checkpoint;
    detail::StateCollector collector(checkpoint, detail::Collected::numbers);
    for (const Part& part : parts_) part.visit_numbers(collector);
    return checkpoint;
  }
  /// The state as a checkpoint that shares the tensors' numbers. gradients: those of a step in progress too.
  Checkpoint collect(bool gradients) const {
    Checkpoint checkpoint;
    detail::StateCollector collector(checkpoint, gradients ? detail::Collected::gradients : detail::Collected::tensors);
    visit(collector);
    return checkpoint;
  }

  /// Puts saved state in place. Throws DataError, naming `path` and all differences, unless `saved` has the same names
  /// and shapes; nothing is changed then.
  void assign(const Checkpoint& saved, const std::string& path) const {
    const Checkpoint here = collect(false);
    check_same(here, saved, path);
    try {
      detail::StateAssigner numbers(saved, false);
      visit(numbers);
    } catch (...) {  // an object refused its number
      detail::StateAssigner back(here, false);
      visit(back);
      throw;
    }
    detail::StateAssigner tensors(saved, true);
    visit(tensors);
  }

 private:
  using Visitor = detail::StateVisitor;
  struct Part {
    std::function<void(Visitor&)> visit, visit_numbers;
  };

  void add_part(const std::string& name, std::function<void(Visitor&)> all, std::function<void(Visitor&)> numbers) {
    check<ConfigError>(names_.insert(name).second, "RunState", "\"", name, "\" is there already");
    parts_.push_back({std::move(all), std::move(numbers)});
  }
  template <class Model>
  static void visit_dropout(const std::string& name, Model& model, Visitor& f) {
    if constexpr (requires { model.mode->generator; }) visit_object(name + ".dropout", model.mode->generator, f);
  }
  template <class Model>
  static void visit_model(const std::string& name, Model& model, Visitor& f) {
    visit_parameters(model, [&](const std::string& parameter, auto& tensor) {
      f.visit(name + '.' + parameter, tensor);
      f.visit_gradient(name + ".grad." + parameter, tensor);
    });
    visit_dropout(name, model, f);
  }
  template <class Object>
  static void visit_object(const std::string& name, Object& object, Visitor& f) {
    if constexpr (requires { object.visit([](const std::string&, auto&) {}); })
      object.visit([&](const auto& inner, auto& state) {
        static_assert(!std::is_convertible_v<decltype(inner), const char*>,
                      "RunState::add: a model needs a member type value_type, float or double");
        f.visit(name + '.' + inner, state);
      });
    else
      f.visit(name, object);
  }
  void visit(Visitor& f) const {
    for (const Part& part : parts_) part.visit(f);
  }

  static void check_same(const Checkpoint& here, const Checkpoint& saved, const std::string& path) {
    detail::Differences differences("the run ");
    const auto compare = [&](const auto& own, const auto& theirs) {
      for (const auto& item : own)
        if (!theirs.contains(item.first)) differences.missing.push_back(item.first);
      for (const auto& item : theirs)
        if (!own.contains(item.first) && item.first.find(".grad.") == std::string::npos)
          differences.unexpected.push_back(item.first);
    };
    compare(here.tensors, saved.tensors);
    compare(here.integers, saved.integers);
    compare(here.reals, saved.reals);
    for (const auto& item : here.tensors)
      if (const auto found = saved.tensors.find(item.first); found != saved.tensors.end())
        differences.compare(item.first, detail::form_of(found->second), detail::form_of(item.second));
    differences.check_none("load_checkpoint", path + ": saved by another run");
  }

  std::set<std::string> names_;
  std::vector<Part> parts_;
};

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
