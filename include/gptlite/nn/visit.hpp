#pragma once
// A struct is a layer if it has `visit`, which calls f(name, member) for each parameter and each inner layer. Names,
// counts, optimizer groups, files and snapshots follow from it, so a layer writes it once. A const layer is visited
// with const members.

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

template <class Member, class F>
void visit_member(Member& member, F&& f, const std::string& path);

/// Calls f(name, member) for every tensor and every layer inside a module, at any depth, a layer before its members.
template <class Module, class F>
void visit_members(Module& module, F&& f, const std::string& prefix) {
  // visit() itself changes nothing. Only f may, and it gets the members of a const module as const.
  const_cast<std::remove_const_t<Module>&>(module).visit([&](const char* name, auto& member) {
    using Member = std::remove_reference_t<decltype(member)>;
    if constexpr (std::is_const_v<Module>)
      visit_member<const Member>(member, f, prefix + name);
    else
      visit_member<Member>(member, f, prefix + name);
  });
}

/// Calls f(path, member) for one member and everything inside it. Of a vector the elements are members, the vector
/// itself is not.
template <class Member, class F>
void visit_member(Member& member, F&& f, const std::string& path) {
  using Plain = std::remove_const_t<Member>;
  if constexpr (is_vector<Plain>) {
    for (std::size_t i = 0; i < member.size(); ++i) visit_member(member[i], f, path + '.' + std::to_string(i));
  } else {
    f(path, member);
    if constexpr (!is_tensor<Plain>) visit_members(member, f, path + '.');
  }
}
}  // namespace detail

/// Calls f(name, tensor) for every parameter of a layer, in the order of its visit functions. Names are joined with
/// dots, elements of a vector are numbered: "h.0.attn.c_attn.weight". Undefined tensors are skipped. `prefix` is put in
/// front of every name. A const layer gives const tensors.
template <class Module, class F>
void visit_parameters(Module& module, F&& f, const std::string& prefix = "") {
  detail::visit_members(
      module,
      [&](const std::string& name, auto& member) {
        if constexpr (detail::is_tensor<std::remove_cvref_t<decltype(member)>>)
          if (member.defined()) f(name, member);
      },
      prefix);
}

/// Calls f(name, layer) for every layer of type Layer inside a module, not for the module itself, in the order and with
/// the names of visit_parameters: "h.0.attn.c_attn". `visit_layers<Linear<float>>(model, f)`
template <class Layer, class Module, class F>
void visit_layers(Module& module, F&& f, const std::string& prefix = "") {
  detail::visit_members(
      module,
      [&](const std::string& name, auto& member) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(member)>, Layer>) f(name, member);
      },
      prefix);
}

/// Number of scalar parameters of a layer, frozen or not.
template <class Module>
Index parameter_count(const Module& module) {
  Index count = 0;
  visit_parameters(module, [&](const std::string&, const auto& tensor) { count += tensor.numel(); });
  return count;
}

/// Names and handles of the parameters of a layer.
template <class T, class Module>
std::vector<std::pair<std::string, Tensor<T>>> named_parameters(Module& module) {
  std::vector<std::pair<std::string, Tensor<T>>> parameters;
  visit_parameters(module, [&](const std::string& name, Tensor<T>& tensor) { parameters.emplace_back(name, tensor); });
  return parameters;
}

}  // namespace gptlite::inline GPTLITE_ABI
