#pragma once
// Names of enum values, as files and command lines spell them: name_of(value), parse<Enum>(name), names_of<Enum>().

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// The result of enum_names(Enum), a function beside the enum that names its values:
///
///   constexpr auto enum_names(Precision) {
///     return EnumNames<Precision, 2>{"precision", {{{"fp32", Precision::fp32}, {"bf16", Precision::bf16}}}};
///   }
template <class Enum, std::size_t N>
struct EnumNames {
  std::string_view kind;  ///< the kind of value, for messages: "precision"
  std::array<std::pair<std::string_view, Enum>, N> all;
};

/// True for enums whose values have names: Task, Precision, NormOrder, WeightFormat, train::Decay, io::DType, and your
/// own enums with a function enum_names in their namespace.
template <class Enum>
concept NamedEnum = requires {
  enum_names(Enum{}).all;
};

/// The name of `value`, or an empty string if it has none.
template <NamedEnum Enum>
constexpr std::string_view name_of(Enum value) {
  for (const auto& [name, named] : enum_names(Enum{}).all)
    if (named == value) return name;
  return {};
}

/// All names, in the order of enum_names: for help texts and checks of command lines.
template <NamedEnum Enum>
std::vector<std::string> names_of() {
  std::vector<std::string> names;
  for (const auto& [name, value] : enum_names(Enum{}).all) names.emplace_back(name);
  return names;
}

/// The value named `name`, or nullopt if there is none.
template <NamedEnum Enum>
constexpr std::optional<Enum> try_parse(std::string_view name) {
  for (const auto& [known, value] : enum_names(Enum{}).all)
    if (known == name) return value;
  return std::nullopt;
}

/// The value named `name`: `parse<Precision>("bf16")`. Throws ConfigError, which lists all names, if there is none.
template <NamedEnum Enum>
Enum parse(std::string_view name) {
  if (const std::optional<Enum> value = try_parse<Enum>(name)) return *value;
  std::string known;
  for (const std::string& each : names_of<Enum>()) known.append(known.empty() ? "" : ", ").append(each);
  raise<ConfigError>("parse", '"', name, "\" is no ", enum_names(Enum{}).kind, "; there are ", known);
}

}  // namespace gptlite::inline GPTLITE_ABI
