#pragma once
// The option --precision of programs that read a model to generate with it or to score with it.

#include <CLI/CLI.hpp>
#include <gptlite/gptlite.hpp>
#include <string>

namespace examples {

inline void add_weight_format(CLI::App& app, std::string& precision) {
  app.add_option("--precision", precision, "of the weights: fp32, bf16 or int8")
      ->check(CLI::IsMember(gptlite::names_of<gptlite::WeightFormat>()))
      ->capture_default_str();
}

}  // namespace examples
