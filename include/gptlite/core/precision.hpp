#pragma once
// Precision: what the operands of matrix products are rounded to.

#include "gptlite/core/enum_names.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// fp32: products of the numbers as they are. bf16: products of numbers rounded to bfloat16, summed in fp32. Weights,
/// gradients, softmax, norms and losses are fp32 either way. Tensors of double always compute in double.
enum class Precision { fp32, bf16 };

constexpr auto enum_names(Precision) {
  return EnumNames<Precision, 2>{"precision", {{{"fp32", Precision::fp32}, {"bf16", Precision::bf16}}}};
}

}  // namespace gptlite::inline GPTLITE_ABI
