#pragma once
// NormType: how the norms of a model normalize.

#include "gptlite/core/enum_names.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// How a norm normalizes the last axis. layer_norm: mean 0 and variance 1 (Ba et al. 2016). rms_norm: root mean square
/// 1 (Zhang and Sennrich 2019).
enum class NormType { layer_norm, rms_norm };

constexpr auto enum_names(NormType) {
  return EnumNames<NormType, 2>{"type of norm",
                                {{{"layer_norm", NormType::layer_norm}, {"rms_norm", NormType::rms_norm}}}};
}

}  // namespace gptlite::inline GPTLITE_ABI
