#pragma once
// The head of a language model and its loss in one: logits = h W^T, cross-entropy, and its gradients. Only the logits
// of a block of rows are in memory at a time.
//
// Sizes:  h (rows, C)    weight (V, C)    targets (rows)

#include <cstdint>

#include "gptlite/kernels/gemm/gemm.hpp"
#include "gptlite/kernels/softmax.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

struct LinearCrossEntropyShape {
  Index rows, C, V;
  std::int32_t ignored;  ///< value of a target that does not count
  Precision precision = Precision::fp32;

  /// Most logits in memory at once, rounded to whole rows. Fewer would read and write dweight more often.
  Index most_logits = 1 << 24;

  Index block() const { return std::clamp<Index>(most_logits / std::max<Index>(V, 1), 1, std::max<Index>(rows, 1)); }
};

/// losses[row] = -log softmax(logits)[target], 0 for an ignored target. Unless dh is null, also computes the gradient
/// of scale * sum(losses), or with row_weights of scale * sum(row_weights * losses): dh = dlogits weight, dweight =
/// dlogits^T h with dlogits = scale (softmax(logits) - onehot). Both are overwritten; a null dweight is skipped.
template <class T>
void linear_cross_entropy(T* losses, T* dh, T* dweight, T scale, const T* h, const T* weight,
                          const std::int32_t* targets, const LinearCrossEntropyShape& s,
                          const T* row_weights = nullptr) {
  const Index block = s.block();
  const Storage<T> logits(std::min(block, s.rows) * s.V);
  const Storage<LogSumExp<T>> lse(block);
  for (Index row = 0; row < s.rows; row += block) {
    const Index rows = std::min(block, s.rows - row);
    const MatrixView<T> h_block{h + row * s.C, s.C}, view{logits.data(), s.V};
    gemm(s.precision, rows, s.V, s.C, h_block, MatrixView<T>{weight, s.C}.transposed(), logits.data(), s.V, false);
    cross_entropy_forward(losses + row, lse.data(), logits.data(), targets + row, rows, s.V, s.ignored);
    if (dh == nullptr) continue;
    cross_entropy_backward(GradTarget<T>{logits.data(), false}, scale, lse.data(), logits.data(), targets + row, rows,
                           s.V, s.ignored, row_weights == nullptr ? nullptr : row_weights + row);
    gemm(s.precision, rows, s.C, s.V, view, MatrixView<T>{weight, s.C}, dh + row * s.C, s.C, false);
    if (dweight != nullptr) gemm(s.precision, s.V, s.C, rows, view.transposed(), h_block, dweight, s.C, row > 0);
  }
}

GPTLITE_COMPILED_FUNCTION(linear_cross_entropy)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
