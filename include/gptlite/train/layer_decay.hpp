#pragma once
// layer_decay: smaller learning rates for the lower layers of a pre-trained GPT.

#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

#include "gptlite/core/error.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/shape.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Layer-wise decay of the learning rate (Howard and Ruder 2018, 3.2), for AdamWOptions::learning_rate_scale. Returns a
/// function from the name of a parameter to its factor, for a GPT of n_layer blocks or a TaskModel on it, with or
/// without "transformer." in front:
///   head, ln_f and unknown names: 1;    h.i: decay^(n_layer - i);    wte and wpe: decay^(n_layer + 1).
/// Throws ConfigError for an n_layer below 1 or a decay outside 0..1 (0 excluded). The returned function throws
/// ConfigError for a block that does not exist.
inline std::function<double(const std::string&)> layer_decay(Index n_layer, double decay) {
  check<ConfigError>(n_layer >= 1, "layer_decay", "n_layer must be 1 or more, got ", n_layer);
  check<ConfigError>(is_finite(decay) && decay > 0 && decay <= 1, "layer_decay",
                     "decay must be above 0 and at most 1, got ", decay);
  return [n_layer, decay](const std::string& name) {
    std::string_view path = name;
    if (constexpr std::string_view backbone = "transformer."; path.starts_with(backbone))
      path.remove_prefix(backbone.size());
    const std::string_view part = path.substr(0, path.find('.'));
    if (part == "wte" || part == "wpe") return std::pow(decay, static_cast<double>(n_layer + 1));
    if (!path.starts_with("h.")) return 1.0;
    path.remove_prefix(2);
    const std::string_view number = path.substr(0, path.find('.'));
    const std::uint64_t blocks = static_cast<std::uint64_t>(n_layer);
    std::uint64_t block = blocks;  // stays so if the number overflows
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), block);
    if (error == std::errc::invalid_argument || end != number.data() + number.size()) return 1.0;
    check<ConfigError>(block < blocks, "layer_decay", name, " is outside the ", n_layer,
                       " blocks given as n_layer: pass the n_layer of the model's config");
    return std::pow(decay, static_cast<double>(blocks - block));
  };
}

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
