#pragma once
// Choosing parameters and layers by name: patterns with * and ?.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// True if the whole name matches the pattern, in which * matches any number of characters, dots included, and ?
/// exactly one: "h.0.attn.c_attn.weight" matches "h.0.*", "*.c_attn.*" and "h.?.attn.*".
inline bool glob_match(std::string_view name, std::string_view pattern) {
  std::size_t n = 0, p = 0;
  std::size_t star = std::string_view::npos, star_name = 0;  // of the last *, and of the name when it was reached
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {  // the last * takes one more character
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

/// True if the whole name matches one of the patterns, as glob_match does.
inline bool glob_match_any(std::string_view name, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns)
    if (glob_match(name, pattern)) return true;
  return false;
}

namespace detail {

/// Returns a name with * in place of its numbers: "h.*.ln_1.bias" for "h.0.ln_1.bias".
inline std::string without_numbers(std::string_view name) {
  std::string out;
  for (std::size_t begin = 0, end = 0; begin <= name.size(); begin = end + 1) {
    end = std::min(name.find('.', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    out.append(begin == 0 ? "" : ".").append(number ? "*" : part);
  }
  return out;
}

/// Throws ConfigError for the first pattern that matches no name. The message lists the names, with the layers of a
/// stack as one. `what`: the kind of thing that is named, such as "parameter".
inline void check_patterns(std::string_view where, std::string_view what, const std::vector<std::string>& names,
                           const std::vector<std::string>& patterns) {
  check<ConfigError>(!patterns.empty(), where, "no pattern is given");
  for (const std::string& pattern : patterns) {
    bool found = false;
    for (const std::string& name : names) found = found || glob_match(name, pattern);
    if (found) continue;
    std::vector<std::string> known;
    for (const std::string& name : names)
      if (std::string general = without_numbers(name); std::find(known.begin(), known.end(), general) == known.end())
        known.push_back(std::move(general));
    std::string list;
    for (const std::string& name : known) list.append(list.empty() ? "" : ", ").append(name);
    raise<ConfigError>(where, "no ", what, " matches \"", pattern, "\"; there ", known.size() == 1 ? "is " : "are ",
                       known.empty() ? "none" : list);
  }
}

}  // namespace detail
}  // namespace gptlite::inline GPTLITE_ABI
