#pragma once
// WeightSnapshot: a copy of the weights of a model, to return to.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/core/tensor.hpp"
#include "gptlite/nn/visit.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// A copy of all parameters of a model: `train::WeightSnapshot best(model); ... best.restore(model);`
template <class T>
class WeightSnapshot {
 public:
  /// Copies the parameters of a model.
  template <class Module>
  explicit WeightSnapshot(const Module& module) {
    visit_parameters(module, [&](const std::string& name, const Tensor<T>& tensor) {
      values_.emplace_back(name, tensor.detach().clone());
    });
  }

  /// Calls f(name, tensor) for each parameter of the snapshot, as a checkpoint keeps it.
  template <class F>
  void visit(F&& f) {
    for (auto& [name, tensor] : values_) f(name, tensor);
  }

  /// Copies the weights back into that model, or into another with the same parameters. Throws ConfigError if the names
  /// or the number of parameters differ, ShapeError if a shape does; the model is then unchanged.
  template <class Module>
  void restore(Module& module) const {
    std::vector<Tensor<T>> targets;  // handles
    visit_parameters(module, [&](const std::string& name, const Tensor<T>& tensor) {
      const std::size_t i = targets.size();
      check<ConfigError>(i < values_.size() && values_[i].first == name, "WeightSnapshot", "the model has \"", name,
                         "\" where the snapshot has ",
                         i < values_.size() ? '"' + values_[i].first + '"' : std::string("nothing"));
      check<ShapeError>(values_[i].second.shape() == tensor.shape(), "WeightSnapshot", name, ": the model has ",
                        tensor.shape(), ", the snapshot ", values_[i].second.shape());
      targets.push_back(tensor);
    });
    check<ConfigError>(targets.size() == values_.size(), "WeightSnapshot", "the model has ", targets.size(),
                       " parameters, the snapshot ", values_.size());
    for (std::size_t i = 0; i < targets.size(); ++i)
      std::copy_n(values_[i].second.data(), values_[i].second.numel(), targets[i].data());
  }

 private:
  std::vector<std::pair<std::string, Tensor<T>>> values_;
};

template <class Module>
WeightSnapshot(const Module&) -> WeightSnapshot<typename Module::value_type>;

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
