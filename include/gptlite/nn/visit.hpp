#pragma once
// What makes a struct a layer: `visit`, which calls f(name, member) for each parameter and each layer inside. From it
// follow names, counts, optimizer groups and, later, checkpoints.

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
template <class M>
inline constexpr bool is_tensor = false;
template <class T>
inline constexpr bool is_tensor<Tensor<T>> = true;
template <class M>
inline constexpr bool is_vector = false;
template <class M>
inline constexpr bool is_vector<std::vector<M>> = true;
}  // namespace detail

/// Calls f(name, tensor) for every parameter of a layer, in the order of its visit functions. Names are joined with
/// dots, elements of a vector are numbered: "h.0.attn.c_attn.weight". Undefined tensors are passed over.
template <class Module, class F>
void visit_parameters(Module& module, F&& f, const std::string& prefix = "") {
  module.visit([&](const char* name, auto& member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    const std::string path = prefix + name;
    if constexpr (detail::is_tensor<Member>) {
      if (member.defined()) f(path, member);
    } else if constexpr (detail::is_vector<Member>) {
      for (std::size_t i = 0; i < member.size(); ++i)
        visit_parameters(member[i], f, path + '.' + std::to_string(i) + '.');
    } else {
      visit_parameters(member, f, path + '.');
    }
  });
}

/// Number of trainable numbers of a layer.
template <class Module>
Index parameter_count(Module& module) {
  Index count = 0;
  visit_parameters(module, [&](const std::string&, auto& tensor) { count += tensor.size(); });
  return count;
}

/// Handles on the parameters of a layer with their names.
template <class T, class Module>
std::vector<std::pair<std::string, Tensor<T>>> named_parameters(Module& module) {
  std::vector<std::pair<std::string, Tensor<T>>> parameters;
  visit_parameters(module, [&](const std::string& name, Tensor<T>& tensor) { parameters.emplace_back(name, tensor); });
  return parameters;
}

}  // namespace gptlite::inline GPTLITE_ABI
