#pragma once
// The settings of adapter_config.json, as Hugging Face's PEFT writes it.

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/io/gpt_config_json.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

/// True if PEFT means this module by that name: its full name, or a suffix of it after a dot.
inline bool is_called(const std::string& module, const std::string& name) {
  return module == name || module.ends_with('.' + name);
}

/// Settings of adapter_config.json by module, as rank_pattern and alpha_pattern give them.
using PeftPattern = std::vector<std::pair<std::string, double>>;

/// The settings of adapter_config.json that matter here.
struct PeftConfig {
  Index rank;
  double alpha;
  bool rank_stabilized;  // use_rslora: the scale is alpha / sqrt(r), not alpha / r
  PeftPattern ranks, alphas;
  std::vector<std::string> targets;          // modules with adapters; empty if not given by name
  std::vector<std::string> modules_to_save;  // modules that are in the file whole

  explicit PeftConfig(const std::string& path) {
    const ModelConfigFile file(path, "load_lora");
    file.require_one_of("peft_type", {"LORA"});
    file.text("peft_type");
    file.check_known(adapter_keys);
    rank = file.required_size("r");
    file.expect(rank > 0, "\"r\" must be positive");
    file.expect(file.has("lora_alpha"), "\"lora_alpha\" must be a number");
    alpha = file.number_or("lora_alpha", 0);
    file.expect(alpha >= 1e-30 && alpha < 1e30, "\"lora_alpha\" must be positive, and a float must hold it");
    rank_stabilized = file.flag_or("use_rslora", false);
    ranks = pattern(file, "rank_pattern", [](double r) { return r >= 1 && r <= 1 << 30 && r == std::floor(r); });
    alphas = pattern(file, "alpha_pattern", [](double a) { return a >= 1e-30 && a < 1e30; });
    const bool by_name =
        !file.has("layers_to_transform") && !file.has("exclude_modules") && file.is_list("target_modules");
    if (by_name) targets = file.texts("target_modules");
    if (file.has("modules_to_save")) modules_to_save = file.texts("modules_to_save");
  }

  Index rank_of(const std::string& module) const { return static_cast<Index>(value_of(ranks, module, double(rank))); }
  double scale_of(const std::string& module) const {
    const double r = static_cast<double>(rank_of(module));
    return value_of(alphas, module, alpha) / (rank_stabilized ? std::sqrt(r) : r);
  }

 private:
  static double value_of(const PeftPattern& pattern, const std::string& module, double otherwise) {
    for (const auto& [name, value] : pattern)  // PEFT takes the first that fits
      if (is_called(module, name)) return value;
    return otherwise;
  }
  static PeftPattern pattern(const ModelConfigFile& file, const char* key, bool (*allowed)(double)) {
    PeftPattern values;
    if (!file.has(key)) return values;
    const nlohmann::json& entries = file.json().at(key);
    file.expect(entries.is_object(), '"', key, "\" must be an object of numbers by module");
    for (const auto& [name, value] : entries.items()) {
      const bool plain = std::all_of(name.begin(), name.end(),
                                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
      file.expect(plain, '"', key, "\" names modules by the regular expression ", json_string(name),
                  ", which is not supported: give their names");
      file.expect(value.is_number() && allowed(value.get<double>()), '"', key, "\": ", json_string(name), " is ",
                  value.dump(), ", which is no value for it");
      values.emplace_back(name, value.get<double>());
    }
    return values;
  }
};

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
