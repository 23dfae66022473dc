#pragma once
// The option --precision of programs that read a model to generate with it or to score with it.

#include <CLI/CLI.hpp>
#include <gptlite/gptlite.hpp>
#include <map>
#include <string>

namespace examples {

inline const std::map<std::string, gptlite::WeightFormat>& weight_formats() {
  using gptlite::WeightFormat;
  static const std::map<std::string, WeightFormat> formats = {
      {"fp32", WeightFormat::fp32}, {"bf16", WeightFormat::bf16}, {"int8", WeightFormat::int8}};
  return formats;
}

inline void add_weight_format(CLI::App& app, std::string& precision) {
  app.add_option("--precision", precision, "of the weights: fp32, bf16 or int8")
      ->check(CLI::IsMember({"fp32", "bf16", "int8"}))
      ->capture_default_str();
}

}  // namespace examples
