#pragma once
// Differences between what a file holds and what it is for, a model, adapters or a run, reported in one message.

#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

struct Differences {
  std::string asks;  // who expects other shapes: "config.json asks for "
  std::vector<std::string> missing = {}, unexpected = {}, shapes = {};

  explicit Differences(std::string who) : asks(std::move(who)) {}
  template <class Form>
  void compare(const std::string& name, const Form& in_file, const Form& wanted) {
    if (in_file == wanted) return;
    std::ostringstream line;
    line << name << ": file has " << in_file << ", " << asks << wanted;
    shapes.push_back(line.str());
  }
  /// Throws DataError if there is a difference.
  void check_none(std::string_view where, const std::string& path) const {
    std::string list;
    for (const auto& [what, names] : {std::pair{"missing ", &missing}, {"unexpected ", &unexpected}, {"", &shapes}})
      for (const std::string& name : *names) list += std::string("\n  ") + what + name;
    check<DataError>(list.empty(), where, path, ": ", missing.size(), " missing, ", unexpected.size(), " unexpected, ",
                     shapes.size(), " shape mismatches:", list);
  }
};

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
