#pragma once
// What record() and backward() do while an AnomalyMode (nn/anomaly_mode.hpp) is in scope: they check that every number
// is finite, and say which operation made the first that is not, and from which parameters.

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

class AnomalyScope;

/// Documented global, one per thread: the innermost AnomalyMode in scope, or null.
inline AnomalyScope*& anomaly_scope() {
  static thread_local AnomalyScope* scope = nullptr;
  return scope;
}

/// The numbers of a tensor that are not finite: how many, and the first.
struct NotFinite {
  Index count = 0, first = 0;
  const char* value = "";

  template <class T>
  [[gnu::noinline]] static NotFinite in(const T* data, Index size) {
    NotFinite found;
    for (Index i = 0; i < size; ++i) found.count += is_finite(data[i]) ? 0 : 1;
    if (found.count == 0) return found;
    while (is_finite(data[found.first])) ++found.first;
    // Told apart by bits, for programs compiled with -ffast-math.
    const auto x = static_cast<double>(data[found.first]);
    found.value = is_nan(data[found.first]) ? "nan" : std::bit_cast<std::uint64_t>(x) >> 63 != 0 ? "-inf" : "inf";
    return found;
  }
};

/// A tensor as messages tell it, whatever the type of its numbers.
struct AnomalyTensor {
  const void* state;                  // of its gradient; null if it needs none
  const void* data;                   // null if only its place in the graph was kept
  std::weak_ptr<const void> storage;  // of its data
  Shape shape;
  NotFinite not_finite = {};

  template <class T>
  static AnomalyTensor of(const Tensor<T>& tensor) {
    return {tensor.grad_state().get(), tensor.storage().data(), tensor.storage().watch(), tensor.shape()};
  }
  /// The same with its numbers looked through, for a message.
  template <class T>
  static std::vector<AnomalyTensor> inspected(std::span<const Tensor<T>> tensors) {
    std::vector<AnomalyTensor> all;
    for (const Tensor<T>& tensor : tensors) {
      all.push_back(of(tensor));
      if (tensor.defined()) all.back().not_finite = NotFinite::in(tensor.data(), tensor.numel());
    }
    return all;
  }
};

/// An AnomalyMode while it is in scope: the names of its parameters, and what it knows of the tensors computed so far.
class AnomalyScope {
 public:
  AnomalyScope() : outer_(anomaly_scope()), kept_before_(keep_data_flag()) {
    anomaly_scope() = this;
    keep_data_flag() = true;  // inputs can be looked at wherever an operation fails
  }
  ~AnomalyScope() {
    anomaly_scope() = outer_;
    keep_data_flag() = kept_before_;
  }
  AnomalyScope(const AnomalyScope&) = delete;
  AnomalyScope& operator=(const AnomalyScope&) = delete;

  /// Names a parameter. Of two names for one tensor the first counts.
  template <class T>
  void add_parameter(const std::string& name, const Tensor<T>& tensor) {
    names_.try_emplace(tensor.storage().data(), name);
    if (tensor.requires_grad()) names_.try_emplace(tensor.grad_state().get(), name);
    // Kept, so that no other tensor gets their addresses.
    kept_.emplace_back(tensor.storage().watch().lock());
    kept_.emplace_back(tensor.grad_state());
  }

  /// "gelu_tanh", with the parameters among its inputs or, without any, the nearest operations that had some.
  std::string describe(const char* operation, std::span<const AnomalyTensor> inputs) const {
    const std::vector<std::string> parameters = names_among(inputs);
    if (!parameters.empty()) return std::string(operation) + " with " + joined(parameters);
    const Origin* const origin = nearest_origin(inputs);
    return operation + (origin == nullptr ? std::string() : ", computed from " + *origin->operation + ',');
  }
  /// The inputs that are not finite, each with its name if it has one.
  std::string describe_inputs(std::span<const AnomalyTensor> inputs) const {
    std::string text;
    bool all_known = true;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const AnomalyTensor& input = inputs[i];
      all_known = all_known && (input.data != nullptr || input.shape.rank() == 0);
      if (input.not_finite.count == 0) continue;
      const std::string* const name = name_of(input);
      text += name != nullptr ? "; parameter " + *name : "; input " + std::to_string(i);
      text += " is not finite: " + describe(input.not_finite, input.shape);
    }
    if (!text.empty()) return text;
    return all_known ? "; its inputs are finite"
                     : "; its inputs that were kept are finite (all are if AnomalyMode begins before the forward pass)";
  }
  /// "12 of 1024 numbers, the first nan at (0, 3, 17) of shape (1, 8, 128)"
  static std::string describe(const NotFinite& found, const Shape& shape) {
    std::vector<Index> position(static_cast<std::size_t>(shape.rank()));
    Index rest = found.first;
    for (std::size_t axis = position.size(); axis-- > 0; rest /= shape.sizes()[axis])
      position[axis] = rest % shape.sizes()[axis];
    std::ostringstream text;
    text << found.count << " of " << shape.numel() << " numbers, the first " << found.value;
    if (shape.rank() > 0) text << " at " << Shape(position);
    text << " of shape " << shape;
    return text.str();
  }
  /// " 3", or for a parameter " 3, h.0.ln_1.weight"
  std::string input_name(std::span<const AnomalyTensor> inputs, std::size_t i) const {
    const std::string* const name = name_of(inputs[i]);
    return ' ' + std::to_string(i) + (name == nullptr ? "" : ", " + *name);
  }
  /// The name of a parameter; null for another tensor.
  const std::string* name_of(const AnomalyTensor& tensor) const {
    for (const AnomalyScope* scope = this; scope != nullptr; scope = scope->outer_)
      for (const void* key : {tensor.state, tensor.data})
        if (const auto found = scope->names_.find(key); key != nullptr && found != scope->names_.end())
          return &found->second;
    return nullptr;
  }

  /// Remembers from which parameters an operation computed its outputs.
  void note(const char* operation, std::span<const AnomalyTensor> outputs, std::span<const AnomalyTensor> inputs) {
    Origin origin;
    if (const std::vector<std::string> parameters = names_among(inputs); !parameters.empty()) {
      std::string text = operation;
      for (std::size_t i = 0; i < parameters.size(); ++i) text += (i == 0 ? "(" : ", ") + parameters[i];
      origin.operation = std::make_shared<const std::string>(text + ')');
    } else if (const Origin* const nearest = nearest_origin(inputs)) {
      origin.operation = nearest->operation;
      origin.distance = nearest->distance + 1;
    }
    for (const AnomalyTensor& output : outputs) {
      origin.storage = output.storage;
      origins_.insert_or_assign(output.data, origin);
    }
    if (origins_.size() < 2 * alive_) return;
    std::erase_if(origins_, [](const auto& entry) { return entry.second.storage.expired(); });
    alive_ = origins_.size() + 64;
  }

  std::uint64_t operations = 0;  // so far, for messages
  bool in_backward = false;      // operations inside a backward are not checked, only the gradients that it writes

 private:
  // How the numbers at an address came about. The block of a tensor that is gone may belong to another one.
  struct Origin {
    std::weak_ptr<const void> storage;
    std::shared_ptr<const std::string> operation;  // "linear(h.3.mlp.c_fc.weight)"; null if there is none upstream
    int distance = 0;                              // operations from there to here
  };

  std::vector<std::string> names_among(std::span<const AnomalyTensor> inputs) const {
    std::vector<std::string> names;
    for (const AnomalyTensor& input : inputs)
      if (const std::string* const name = name_of(input)) names.push_back(*name);
    return names;
  }
  const Origin* nearest_origin(std::span<const AnomalyTensor> inputs) const {
    const Origin* nearest = nullptr;
    for (const AnomalyTensor& input : inputs)
      for (const AnomalyScope* scope = this; scope != nullptr; scope = scope->outer_) {
        const auto found = scope->origins_.find(input.data);
        if (found == scope->origins_.end() || found->second.storage.expired()) continue;
        const Origin& origin = found->second;
        if (origin.operation && (nearest == nullptr || origin.distance < nearest->distance)) nearest = &origin;
        break;
      }
    return nearest;
  }
  static std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i)
      text += (i == 0 ? "" : i + 1 < names.size() ? ", " : " and ") + names[i];
    return text;
  }

  AnomalyScope* outer_;
  bool kept_before_;
  std::unordered_map<const void*, std::string> names_;  // by address of numbers and of gradient state
  std::vector<std::shared_ptr<const void>> kept_;
  std::unordered_map<const void*, Origin> origins_;  // by address of numbers
  std::size_t alive_ = 64;
};

/// Checks the outputs of an operation. Throws AnomalyError if a number is not finite.
template <class T>
[[gnu::noinline]] void check_outputs(const char* name, std::span<const Tensor<T>> outputs,
                                     const std::vector<Tensor<T>>& inputs) {
  AnomalyScope& scope = *anomaly_scope();
  if (scope.in_backward) return;
  ++scope.operations;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const NotFinite found = NotFinite::in(outputs[i].data(), outputs[i].numel());
    if (found.count == 0) continue;
    const auto seen = AnomalyTensor::inspected<T>(inputs);
    raise<AnomalyError>(
        "AnomalyMode", "forward, operation ", scope.operations, ": output ", i, " of ", scope.describe(name, seen),
        " is not finite: ", AnomalyScope::describe(found, outputs[i].shape()), scope.describe_inputs(seen));
  }
  std::vector<AnomalyTensor> out, in;
  for (const Tensor<T>& output : outputs) out.push_back(AnomalyTensor::of(output));
  for (const Tensor<T>& input : inputs) in.push_back(AnomalyTensor::of(input));
  scope.note(name, out, in);
}

/// What record() calls. Integers, which may be sliced and reshaped too, are finite.
template <class T>
void check_anomaly(const char* name, std::span<const Tensor<T>> outputs, const std::vector<Tensor<T>>& inputs) {
  if constexpr (std::is_floating_point_v<T>)
    if (anomaly_scope() != nullptr) [[unlikely]]
      check_outputs<T>(name, outputs, inputs);
}

/// One run of backward() under AnomalyMode; without one it does nothing.
class AnomalyBackward {
 public:
  AnomalyBackward() : scope_(anomaly_scope()), before_(scope_ != nullptr && scope_->in_backward) {
    if (scope_ != nullptr) scope_->in_backward = true;
  }
  ~AnomalyBackward() {
    if (scope_ != nullptr) scope_->in_backward = before_;
  }
  AnomalyBackward(const AnomalyBackward&) = delete;
  AnomalyBackward& operator=(const AnomalyBackward&) = delete;

  explicit operator bool() const { return scope_ != nullptr; }

  /// Checks the gradient that backward() begins with.
  template <class T>
  [[gnu::noinline]] void check_start(const Tensor<T>& grad) const {
    if (const NotFinite found = NotFinite::in(grad.data(), grad.numel()); found.count > 0)
      raise<AnomalyError>("AnomalyMode", "the gradient that backward() begins with is not finite: ",
                          AnomalyScope::describe(found, grad.shape()));
  }
  /// Checks the gradients that the inputs of an operation have before its backward.
  template <class T>
  [[gnu::noinline]] void check_before(const char* name, const std::vector<Tensor<T>>& inputs) const {
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].has_grad())
        if (const NotFinite found = not_finite_gradient(inputs[i]); found.count > 0) {
          const auto seen = AnomalyTensor::inspected<T>(inputs);
          raise<AnomalyError>("AnomalyMode", "the gradient of input", scope_->input_name(seen, i), ", of ", name,
                              " was not finite before this backward(): ",
                              AnomalyScope::describe(found, inputs[i].shape()), "; zero_grad() clears it");
        }
  }
  /// Checks the gradients that an operation has written to its inputs.
  template <class T>
  [[gnu::noinline]] void check_after(const char* name, const std::vector<Tensor<T>>& inputs) {
    ++operations_;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].has_grad())
        if (const NotFinite found = not_finite_gradient(inputs[i]); found.count > 0) {
          const auto seen = AnomalyTensor::inspected<T>(inputs);
          raise<AnomalyError>("AnomalyMode", "backward, operation ", operations_, ": the gradient of input",
                              scope_->input_name(seen, i), ", of ", scope_->describe(name, seen),
                              " is not finite: ", AnomalyScope::describe(found, inputs[i].shape()),
                              "; the gradients of its outputs are finite", scope_->describe_inputs(seen));
        }
  }

 private:
  template <class T>
  static NotFinite not_finite_gradient(const Tensor<T>& tensor) {
    return NotFinite::in(tensor.grad_state()->grad.data(), tensor.numel());
  }

  AnomalyScope* scope_;
  bool before_;
  std::uint64_t operations_ = 0;
};

GPTLITE_COMPILED_FUNCTION(check_outputs)

}  // namespace detail

}  // namespace gptlite::inline GPTLITE_ABI
