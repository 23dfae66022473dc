#pragma once
// Freezing: parameters that keep their numbers while the rest of a model trains, chosen by name.

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "gptlite/nn/glob.hpp"
#include "gptlite/nn/visit.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

/// Calls set_requires_grad(wanted) on the parameters that match one of the patterns. Returns how many match.
template <class Module>
Index set_trainable(std::string_view where, Module& module, const std::vector<std::string>& patterns, bool wanted) {
  std::vector<std::string> names;
  visit_parameters(module, [&](const std::string& name, auto&) { names.push_back(name); });
  check_patterns(where, "parameter", names, patterns);
  Index count = 0;
  visit_parameters(module, [&](const std::string& name, auto& tensor) {
    if (!glob_match_any(name, patterns)) return;
    // An optimizer's handle shares the gradient, and the optimizer skips a parameter without one.
    if (!wanted) tensor.zero_grad();
    tensor.set_requires_grad(wanted);
    ++count;
  });
  return count;
}

}  // namespace detail

/// Makes parameters stop training: no gradient is computed for them, and no optimizer moves them, not even one made
/// before. `patterns` are matched by `glob_match` against the names of visit_parameters. Returns how many tensors
/// match. Does not freeze copies of the model made before. Call it between steps, not between a loss and its
/// backward(). Throws ConfigError, and changes nothing, if a pattern matches no parameter.
template <class Module>
Index freeze(Module& module, const std::vector<std::string>& patterns) {
  return detail::set_trainable("freeze", module, patterns, false);
}
/// Freezes the parameters that match one pattern: `freeze(model, "h.0.*")`.
template <class Module, std::convertible_to<std::string_view> Pattern>
Index freeze(Module& module, const Pattern& pattern) {
  return freeze(module, std::vector<std::string>{std::string(std::string_view(pattern))});
}

/// Makes parameters train again. Make the optimizer afterwards: one made before a parameter was frozen does not see its
/// gradient. `patterns`, result and errors are those of freeze().
template <class Module>
Index unfreeze(Module& module, const std::vector<std::string>& patterns) {
  return detail::set_trainable("unfreeze", module, patterns, true);
}
/// Unfreezes the parameters that match one pattern: `unfreeze(model, "*ln_?.*")`.
template <class Module, std::convertible_to<std::string_view> Pattern>
Index unfreeze(Module& module, const Pattern& pattern) {
  return unfreeze(module, std::vector<std::string>{std::string(std::string_view(pattern))});
}

/// Number of scalar parameters that train: those of tensors that require a gradient.
template <class Module>
Index trainable_count(const Module& module) {
  Index count = 0;
  visit_parameters(
      module, [&](const std::string&, const auto& tensor) { count += tensor.requires_grad() ? tensor.numel() : 0; });
  return count;
}

}  // namespace gptlite::inline GPTLITE_ABI
