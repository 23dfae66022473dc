#pragma once
// Causal self-attention of a few new positions against the keys and values of all positions before, for generation.
//
// Sizes:  rows new positions of one sequence    NH heads    HS head size    C = NH * HS    keys positions so far
//         qkv (rows, 3C): q, then k, then v, each (NH, HS)        y (rows, C)

#include <algorithm>
#include <cmath>
#include <limits>

#include "gptlite/kernels/packed_matrix.hpp"
#include "gptlite/kernels/simd_math.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The keys and values of one layer: for each sequence and head, as the right-hand matrices k^T (HS, positions) and
/// v (positions, HS) of attention's two products, packed in panels, so that a new position only adds to them.
template <class T>
class KVCache {
 public:
  static constexpr Index panel = Tile<T>::columns;

  KVCache(Index sequences, Index heads, Index head_size, Index positions)
      : heads_(heads),
        head_size_(head_size),
        positions_((positions + panel - 1) / panel * panel),
        width_((head_size + panel - 1) / panel * panel),
        // Zeros: the unused columns of a panel are multiplied too, and what is not a number would spread.
        keys_(Storage<T>::zeros(sequences * heads * head_size_ * positions_)),
        values_(Storage<T>::zeros(sequences * heads * width_ * positions_)) {}

  Index heads() const { return heads_; }
  Index head_size() const { return head_size_; }
  /// Elements between two panels of the keys, of the values.
  Index key_stride() const { return head_size_ * panel; }
  Index value_stride() const { return positions_ * panel; }
  /// The panels of head `job % heads` of sequence `job / heads`.
  T* keys(Index job) const { return keys_.data() + job * head_size_ * positions_; }
  T* values(Index job) const { return values_.data() + job * width_ * positions_; }

  /// Notes the key and the value (HS) of a position.
  void put(Index job, Index position, const T* key, const T* value) const {
    T* column = keys(job) + position / panel * key_stride() + position % panel;
    for (Index i = 0; i < head_size_; ++i) column[i * panel] = key[i];
    for (Index i = 0; i < head_size_; i += panel)
      std::copy_n(value + i, std::min(panel, head_size_ - i),
                  values(job) + i / panel * value_stride() + position * panel);
  }

 private:
  Index heads_, head_size_, positions_, width_;
  Storage<T> keys_, values_;
};

/// y = softmax(q k^T / sqrt(HS), causal) v for the positions first .. first + rows - 1 of one sequence, whose keys and
/// values are put into the cache. Position i sees max(0, i - window + 1) .. i.
template <class T>
void cached_attention(T* y, const T* qkv, const KVCache<T>& cache, Index sequence, Index first, Index rows,
                      Index window) {
  using V = simd::Vec<T>;
  const Index HS = cache.head_size(), NH = cache.heads(), C = NH * HS;
  constexpr Index panel = KVCache<T>::panel, query_block = Tile<T>::rows;
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(HS)));
  const auto multiply = [](Index M, Index N, Index K, const T* x, Index ldx, const T* packed, Index stride, T* out,
                           Index ldo) {
    multiply_packed<PlainFormat<T>>(M, N, K, MatrixView<T>{x, M == 1 ? 1 : ldx}, packed, stride, out, ldo, false);
  };
  const auto one_head = [&](Index head) {
    const Index job = sequence * NH + head;
    const T* q = qkv + head * HS;
    for (Index r = 0; r < rows; ++r) cache.put(job, first + r, q + r * 3 * C + C, q + r * 3 * C + 2 * C);
    const Index stride = (first + rows + panel - 1) / panel * panel;
    const Storage<T> scores(std::min(rows, query_block) * stride);
    for (Index r0 = 0; r0 < rows; r0 += query_block) {
      const Index count = std::min(query_block, rows - r0);
      const Index begin = std::max<Index>(0, first + r0 - window + 1) / panel * panel,
                  keys = first + r0 + count - begin;
      multiply(count, keys, HS, q + r0 * 3 * C, 3 * C, cache.keys(job) + begin / panel * cache.key_stride(),
               cache.key_stride(), scores.data(), stride);
      for (Index r = 0; r < count; ++r) {
        // The row's visible part becomes a softmax, the rest zeros.
        const Index position = first + r0 + r, from = std::max<Index>(0, position - window + 1) - begin;
        const Index to = position + 1 - begin;
        T *row = scores.data() + r * stride, *visible = row + from;
        const T largest = simd::max_of(to - from, visible);
        simd::transform(
            visible, to - from, [=](V v) { return simd::exp_of_negative((v - largest) * scale); }, visible);
        const T inverse = T(1) / simd::sum_of(
                                     to - from, [](V v) { return v; }, visible);
        simd::transform(
            visible, to - from, [=](V v) { return v * inverse; }, visible);
        std::fill(row, visible, T(0));
        std::fill(row + to, row + keys, T(0));
      }
      multiply(count, HS, keys, scores.data(), stride, cache.values(job) + begin * panel, cache.value_stride(),
               y + r0 * C + head * HS, C);
    }
  };
  parallel_for(NH, one_head);
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
