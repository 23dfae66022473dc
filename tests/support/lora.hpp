#pragma once
// What tests of adapters look at: the numbers of a model and the names of what trains. Adapters that do something.

#include <map>
#include <string>
#include <vector>

#include "gptlite/nn/lora.hpp"

using Names = std::vector<std::string>;

template <class Module>
std::map<std::string, std::vector<float>> numbers(const Module& model) {
  std::map<std::string, std::vector<float>> all;
  gptlite::visit_parameters(model,
                            [&](const std::string& name, const auto& tensor) { all[name] = tensor.to_vector(); });
  return all;
}
template <class Module>
Names trainable_names(const Module& model) {
  Names names;
  gptlite::visit_parameters(model, [&](const std::string& name, const auto& tensor) {
    if (tensor.requires_grad()) names.push_back(name);
  });
  return names;
}

/// B ~ N(0, 0.3^2).
template <class Module>
void fill_B(Module& model) {
  gptlite::Generator generator(7);
  for (const auto& [name, layer] : gptlite::detail::linear_layers(model))
    if (layer->lora.defined())
      gptlite::fill_normal(layer->lora.B.data(), layer->lora.B.numel(), 0, 0.3, generator.fork());
}
