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
  double softcap = 0;  ///< c: logits become c tanh(logits / c); 0: they stay

  /// Most logits in memory at once, rounded to whole rows. Fewer would read and write dweight more often.
  Index most_logits = 1 << 24;

  Index block() const { return std::clamp<Index>(most_logits / std::max<Index>(V, 1), 1, std::max<Index>(rows, 1)); }
};

/// x = c tanh(x / c) and, unless slope is null, its derivative 1 - tanh(x / c)^2, of n numbers.
template <class T>
void soft_cap(T* x, T* slope, Index n, double c) {
  using V = simd::Vec<T>;
  const T cap = static_cast<T>(c), inverse = static_cast<T>(1 / c);
  parallel_for_ranges(n, elementwise_grain, [&](Index begin, Index end) {
    simd::for_vectors<T>(end - begin, [&](Index i, Index count) {
      const V y = simd::tanh(simd::load_numbers(x + begin + i, count) * inverse);
      simd::store_numbers(x + begin + i, y * cap, count);
      if (slope != nullptr) simd::store_numbers(slope + begin + i, T(1) - y * y, count);
    });
  });
}

/// losses[row] = -log softmax(logits)[target], 0 for an ignored target. Unless dh is null, also computes the gradient
/// of scale * sum(losses), or with row_weights of scale * sum(row_weights * losses): dh = dlogits weight, dweight =
/// dlogits^T h with dlogits = scale (softmax(logits) - onehot). Both are overwritten; a null dweight is skipped.
template <class T>
void linear_cross_entropy(T* losses, T* dh, T* dweight, T scale, const T* h, const T* weight,
                          const std::int32_t* targets, const LinearCrossEntropyShape& s,
                          const T* row_weights = nullptr) {
  const Index block = s.block();
  const Storage<T> logits(std::min(block, s.rows) * s.V);
  const Storage<T> slope(s.softcap != 0 && dh != nullptr ? logits.size() : 0);
  const Storage<LogSumExp<T>> lse(block);
  for (Index row = 0; row < s.rows; row += block) {
    const Index rows = std::min(block, s.rows - row);
    const MatrixView<T> h_block{h + row * s.C, s.C}, view{logits.data(), s.V};
    gemm(s.precision, rows, s.V, s.C, h_block, MatrixView<T>{weight, s.C}.transposed(), logits.data(), s.V, false);
    if (s.softcap != 0) soft_cap(logits.data(), dh != nullptr ? slope.data() : nullptr, rows * s.V, s.softcap);
    cross_entropy_forward(losses + row, lse.data(), logits.data(), targets + row, rows, s.V, s.ignored);
    if (dh == nullptr) continue;
    cross_entropy_backward(GradTarget<T>{logits.data(), false}, scale, lse.data(), logits.data(), targets + row, rows,
                           s.V, s.ignored, row_weights == nullptr ? nullptr : row_weights + row);
    if (s.softcap != 0)
      transform(
          logits.data(), rows * s.V, [](simd::Vec<T> d, simd::Vec<T> factor) { return d * factor; }, logits.data(),
          slope.data());
    gemm(s.precision, rows, s.C, s.V, view, MatrixView<T>{weight, s.C}, dh + row * s.C, s.C, false);
    if (dweight != nullptr) gemm(s.precision, s.V, s.C, rows, view.transposed(), h_block, dweight, s.C, row > 0);
  }
}

GPTLITE_COMPILED_FUNCTION(linear_cross_entropy)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
