#pragma once
// What the two passes of fused causal self-attention share: sizes, which keys of a block its queries see, and the
// products whose result is a transpose.
//
// Sizes:  B batch    T positions    NH heads    HS head size    C = NH * HS channels
//         qkv (B, T, 3C): at each position q, then k, then v, each (NH, HS)        y (B, T, C)      lse (B, NH, T)
//         qkv and its gradient are held as S: T, or BFloat16 for products in bf16
//
// Scores are held as (key, query), so that a lane is a query: p, rounded where it lies, is the right-hand side of
// y^T = v^T p and ds that of dq^T = k^T ds, and a softmax needs no sum over lanes. Queries are taken in whole steps,
// keys in tiles.

#include <algorithm>
#include <cmath>
#include <vector>

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

/// Calls f with the form of an attention's products. In fp32 AMX is faster where the three planes that it needs are
/// packed once for many products (Xeon, forward and backward, D 64: as long as FMAs at T 256, 0.92 of their time at T
/// 512, 0.8 at T 4,096; 1.15 at T 64).
template <class T, class S, class F>
void with_attention_format(const AttentionShape& s, F&& f) {
  constexpr Index long_enough = 512;
  if (s.T >= long_enough)
    with_gemm_format<T, S>(s.precision, f);
  else
    with_format<T, S>(s.precision, f);
}

/// Indices begin .. end - 1.
struct IndexRange {
  Index begin, end;
  Index size() const { return end - begin; }
};

/// One block of keys against one block of queries: which of them see which.
template <class Format>
struct AttentionBlock {
  using T = typename Format::Number;
  /// Queries of a step: whole panels of a right-hand matrix, and whole vectors of elements along them.
  static constexpr Index step = std::max(Tile<T>::columns, Format::depth* simd::Vec<T>::width);
  static constexpr Index tile_rows = FormatTile<Format>::rows;
  static_assert(tile_rows % Format::depth == 0, "a tile of keys has whole elements");

  const AttentionShape& s;
  Index first_key, keys, first_query, queries;  // first_key begins a tile, first_query a step

  /// Of the block's keys, those that the tile at `key` of it has.
  Index tile_keys(Index key) const { return std::min(tile_rows, keys - key); }
  /// Of the block's queries, the steps that see a key of the tile at `key`.
  IndexRange queries_of(Index key) const {
    const Index begin = std::clamp<Index>(first_key + key - first_query, 0, queries) / step * step;
    const Index last_key = first_key + key + tile_keys(key) - 1;
    const Index end = std::min(queries, last_key - first_query + std::min(s.window, s.T));
    return {begin, std::max(begin, round_up(std::max<Index>(end, 0), step))};
  }
  /// Of the block's keys, those that the queries of the step at `query` see, from the beginning of a tile on.
  IndexRange keys_of(Index query) const {
    const Index first = first_query + query, end = std::clamp<Index>(first + step - first_key, 0, keys);
    const Index begin = std::max<Index>(s.first_visible(first) - first_key, 0) / tile_rows * tile_rows;
    return {std::min(begin, end), end};
  }
  /// Writes minus infinity over the scores of the tile at `key`, `stride` apart, that the queries `seen` do not see.
  void hide(T* scores, Index stride, Index key, IndexRange seen) const {
    constexpr T hidden = -std::numeric_limits<T>::infinity();
    const Index window = std::min(s.window, s.T), count = tile_keys(key), first = first_key + key - first_query;
    if (first + count - 1 <= seen.begin && first + window >= seen.end) return;
    for (Index r = 0; r < count; ++r) {
      T* const row = scores + r * stride;
      std::fill(row + seen.begin, row + std::clamp(first + r, seen.begin, seen.end), hidden);
      std::fill(row + std::clamp(first + r + window, seen.begin, seen.end), row + seen.end, hidden);
    }
  }
};

/// One (batch, head): its matrices as views into the tensors.
template <class S>
struct AttentionHead {
  const AttentionShape& s;
  Index job;  // b * NH + h
  MatrixView<S> q, k, v;

  AttentionHead(const AttentionShape& shape, Index job_index, const S* qkv)
      : s(shape),
        job(job_index),
        q{qkv + job / s.NH * s.T * 3 * s.C() + job % s.NH * s.HS, 3 * s.C()},
        k{q.data + s.C(), 3 * s.C()},
        v{k.data + s.C(), 3 * s.C()} {}

  /// Position of this head in a (B, T, C) tensor.
  Index output_offset() const { return job / s.NH * s.T * s.C() + job % s.NH * s.HS; }
  /// Dropout factors as (key, query), rows `stride` apart, for `queries` whole vectors. by_query: room for queries *
  /// (keys + width).
  template <class T>
  void dropout_factors(T* out, Index stride, Index query, Index queries, Index key, Index keys, T* by_query) const {
    using V = simd::Vec<T>;
    constexpr Index width = V::width;
    const Index length = round_up(keys, width);
    for (Index r = 0; r < std::min(queries, s.T - query); ++r)
      s.dropout.factors(by_query + r * length, (job * s.T + query + r) * s.T + key, length);
    std::array<V, static_cast<std::size_t>(width)> square;
    for (Index n = 0; n < queries; n += width)
      for (Index j = 0; j < keys; j += width) {
        for (Index r = 0; r < width; ++r)
          square[static_cast<std::size_t>(r)] = V::load(by_query + std::min(n + r, s.T - query - 1) * length + j);
        simd::transpose<T>(square);
        for (Index i = 0; i < std::min(width, keys - j); ++i)
          square[static_cast<std::size_t>(i)].store(out + (j + i) * stride + n);
      }
  }
};

/// Packs the transpose of `rows`, N of them and K long, as a right-hand matrix of whole steps of columns; those behind
/// the last one are zeros.
template <class Format, class S, class T = typename Format::Number>
void pack_right_steps(T* packed, Index K, Index N, Index step, MatrixView<S> rows) {
  constexpr Index panel = Tile<T>::columns;
  const Index size = panel_size<Format>(K), panels = (N + panel - 1) / panel;
  pack_right<Format>(packed, size, K, N, rows.transposed());
  std::fill(packed + panels * size, packed + round_up(N, step) / panel * size, T(0));
}
/// Packs the transpose of `rows`, K of them and M long, as tiles of a left-hand matrix.
template <class Format, class S, class T = typename Format::Number>
std::vector<LeftTile<T>> pack_left_transposed(T* packed, Index M, Index K, MatrixView<S> rows) {
  const Index count = tile_count<Format>(M);
  std::vector<LeftTile<T>> tiles(static_cast<std::size_t>(count));
  pack_left_columns<Format>(tiles.data(), packed, left_size<Format>(K), count, K, rows.transposed(), M,
                            [M](Index i) { return tile_begin<Format>(M, i); });
  return tiles;
}
/// y^T (+)= x^T p: the tiles of x^T by the panels of p, whose columns are the block's queries, step by step. Each step
/// takes part with the keys that it sees; the y^T of query n begins at to + n * to_step, its rows are `stride` apart.
template <class Format, class T>
void multiply_steps(const AttentionBlock<Format>& block, const std::vector<LeftTile<T>>& tiles, Index first_key,
                    const T* p, Index p_panel, T* to, Index to_step, Index stride, bool accumulate) {
  constexpr Index panel = Tile<T>::columns, step = AttentionBlock<Format>::step;
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const Index m = tile_begin<Format>(block.s.HS, static_cast<Index>(i));
    const Index rows = tile_begin<Format>(block.s.HS, static_cast<Index>(i) + 1) - m;
    for (Index n = 0; n < block.queries; n += step) {  // a tile stays in the L1 cache for all steps
      const IndexRange keys = block.keys_of(n);
      if (keys.size() > 0)
        multiply_tile<Format>(rows, step, element_count<Format>(keys.size()),
                              tiles[i].template from<Format>((first_key + keys.begin) / Format::depth),
                              p + n / panel * p_panel + keys.begin / Format::depth * panel, p_panel,
                              to + n * to_step + m * stride, stride, accumulate);
    }
  }
}
/// Asks for rows that will be written, long before: no two of them are in one page of memory.
template <class T>
void prefetch_rows(const T* rows, Index stride, Index count, Index HS) {
  for (Index n = 0; n < count; ++n)
    for (Index c = 0; c < HS + simd::line<T> - 1; c += simd::line<T>)
      simd::prefetch_for_write(rows + n * stride + std::min(c, HS - 1));
}
/// to (+)= factor times the transpose of a vector of columns of `from`, `rows` of them and HS long.
template <class S, class T>
void store_transposed(S* to, Index stride, Index rows, Index HS, const T* from, Index from_stride, simd::Vec<T> factor,
                      bool accumulate) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width;
  std::array<V, static_cast<std::size_t>(width)> square;
  for (Index c = 0; c < HS; c += width) {
    const Index count = std::min(width, HS - c);
#pragma GCC unroll 16
    for (Index i = 0; i < width; ++i)
      square[static_cast<std::size_t>(i)] = V::load(from + (c + std::min(i, count - 1)) * from_stride) * factor;
    simd::transpose<T>(square);
    const bool whole = count == width && rows >= width;
#pragma GCC unroll 16
    for (Index r = 0; r < width; ++r) {
      S* const at = to + r * stride + c;
      const V value = square[static_cast<std::size_t>(r)];
      if (whole)
        simd::store_numbers(at, accumulate ? simd::load_numbers(at) + value : value);
      else if (r < rows)
        simd::store_numbers(at, accumulate ? simd::load_numbers(at, count) + value : value, count);
    }
  }
}

}  // namespace detail

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
