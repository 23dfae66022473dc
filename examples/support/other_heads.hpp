#pragma once
// One line about what a folder has beside its language model.

#include <gptlite/io/gpt_folder.hpp>
#include <iostream>
#include <string>
#include <vector>

namespace examples {

/// Prints to stderr which heads of a folder the program passes over, if there are any.
inline void note_other_heads(const char* program, const std::string& folder) {
  const std::vector<std::string> heads = gptlite::io::other_heads(folder);
  if (heads.empty()) return;
  std::string names;
  for (const std::string& name : heads) names += (names.empty() ? "" : ", ") + name;
  std::cerr << program << ": " << folder << ": passed over, no part of the language model: " << names << '\n';
}

}  // namespace examples
