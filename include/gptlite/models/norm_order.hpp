#pragma once
// NormOrder: where the blocks of a model normalize.

#include "gptlite/core/enum_names.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Where a block normalizes. post: after each residual sum (GPT-1). pre: before attention and MLP, with one more norm
/// after the last block (GPT-2).
enum class NormOrder { post, pre };

constexpr auto enum_names(NormOrder) {
  return EnumNames<NormOrder, 2>{"order of norms", {{{"post", NormOrder::post}, {"pre", NormOrder::pre}}}};
}

}  // namespace gptlite::inline GPTLITE_ABI
