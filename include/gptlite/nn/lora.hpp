#pragma once
// LoRA (Hu et al. 2021, "LoRA: Low-rank adaptation of large language models"): y = x W + b + (alpha / r) (x A) B, where
// W and b are frozen and the two thin matrices A and B train.

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gptlite/core/finite.hpp"
#include "gptlite/nn/freeze.hpp"
#include "gptlite/nn/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Options of add_lora.
struct LoraOptions {
  Index rank = 8;                                    ///< r: columns of A, rows of B
  double alpha = 16;                                 ///< the adapters' output is scaled by alpha / r
  std::vector<std::string> targets{"*attn.c_attn"};  ///< Linear layers to adapt: name patterns (`glob_match`)
  std::vector<std::string> trainable{};              ///< other parameters that train: patterns, "score.*"
  std::uint64_t seed = 1337;                         ///< of the initial A
};

namespace detail {

/// The Linear layers of a module with their names; const ones for a const module.
template <class Module>
auto linear_layers(Module& module) {
  using Layer = Linear<typename Module::value_type>;
  std::vector<std::pair<std::string, std::conditional_t<std::is_const_v<Module>, const Layer, Layer>*>> layers;
  visit_layers<Layer>(module, [&](const std::string& name, auto& layer) { layers.emplace_back(name, &layer); });
  return layers;
}

/// Makes the adapters of a module its only trainable parameters.
template <class Module>
void train_adapters_only(Module& module) {
  freeze(module, "*");
  for (const auto& [name, layer] : linear_layers(module)) {
    if (!layer->lora.defined()) continue;
    layer->lora.A.set_requires_grad();
    layer->lora.B.set_requires_grad();
  }
}

}  // namespace detail

/// True if a Linear layer of the module has adapters.
template <class Module>
bool has_lora(const Module& module) {
  for (const auto& [name, layer] : detail::linear_layers(module))
    if (layer->lora.defined()) return true;
  return false;
}

/// Adds adapters to every Linear layer whose name matches a target, and freezes all other parameters of the module
/// except those that match `trainable`; unfreeze(module, "score.*") makes a head train as well. A ~ U(-1/sqrt(in),
/// 1/sqrt(in)), as in PEFT, is a function of the seed and of the layer's position among the targets. B = 0, so the
/// module still computes the same. Returns the number of trainable scalars. Make the optimizer afterwards. module: a
/// struct with visit() and value_type. Throws ConfigError, and changes nothing, for a rank or alpha that is not
/// positive, a target that matches no Linear layer, a trainable pattern that matches no parameter, or a module that has
/// adapters already.
template <class Module>
Index add_lora(Module& module, const LoraOptions& options = {}) {
  using T = typename Module::value_type;
  check<ConfigError>(options.rank > 0, "add_lora", "rank must be positive, got ", options.rank);
  check<ConfigError>(options.alpha > 0 && is_finite(options.alpha), "add_lora",
                     "alpha must be positive and finite, got ", options.alpha);
  const auto layers = detail::linear_layers(module);
  std::vector<std::string> names, parameters;
  for (const auto& [name, layer] : layers) {
    check<ConfigError>(!layer->lora.defined(), "add_lora", name,
                       " has adapters already: call merge_lora(model) first, or train those");
    names.push_back(name);
  }
  visit_parameters(module, [&](const std::string& name, auto&) { parameters.push_back(name); });
  detail::check_patterns("add_lora", "Linear layer", names, options.targets);
  if (!options.trainable.empty()) detail::check_patterns("add_lora", "parameter", parameters, options.trainable);

  Generator generator(options.seed, RandomUse::adapters);
  for (const auto& [name, layer] : layers) {
    if (!glob_match_any(name, options.targets)) continue;
    const Index in = layer->weight.shape()[0], out = layer->weight.shape()[1];
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    layer->lora.A = Init::uniform(bound).parameter<T>({in, options.rank}, generator);
    layer->lora.B = Tensor<T>::zeros({options.rank, out});
    layer->lora.scale = options.alpha / static_cast<double>(options.rank);
  }
  detail::train_adapters_only(module);
  if (!options.trainable.empty()) unfreeze(module, options.trainable);
  return trainable_count(module);
}

/// Replaces the weight of every layer with adapters by weight + (alpha / r) A B, which trains again, and removes the
/// adapters. The module computes the same up to rounding, as fast as before add_lora. All other parameters that
/// add_lora froze stay frozen until unfreeze(module, "*"). Copies of the module keep their weights and adapters.
/// Returns how many layers had adapters.
template <class Module>
Index merge_lora(Module& module) {
  Index count = 0;
  for (const auto& [name, layer] : detail::linear_layers(module)) {
    if (!layer->lora.defined()) continue;
    Tensor<typename Module::value_type> merged = layer->merged_weight();
    merged.set_requires_grad();
    layer->weight = std::move(merged);  // from here on nothing throws: no layer is merged twice
    layer->lora = {};
    ++count;
  }
  return count;
}

}  // namespace gptlite::inline GPTLITE_ABI
