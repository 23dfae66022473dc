#pragma once
// Choosing parameters and layers by name: patterns with * and ?.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// True if the whole name fits the pattern, in which * stands for any characters, dots too, or none, and ? for one:
/// "h.0.attn.c_attn.weight" matches "h.0.*", "*.c_attn.*" and "h.?.attn.*".
inline bool matches(std::string_view name, std::string_view pattern) {
  std::size_t n = 0, p = 0;
  std::size_t star = std::string_view::npos, star_name = 0;  // the last * and the name's rest when it was met
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {  // the last * takes one character more
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

/// True if the name fits one of the patterns.
inline bool matches_any(std::string_view name, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns)
    if (matches(name, pattern)) return true;
  return false;
}

namespace detail {

/// Throws ConfigError for the first pattern that fits none of the names, and shows some of these. `what` is what they
/// name: "parameter".
inline void check_patterns(std::string_view where, std::string_view what, const std::vector<std::string>& names,
                           const std::vector<std::string>& patterns) {
  constexpr std::size_t shown = 12;
  check<ConfigError>(!patterns.empty(), where, "no pattern is given");
  for (const std::string& pattern : patterns) {
    bool found = false;
    for (const std::string& name : names) found = found || matches(name, pattern);
    if (found) continue;
    std::string known;
    for (std::size_t i = 0; i < names.size() && i < shown; ++i) known.append(i == 0 ? "" : ", ").append(names[i]);
    if (names.size() > shown) known.append(" and ").append(std::to_string(names.size() - shown)).append(" more");
    fail<ConfigError>(where, "no ", what, " matches \"", pattern, "\"; there ", names.size() == 1 ? "is " : "are ",
                      known.empty() ? "none" : known);
  }
}

}  // namespace detail
}  // namespace gptlite::inline GPTLITE_ABI
