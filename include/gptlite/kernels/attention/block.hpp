#pragma once
// Code shared by both passes of fused self-attention: sizes, which keys of a block its queries see, and the products
// whose result is a transpose.
//
// Sizes:  B batch    T positions    NH heads    NKV heads of k and v    HS head size    C = NH * HS channels
//         qkv (B, T, C + 2 NKV HS): at each position q (NH, HS), then k, then v, each (NKV, HS)        y (B, T, C)
//         softmax_sums (2, B, NH, T): per softmax its largest score, before the scale, and the logarithm of its sum
//         without the largest. Kept apart: their sum would round a small logarithm to a large score's precision.
//         qkv and its gradient are stored as S: T, or BFloat16 for products in bf16
//
// Scores are stored as (key, query), so a lane is a query. Rounded in place, p is then the B of y^T = v^T p, and ds the
// B of dq^T = k^T ds; and a softmax needs no sum over lanes. Queries are processed in whole steps, keys in tiles.

#include <algorithm>
#include <cmath>
#include <vector>

#include "gptlite/kernels/attention/visibility.hpp"
#include "gptlite/kernels/dropout.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Sizes and options of one attention.
struct AttentionParams {
  Index B, T, NH, HS;
  bool causal = true;                     ///< no position sees a later one
  Index window = 0;                       ///< a position sees those less than this many positions away; 0: any distance
  const std::int32_t* lengths = nullptr;  ///< (B): length of each sequence without padding, 0..T; null: T
  DropoutMask dropout = {};
  Precision precision = Precision::fp32;
  double scale = 0;  ///< factor of the scores q k^T; 0: 1 / sqrt(HS)
  Index NKV = 0;     ///< a divisor of NH: so many heads of q share each head of k and v; 0: NH

  Index C() const { return NH * HS; }
  Index kv_heads() const { return NKV != 0 ? NKV : NH; }
  Index group() const { return NH / kv_heads(); }                ///< heads of q that share one of k and v
  Index qkv_size() const { return (NH + 2 * kv_heads()) * HS; }  ///< numbers of a position
  Index rows() const { return B * NH * T; }                      ///< number of softmaxes
  double score_scale() const { return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(HS)); }
  Visibility visibility(Index sequence) const {
    return {causal, window == 0 ? T : std::min(window, T), lengths == nullptr ? T : Index{lengths[sequence]}};
  }
};

namespace detail {

/// The format of an attention's products. In fp32, AMX is faster if the three parts that it needs are packed once for
/// many products (Xeon, forward and backward, D 64: as long as FMAs at T 256, 0.92 of their time at T 512, 0.8 at T
/// 4,096; 1.15 at T 64).
template <class T>
const OperandFormat<T>& attention_format(const AttentionParams& s, const MatrixOperand<T>& qkv) {
  constexpr Index long_enough = 512;
  const Precision precision = product_precision<T>(s.precision, qkv, qkv);
  return s.T >= long_enough ? gemm_format<T>(precision) : operand_format<T>(precision);
}

/// The indices begin .. end - 1.
struct IndexRange {
  Index begin, end;
  Index size() const { return end - begin; }
};

/// One block of keys against one block of queries, and which of them see which.
struct AttentionBlock {
  const FormatSizes& sizes;
  const Visibility& visible;
  Index first_key, keys, first_query, queries;  // first_key starts a tile, first_query a step; no key is padding

  /// Queries per step: whole panels of a matrix B, and whole vectors of elements along them.
  static PowerOfTwo step_of(const FormatSizes& sizes) {
    return std::max<Index>(sizes.nr, sizes.k_per_element * sizes.width);
  }
  PowerOfTwo step() const { return step_of(sizes); }

  /// Number of keys in the tile that starts at `key`.
  Index tile_keys(Index key) const { return std::min(sizes.mr, keys - key); }
  /// Range of queries, in whole steps, that see a key of the tile that starts at `key`.
  IndexRange queries_of(Index key) const {
    const Index first = first_key + key, last = first + tile_keys(key) - 1;
    const Index begin = std::clamp<Index>(visible.first_query(first) - first_query, 0, queries) / step() * step();
    const Index end = std::min(queries, visible.end_query(last) - first_query);
    return {begin, std::max(begin, round_up(std::max<Index>(end, 0), step()))};
  }
  /// Range of keys that the step of queries at `query` sees, from the start of a tile on.
  IndexRange keys_of(Index query) const {
    const Index first = first_query + query;
    const Index end = std::clamp<Index>(visible.end(first + step() - 1) - first_key, 0, keys);
    const Index begin = std::max<Index>(visible.first(first) - first_key, 0) / sizes.mr * sizes.mr;
    return {std::min(begin, end), end};
  }
  /// Masks the scores (keys, queries) of the tile that starts at `key`, with rows `stride` apart: writes minus infinity
  /// where a query of the range `seen` does not see the key.
  template <class T>
  void mask(T* scores, Index stride, Index key, IndexRange seen) const {
    constexpr T masked = -std::numeric_limits<T>::infinity();
    const Index first = first_key + key, count = tile_keys(key);
    const auto first_query_of = [&](Index r) { return visible.first_query(first + r) - first_query; };
    const auto end_query_of = [&](Index r) { return visible.end_query(first + r) - first_query; };
    if (first_query_of(count - 1) <= seen.begin && end_query_of(0) >= seen.end) return;
    for (Index r = 0; r < count; ++r) {
      T* const row = scores + r * stride;
      std::fill(row + seen.begin, row + std::clamp(first_query_of(r), seen.begin, seen.end), masked);
      std::fill(row + std::clamp(end_query_of(r), seen.begin, seen.end), row + seen.end, masked);
    }
  }
};

/// One (batch, head), with its matrices as views into the tensors.
template <class T>
struct AttentionHead {
  const AttentionParams& s;
  Index job;  // b * NH + h
  Visibility visible;
  MatrixOperand<T> q, k, v;

  /// qkv: (B * T, C + 2 NKV HS).
  AttentionHead(const AttentionParams& shape, Index job_index, const MatrixOperand<T>& qkv)
      : s(shape),
        job(job_index),
        visible(s.visibility(job / s.NH)),
        q(qkv.offset(row(), column())),
        k(qkv.offset(row(), k_column())),
        v(qkv.offset(row(), v_column())) {}

  /// The head's first row in a matrix of B * T rows, and the first columns of its q (or y), k and v.
  Index row() const { return job / s.NH * s.T; }
  Index column() const { return job % s.NH * s.HS; }
  Index k_column() const { return s.C() + job % s.NH / s.group() * s.HS; }
  Index v_column() const { return k_column() + s.kv_heads() * s.HS; }

  /// Offset of this head in a (B, T, C) tensor.
  Index output_offset() const { return row() * s.C() + column(); }
  /// Writes dropout factors as (key, query), with rows `stride` apart, for the `keys` keys from `key` on and the
  /// `queries` queries from `query` on. `queries` is a multiple of the vector width. by_query: scratch of queries *
  /// (keys + width) numbers.
  [[gnu::noinline]] void dropout_factors(T* out, Index stride, Index query, Index queries, Index key, Index keys,
                                         T* by_query) const {
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

/// Packs the transpose of `rows` (N, K) as a matrix B of whole steps of columns; the columns after the last one are
/// zeros.
template <class T>
void pack_b_steps(const OperandFormat<T>& format, T* packed, Index K, Index N, const MatrixOperand<T>& rows) {
  const FormatSizes& sizes = format.sizes;
  const PowerOfTwo panel = sizes.nr;
  const Index size = sizes.panel_size(K), panels = (N + panel - 1) / panel;
  format.pack_b(packed, size, K, N, rows.transposed());
  const Index end = round_up(N, AttentionBlock::step_of(sizes)) / panel;
  std::fill(packed + panels * size, packed + end * size, T(0));
}
/// Packs the transpose of `rows` (K, M) as tiles of a matrix A.
template <class T>
std::vector<TileA<T>> pack_a_rows_transposed(const OperandFormat<T>& format, T* packed, Index M, Index K,
                                             const MatrixOperand<T>& rows) {
  const Index count = format.sizes.tile_count(M);
  std::vector<TileA<T>> tiles(static_cast<std::size_t>(count));
  format.pack_a_columns(tiles.data(), packed, format.sizes.a_size(K), {M, 0, count, M}, K, rows.transposed());
  return tiles;
}
/// y^T (+)= x^T p: the tiles of x^T, HS rows, times the panels of p, whose columns are the block's queries, step by
/// step. Each step uses the keys that it sees. The y^T of query n starts at to + n * to_step, with rows `stride` apart.
template <class T>
void multiply_steps(const OperandFormat<T>& format, const AttentionBlock& block, const std::vector<TileA<T>>& tiles,
                    Index HS, Index first_key, const T* p, Index p_panel, T* to, Index to_step, Index stride,
                    bool accumulate) {
  const FormatSizes& sizes = format.sizes;
  const PowerOfTwo step = block.step();
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const Index m = sizes.tile_begin(HS, static_cast<Index>(i));
    const Index rows = sizes.tile_begin(HS, static_cast<Index>(i) + 1) - m;
    for (Index n = 0; n < block.queries; n += step) {  // a tile stays in the L1 cache for all steps
      const IndexRange keys = block.keys_of(n);
      if (keys.size() == 0) continue;
      format.multiply_tile(
          TileProduct<T>{.rows = rows,
                         .N = step,
                         .elements = sizes.element_count(keys.size()),
                         .a = tiles[i].from(sizes, (first_key + keys.begin) / sizes.k_per_element),
                         .packed = p + n / sizes.nr * p_panel + keys.begin / sizes.k_per_element * sizes.nr,
                         .panel_stride = p_panel,
                         .c = to + n * to_step + m * stride,
                         .ldc = stride,
                         .accumulate = accumulate});
    }
  }
}
/// Prefetches output rows for writing; each is on its own page, so the TLB miss is paid early.
template <class T>
void prefetch_rows(const T* rows, Index stride, Index count, Index HS) {
  for (Index n = 0; n < count; ++n)
    for (Index c = 0; c < HS + simd::line<T> - 1; c += simd::line<T>)
      simd::prefetch_for_write(rows + n * stride + std::min(c, HS - 1));
}
/// to (+)= factor times the transpose of `rows` <= width columns of `from`, HS numbers each. from: (HS, rows), to:
/// (rows, HS), with rows from_stride and stride apart.
template <class S, class T>
[[gnu::noinline]] void store_transposed(S* to, Index stride, Index rows, Index HS, const T* from, Index from_stride,
                                        simd::Vec<T> factor, bool accumulate) {
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
