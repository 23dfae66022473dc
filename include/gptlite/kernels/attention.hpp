#pragma once
// Fused causal self-attention, straight from the output of the q, k, v projection: forward. No (T, T) matrix is stored:
// a job is a (batch, head) and holds the scores of one tile of queries and one block of keys.
//
// Sizes:  B batch    T positions    NH heads    HS head size    C = NH * HS channels
//         qkv (B, T, 3C): at each position q, then k, then v, each (NH, HS)        y (B, T, C)      lse (B, NH, T)

#include <algorithm>
#include <cmath>

#include "gptlite/kernels/dropout.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Sizes and options of one attention. Position i sees the positions max(0, i - window + 1) .. i.
struct AttentionShape {
  Index B, T, NH, HS;
  Index window;  ///< k of the context window; T or more sees everything before
  DropoutMask dropout;
  Precision precision = Precision::fp32;

  Index C() const { return NH * HS; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(HS)); }
  Index first_visible(Index query) const { return std::max<Index>(0, query - window + 1); }
};

namespace detail {

/// One (batch, head): its matrices as views into the tensors.
template <class T>
struct AttentionHead {
  const AttentionShape& s;
  Index job;  // b * NH + h
  MatrixView<T> q, k, v;

  AttentionHead(const AttentionShape& shape, Index job_index, const T* qkv)
      : s(shape),
        job(job_index),
        q{qkv + job / s.NH * s.T * 3 * s.C() + job % s.NH * s.HS, 3 * s.C()},
        k{q.data + s.C(), 3 * s.C()},
        v{k.data + s.C(), 3 * s.C()} {}

  /// Position of this head in a (B, T, C) tensor.
  Index output_offset() const { return job / s.NH * s.T * s.C() + job % s.NH * s.HS; }
  /// Dropout factors of a query for `count` keys from `first_key` on.
  void dropout_factors(T* out, Index query, Index first_key, Index count) const {
    s.dropout.factors(out, (job * s.T + query) * s.T + first_key, count);
  }
};

/// Queries begin .. begin + rows - 1 against the keys first .. first + keys - 1, whole panels: every key of a block
/// that one of the queries sees, and some that none does.
template <class T>
struct ScoreTile {
  static constexpr Index panel = Tile<T>::columns;
  Index begin, rows, first, keys;

  ScoreTile(Index query, Index count, Index block, Index block_keys, const AttentionShape& s)
      : begin(query), rows(count), first(std::max(block, s.first_visible(query) / panel * panel)) {
    const Index end = std::min(block + block_keys, begin + rows);
    keys = end <= first ? 0 : (end - first + panel - 1) / panel * panel;
  }
  /// Which of the tile's keys query r of the tile sees.
  Index visible_begin(Index r, const AttentionShape& s) const {
    return std::clamp<Index>(s.first_visible(begin + r) - first, 0, keys);
  }
  Index visible_end(Index r) const { return std::clamp<Index>(begin + r + 1 - first, 0, keys); }
  /// Writes `value` over what query r does not see.
  void fill_unseen(T* row, Index r, const AttentionShape& s, T value) const {
    std::fill_n(row, visible_begin(r, s), value);
    std::fill(row + visible_end(r), row + keys, value);
  }
};

template <class Format, class T>
void attention_forward(T* y, T* lse, const T* qkv, const AttentionShape& s) {
  using V = simd::Vec<T>;
  constexpr Index panel = Tile<T>::columns, width = V::width;
  // Keys whose scores are held at once. Up to so many positions a row's softmax is computed in one piece; beyond, block
  // by block, each rescaling what came before (Milakov and Gimelshein 2018).
  constexpr Index key_block = 1024;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const T scale = static_cast<T>(s.scale());
  const Index tiles = (s.T + Tile<T>::rows - 1) / Tile<T>::rows;
  const Index stride = (std::min(s.T, key_block) + panel - 1) / panel * panel;

  parallel_for(s.B * s.NH, [&](Index job) {
    const AttentionHead<T> head(s, job, qkv);
    const Storage<T> packed_k(packed_size<Format>(s.HS, s.T)), packed_v(packed_size<Format>(s.T, s.HS));
    const Storage<T> scores(Tile<T>::rows * stride), factors(s.dropout ? stride : 0);
    const Index k_panel = panel_size<Format>(s.HS), v_panel = panel_size<Format>(s.T);
    pack_right<Format>(packed_k.data(), k_panel, s.HS, s.T, head.k.transposed());
    pack_right<Format>(packed_v.data(), v_panel, s.T, s.HS, head.v);

    for (Index i = 0; i < tiles; ++i) {
      const Index q = s.T * i / tiles, rows = s.T * (i + 1) / tiles - q;
      T* out = y + head.output_offset() + q * s.C();
      std::array<T, Tile<T>::rows> largest, sum;
      largest.fill(-infinity);
      sum.fill(T(0));
      bool first_block = true;
      for (Index block = s.first_visible(q) / panel * panel; block < q + rows; block += key_block) {
        const ScoreTile<T> tile(q, rows, block, key_block, s);
        // 1. scores = q k^T
        multiply_packed<Format>(rows, tile.keys, s.HS, head.q.offset(q, 0),
                                packed_k.data() + tile.first / panel * k_panel, k_panel, scores.data(), stride, false);
        // 2. p = exp(scores - largest so far); what came before is scaled to the new largest
        for (Index r = 0; r < rows; ++r) {
          const auto at = static_cast<std::size_t>(r);
          T* row = scores.data() + r * stride;
          tile.fill_unseen(row, r, s, -infinity);
          const T largest_here = simd::max_of(tile.keys, row) * scale;
          const T new_largest = std::max(largest[at], largest_here);
          const T shift = new_largest > -infinity ? new_largest : T(0);  // no key of this block is seen
          const T rescale = first_block ? T(1) : std::exp(largest[at] - shift);
          V total = V::zero();
          for (Index j = 0; j < tile.keys; j += width) {
            const V p = simd::exp_of_negative(simd::fma(V::load(row + j), V::broadcast(scale), V::broadcast(-shift)));
            total = total + p;
            p.store(row + j);
          }
          sum[at] = sum[at] * rescale + simd::sum(total);
          largest[at] = new_largest;
          if (s.dropout) {
            head.dropout_factors(factors.data(), q + r, tile.first, tile.keys);
            simd::transform(
                row, tile.keys, [](V p, V f) { return p * f; }, row, factors.data());
          }
          if (rescale != T(1))
            simd::transform(
                out + r * s.C(), s.HS, [=](V v) { return v * rescale; }, out + r * s.C());
        }
        // 3. y (+)= p v
        multiply_packed<Format>(rows, s.HS, std::min(tile.keys, s.T - tile.first), MatrixView<T>{scores.data(), stride},
                                packed_v.data() + tile.first / Format::depth * panel, v_panel, out, s.C(),
                                !first_block);
        first_block = false;
      }
      // 4. y /= sum of p
      for (Index r = 0; r < rows; ++r) {
        const auto at = static_cast<std::size_t>(r);
        lse[job * s.T + q + r] = largest[at] + std::log(sum[at]);
        simd::transform(
            out + r * s.C(), s.HS, [inverse = T(1) / sum[at]](V v) { return v * inverse; }, out + r * s.C());
      }
    }
  });
}

}  // namespace detail

/// y = dropout(softmax(q k^T / sqrt(HS), causal)) v for every head. Saves lse, the logarithm of each softmax's sum.
template <class T>
void attention_forward(T* y, T* lse, const T* qkv, const AttentionShape& s) {
  with_format<T>(s.precision, [&]<class Format>(Format) { detail::attention_forward<Format>(y, lse, qkv, s); });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
