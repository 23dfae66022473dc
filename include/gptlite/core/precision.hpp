#pragma once
// Precision: the format that the operands of matrix products are rounded to.

#include "gptlite/core/enum_names.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Precision of matrix products. fp32: operands are used as they are. bf16: operands are rounded to bfloat16, products
/// summed in fp32. Weights, gradients, softmax, norms and losses are fp32 either way. Tensors of double always compute
/// in double.
enum class Precision { fp32, bf16 };

constexpr auto enum_names(Precision) {
  return EnumNames<Precision, 2>{"precision", {{{"fp32", Precision::fp32}, {"bf16", Precision::bf16}}}};
}

}  // namespace gptlite::inline GPTLITE_ABI
