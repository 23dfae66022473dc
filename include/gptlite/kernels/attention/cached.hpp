#pragma once
// Causal self-attention of a few new positions against the keys and values of all earlier positions, for generation.
//
// Sizes:  rows new positions of one sequence    NH heads    NKV heads of k and v    HS head size    C = NH * HS
//         keys positions so far    qkv (rows, C + 2 NKV HS): q (NH, HS), then k, then v, each (NKV, HS)    y (rows, C)

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "gptlite/kernels/attention/visibility.hpp"
#include "gptlite/kernels/packed/packed_matrix.hpp"
#include "gptlite/kernels/simd/math.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The keys and values of one layer. For each sequence and head they are the matrices B, k^T (HS, positions) and v
/// (positions, HS), of attention's two products, packed in panels, so a new position only adds to them. With bf16 they
/// are stored as pairs if the machine multiplies bfloat16 faster: half as much to read for every token.
template <class T>
class KVCache {
 public:
  static constexpr Index panel = Tile<T>::nr;

  KVCache(Index sequences, Index heads, Index head_size, Index positions, Precision precision)
      : heads_(heads),
        head_size_(head_size),
        pairs_(can_hold_pairs && precision == Precision::bf16 && bf16_products_are_fast()),
        positions_(round_up(positions, step())),
        key_stride_(layout().element_count(head_size) * panel),
        value_stride_(layout().element_count(positions_) * panel),
        key_size_(positions_ / panel * key_stride_),
        value_size_((head_size + panel - 1) / panel * value_stride_) {
    // Zeros: the unused columns of a panel are multiplied too, and a NaN there would spread.
    keys_ = Storage<T>::zeros(sequences * heads * key_size_);
    values_ = Storage<T>::zeros(sequences * heads * value_size_);
  }

  Index heads() const { return heads_; }
  Index head_size() const { return head_size_; }
  /// Numbers from one panel of the keys, of the values, to the next.
  Index key_stride() const { return key_stride_; }
  Index value_stride() const { return value_stride_; }
  /// The panels of head `job % heads` of sequence `job / heads`.
  T* keys(Index job) const { return keys_.data() + job * key_size_; }
  T* values(Index job) const { return values_.data() + job * value_size_; }

  /// The format in which this many rows are multiplied with the cache: pairs use AMX too, from one tile of rows on.
  const OperandFormat<T>& format(Index rows) const {
    if constexpr (can_hold_pairs)
      if (pairs_) {
        if constexpr (simd::has_amx)
          if (rows >= simd::amx_rows && simd::amx_is_usable()) return format_of<AmxFormat, T>;
        return format_of<PairFormat, T>;
      }
    return format_of<PlainFormat<T>>;
  }
  /// The sizes of the cache's layout: pairs are stored in the whole groups that AMX multiplies.
  const FormatSizes& layout() const {
    if constexpr (can_hold_pairs)
      if (pairs_) return sizes_of<AmxFormat>;
    return sizes_of<PlainFormat<T>>;
  }
  /// Number of positions that fill panels of keys and groups of values.
  Index step() const { return std::max(panel, layout().k_per_element * layout().group); }

  /// Stores the key and the value (HS numbers each) of a position. The value of the next position in its pair becomes
  /// zero.
  void put(Index job, Index position, const T* key, const T* value) const {
    if constexpr (can_hold_pairs)
      if (pairs_) return put_as<PairFormat>(job, position, key, value);
    put_as<PlainFormat<T>>(job, position, key, value);
  }
  /// Zeroes the values of the positions from `end` on that share a group with earlier positions.
  void clear_behind(Index job, Index end) const {
    const Index k_per_element = layout().k_per_element, first = (end + k_per_element - 1) / k_per_element,
                last = round_up(end, step()) / k_per_element;
    for (Index at = 0; at < value_size_; at += value_stride_)
      std::fill(values(job) + at + first * panel, values(job) + at + last * panel, T(0));
  }

 private:
  static constexpr bool can_hold_pairs = std::is_same_v<T, float> && simd::has_bf16_pairs;

  template <class Format>
  void put_as(Index job, Index position, const T* key, const T* value) const {
    using V = simd::Vec<T>;
    constexpr Index k_per_element = Format::k_per_element, width = V::width;
    T* column = keys(job) + position / panel * key_stride_ + position % panel;
    for (Index i = 0; i < head_size_; i += k_per_element)
      column[i / k_per_element * panel] = Format::element(key + i, std::min(k_per_element, head_size_ - i));
    T* row = values(job) + position / k_per_element * panel;
    for (Index i = 0; i < head_size_; i += width) {
      T* const to = row + i / panel * value_stride_ + i % panel;
      const V numbers = V::load_first(value + i, std::min(width, head_size_ - i));
      if constexpr (k_per_element == 1)
        numbers.store(to);
      else
        (position % k_per_element == 0 ? Format::across({numbers, V::zero()})
                                       : Format::across({simd::first_of_pairs(V::load(to)), numbers}))
            .store(to);
    }
  }

  Index heads_, head_size_;
  bool pairs_;
  Index positions_, key_stride_, value_stride_, key_size_, value_size_;
  Storage<T> keys_, values_;
};

namespace detail {
/// Number of values that are multiplied at once: whole groups of any format, at most one block of the summed axis.
inline constexpr Index values_together = 256;
}  // namespace detail

/// y = softmax(scale q k^T) v for the positions first .. first + rows - 1 of one sequence, whose keys and values are
/// put into the cache. A position sees the last `window` positions up to itself. y: (rows, C), qkv: (rows, C + 2 NKV
/// HS). The cache has NKV heads, of which NH / NKV heads of q share each.
template <class T>
void cached_attention(T* y, const T* qkv, Index NH, const KVCache<T>& cache, Index sequence, Index first, Index rows,
                      Index window, double score_scale) {
  using V = simd::Vec<T>;
  const Index HS = cache.head_size(), NKV = cache.heads(), group = NH / NKV, C = NH * HS, qkv_size = C + 2 * NKV * HS;
  constexpr Index panel = KVCache<T>::panel;
  const T scale = static_cast<T>(score_scale);
  const Visibility visible{.causal = true, .window = window, .keys = first + rows};
  const Index step = cache.step(), k_per_element = cache.layout().k_per_element, query_block = cache.layout().mr;
  // Scratch of all heads at once: for one new position, a head is too little work to allocate its own.
  const Index stride = round_up(first + rows, panel), longest = std::max(HS, stride);
  const Index scores_size = std::min(rows, query_block) * stride;
  const Index a_size = std::max(scratch_size(cache.format(1).sizes, longest), scratch_size(cache.layout(), longest));
  const Index head_scratch = round_up(scores_size + a_size, simd::line<T>);
  const Storage<T> scratch(NH * head_scratch);
  const auto put = [&](Index head) {
    const Index job = sequence * NKV + head;
    const T* const k = qkv + C + head * HS;
    for (Index r = 0; r < rows; ++r) cache.put(job, first + r, k + r * qkv_size, k + r * qkv_size + NKV * HS);
    if (rows >= simd::amx_rows) cache.clear_behind(job, first + rows);
  };
  if (group > 1) parallel_for(NKV, put);
  parallel_for(NH, [&](Index head) {
    if (group == 1) put(head);
    const Index job = sequence * NKV + head / group;
    const T* q = qkv + head * HS;
    T *const scores = scratch.data() + head * head_scratch, *const packed_a = scores + scores_size;
    const auto multiply = [&](Index M, Index N, Index K, const T* x, Index ldx, const T* packed, Index panel_stride,
                              T* out, Index ldo, bool accumulate) {
      multiply_packed(cache.format(M), M, N, K, MatrixView<T>{x, M == 1 ? 1 : ldx}, packed, panel_stride, out, ldo,
                      accumulate, packed_a);
    };
    for (Index r0 = 0; r0 < rows; r0 += query_block) {
      const Index count = std::min(query_block, rows - r0);
      const Index begin = visible.first(first + r0) / step * step, keys = visible.end(first + r0 + count - 1) - begin;
      multiply(count, keys, HS, q + r0 * qkv_size, qkv_size, cache.keys(job) + begin / panel * cache.key_stride(),
               cache.key_stride(), scores, stride, false);
      for (Index r = 0; r < count; ++r) {
        // The row's visible part becomes a softmax, the rest zeros.
        const Index position = first + r0 + r;
        const Index from = visible.first(position) - begin, to = visible.end(position) - begin;
        T *row = scores + r * stride, *seen = row + from;
        const T largest = simd::max_of(to - from, seen);
        simd::transform(
            seen, to - from, [=](V v) { return simd::exp_nonpositive((v - largest) * scale); }, seen);
        const T inverse = T(1) / simd::sum_of(
                                     to - from, [](V v) { return v; }, seen);
        simd::transform(
            seen, to - from, [=](V v) { return v * inverse; }, seen);
        std::fill(row, seen, T(0));
        std::fill(row + to, row + keys, T(0));
      }
      // Split at the same positions however many are read at once: a row is bitwise the same beside others as alone.
      for (Index k = 0, next = 0; k < keys; k = next) {
        next = std::min(keys, ((begin + k) / detail::values_together + 1) * detail::values_together - begin);
        multiply(count, HS, next - k, scores + k, stride, cache.values(job) + (begin + k) / k_per_element * panel,
                 cache.value_stride(), y + r0 * C + head * HS, C, k > 0);
      }
    }
  });
}

GPTLITE_COMPILED_FUNCTION(cached_attention)
GPTLITE_COMPILED_CLASS(KVCache)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
