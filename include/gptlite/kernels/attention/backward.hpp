#pragma once
// Fused self-attention, backward. The scores are computed again from the saved logarithms of the softmax's sums, for
// one block of keys and one block of queries at a time. Sizes and memory order are those of attention/block.hpp.

#include "gptlite/kernels/attention/block.hpp"
#include "gptlite/kernels/workspace.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// p and ds of one tile of keys, packed: both as matrices A in the order of rows, for dv += p dy and dk += ds q, and ds
/// also as the matrix B of dq^T += k^T ds.
template <class T>
struct TileGradients {
  T *p, *ds, *ds_b;
  Index a_part_stride, b_panel;  ///< numbers from one part of p to the next, from one panel of ds_b to the next
};

/// Per query: the largest score and minus log_sum of its softmax, and dots, the sum of dp p over its keys.
template <class T>
struct QueryNumbers {
  const T *largest, *neg_log_sum, *dots;

  QueryNumbers offset(Index query) const { return {largest + query, neg_log_sum + query, dots + query}; }
};

/// Computes p and ds of a tile from its scores and dp, with rows `stride` apart, for the queries `seen`:
///   p = exp((scores - largest) scale - log_sum),  ds = p (dp factors - dots) scale.
/// Stores ds and p factors. `factors` are ordered like the scores, or null without dropout.
template <class Format, class T>
void softmax_gradients(const TileGradients<T>& to, const T* scores, const T* dp, const T* factors, Index stride,
                       const QueryNumbers<T>& of_query, IndexRange seen, Index rows, T scale) {
  using V = simd::Vec<T>;
  constexpr Index columns = Tile<T>::nr, width = V::width, k_per_element = Format::k_per_element;
  constexpr Index group = AmxTiled<Format> ? k_per_element * Format::group : std::max(k_per_element, Tile<T>::row_unit);
  constexpr Index tile_line = FormatTile<Format>::mr * width;
  const Index b_part_stride = to.b_panel / Format::parts;
  for (Index r = 0; r < round_up(rows, group); r += k_per_element) {
    T* const to_b = to.ds_b + r / k_per_element * columns;
    for (Index n = seen.begin; n < seen.end; n += k_per_element * width) {
      std::array<ElementNumbers<Format>, static_cast<std::size_t>(k_per_element)> across;  // [vector][row]
      const Index offset = (n - seen.begin) / (k_per_element * width) * tile_line;
#pragma GCC unroll 2
      for (Index row = 0; row < k_per_element; ++row) {
        ElementNumbers<Format> probs, grads;
        const auto line = static_cast<std::size_t>(row);
        if (r + row >= rows) {  // pads the last group of keys and the micro-kernel's rows
          for (auto& vector : across) vector[line] = V::zero();
          probs.fill(V::zero());
          for (T* const tile : {to.p, to.ds})
            store_along<Format>(probs, tile + offset + (r + row) * width, to.a_part_stride);
          continue;
        }
#pragma GCC unroll 2
        for (Index vector = 0; vector < k_per_element; ++vector) {
          const Index query = n + vector * width, from = (r + row) * stride + query;
          const auto i = static_cast<std::size_t>(vector);
          const V below_largest = V::load(scores + from) - V::load(of_query.largest + query);
          const V p = simd::exp_nonpositive(
              simd::fma(below_largest, V::broadcast(scale), V::load(of_query.neg_log_sum + query)));
          const V factor = factors == nullptr ? V::broadcast(T(1)) : V::load(factors + from);
          probs[i] = p * factor;
          grads[i] = p * (V::load(dp + from) * factor - V::load(of_query.dots + query)) * scale;
          across[i][line] = grads[i];
        }
        store_along<Format>(probs, to.p + offset + (r + row) * width, to.a_part_stride);
        store_along<Format>(grads, to.ds + offset + (r + row) * width, to.a_part_stride);
      }
#pragma GCC unroll 2
      for (Index vector = 0; vector < k_per_element; ++vector) {
        const Index query = n + vector * width;
        store_across<Format>(across[static_cast<std::size_t>(vector)],
                             to_b + query / columns * to.b_panel + query % columns, b_part_stride);
      }
    }
  }
}

template <class T>
using SoftmaxGradients = void (*)(const TileGradients<T>& to, const T* scores, const T* dp, const T* factors,
                                  Index stride, const QueryNumbers<T>& of_query, IndexRange seen, Index rows, T scale);
template <class T>
SoftmaxGradients<T> softmax_gradients_of(const OperandFormat<T>& format) {
  return with_format(format, []<class Format>(Format) -> SoftmaxGradients<T> { return softmax_gradients<Format, T>; });
}

/// Writes or adds rows of sums to rows of a gradient of T or BFloat16.
template <class T>
struct GradientRows {
  MatrixOperand<T> rows;
  bool accumulate;

  /// Calls f with the address of a number.
  template <class F>
  void at(Index row, Index column, F&& f) const {
    const MatrixOperand<T> place = rows.offset(row, column);
    if constexpr (std::is_same_v<T, float>)
      if (place.is_bfloat16()) return f(const_cast<BFloat16*>(place.template view<BFloat16>().data));
    f(const_cast<T*>(place.template view<T>().data));
  }
  [[gnu::noinline]] void prefetch(Index row, Index column, Index count, Index HS) const {
    at(row, column, [&](auto* to) { prefetch_rows(to, rows.row_stride(), count, HS); });
  }
  [[gnu::noinline]] void add(Index row, Index column, const T* from, Index HS) const {
    at(row, column, [&](auto* to) {
      simd::for_vectors<T>(HS, [&](Index c, Index count) {
        const simd::Vec<T> sum = simd::load_numbers(from + c, count);
        simd::store_numbers(to + c, accumulate ? simd::load_numbers(to + c, count) + sum : sum, count);
      });
    });
  }
  void add_transposed(Index row, Index column, Index count, Index HS, const T* from, Index from_stride) const {
    at(row, column, [&](auto* to) {
      store_transposed(to, rows.row_stride(), count, HS, from, from_stride, simd::Vec<T>::broadcast(T(1)), accumulate);
    });
  }
};

/// attention_backward() in a given format.
template <class T>
void attention_backward(const OperandFormat<T>& format, const MatrixOperand<T>& dqkv, bool accumulate, const T* dy,
                        const MatrixOperand<T>& qkv, const T* y, const T* softmax_sums, const AttentionParams& s) {
  using V = simd::Vec<T>;
  using Block = AttentionBlock;
  constexpr Index width = V::width;
  const FormatSizes& sizes = format.sizes;
  const SoftmaxGradients<T> softmax_gradients = softmax_gradients_of(format);
  const PowerOfTwo panel = sizes.nr, step = Block::step_of(sizes), k_per_element = sizes.k_per_element;
  const Index tile_rows = sizes.mr;
  const Index padded = round_up(s.T, step), query_block = std::min<Index>(128, padded);
  const Index key_block = round_up(std::min<Index>(256, s.T), tile_rows);
  const T scale = static_cast<T>(s.score_scale());

  const auto add_head = [&](Index job) {
    const FormatRegisters registers(sizes);
    const AttentionHead<T> head(s, job, qkv);
    // Heads that share k and v add to one gradient, one after the other.
    const GradientRows<T> dq_rows{dqkv.offset(head.row(), head.column()), accumulate},
        dkv_rows{dqkv.offset(head.row(), 0), accumulate || job % s.group() != 0};
    const MatrixView<T> dout{dy + head.output_offset(), s.C()};
    const T* const out = y + head.output_offset();
    const Index a_tile = sizes.a_size(s.HS), head_elements = sizes.element_count(s.HS);
    const Index tiles = key_block / tile_rows;
    const Index head_panel = sizes.panel_size(s.HS), query_panel = sizes.panel_size(s.T);
    const Index key_panel = sizes.panel_size(key_block), query_a = sizes.a_size(query_block);
    const Index packed_b = sizes.packed_size(s.HS, padded), rows_b = sizes.packed_size(s.T, s.HS);
    const Index tile_scores = tile_rows * query_block, factor_rows = s.dropout ? key_block : 0;
    // q and dy are packed as matrices B both ways: channels by queries, and queries by channels.
    const Workspace<T, 20> space({packed_b,
                                  packed_b,
                                  rows_b,
                                  rows_b,
                                  tiles * a_tile,
                                  tiles * a_tile,
                                  sizes.tile_count(s.HS) * sizes.a_size(key_block),
                                  tile_scores,
                                  tile_scores,
                                  query_a,
                                  query_a,
                                  sizes.packed_size(key_block, query_block),
                                  factor_rows * query_block,
                                  (factor_rows + width) * step,
                                  key_block * s.HS,
                                  key_block * s.HS,
                                  s.HS * padded,
                                  padded,
                                  padded,
                                  padded});
    const auto [packed_q, packed_dy, q_rows, dy_rows, packed_k, packed_v, transposed_k, scores, dp, p, ds, ds_b,
                factors, by_query, dk, dv, dq_sums, largest, neg_log_sum, dots] = space.arrays();
    pack_b_steps<T>(format, packed_q, s.HS, s.T, head.q);
    pack_b_steps<T>(format, packed_dy, s.HS, s.T, dout);
    format.pack_b(q_rows, query_panel, s.T, s.HS, head.q);
    format.pack_b(dy_rows, query_panel, s.T, s.HS, dout);
    std::fill_n(dq_sums, s.HS * padded, T(0));
    // Queries that pad the last step have p = 0.
    std::fill(largest + s.T, largest + padded, T(0));
    std::fill(neg_log_sum + s.T, neg_log_sum + padded, -std::numeric_limits<T>::infinity());
    std::fill(dots + s.T, dots + padded, T(0));
    const QueryNumbers<T> of_query{largest, neg_log_sum, dots};
    for (Index i = 0; i < s.T; ++i) {
      largest[i] = softmax_sums[job * s.T + i];
      neg_log_sum[i] = -softmax_sums[s.rows() + job * s.T + i];
      dots[i] = simd::sum_of(
          s.HS, [](V a, V b) { return a * b; }, dout.data + i * s.C(), out + i * s.C());
    }

    for (Index first = 0; first < s.T; first += key_block) {
      const Index rows = std::min(key_block, s.T - first);
      const Index keys = std::clamp<Index>(head.visible.keys - first, 0, rows);  // the rest is padding
      format.pack_a_tiles(packed_k, keys, s.HS, head.k.offset(first, 0));
      format.pack_a_tiles(packed_v, keys, s.HS, head.v.offset(first, 0));
      const auto k_tiles = pack_a_rows_transposed(format, transposed_k, s.HS, keys, head.k.offset(first, 0));
      for (T* sums : {dk, dv}) std::fill_n(sums, rows * s.HS, T(0));

      const Index end_query = keys == 0 ? 0 : std::min(s.T, head.visible.end_query(first + keys - 1));
      for (Index q = head.visible.first_query(first) / query_block * query_block; q < end_query; q += query_block) {
        const Block block{sizes, head.visible, first, keys, q, std::min(query_block, end_query - q)};
        for (Index n = 0; n < block.queries && s.dropout; n += step) {
          const IndexRange k = block.keys_of(n);
          if (k.size() == 0) continue;
          const Index end = std::min(keys, round_up(k.end, tile_rows));  // end of the last tile
          head.dropout_factors(factors + k.begin * query_block + n, query_block, q + n, step, first + k.begin,
                               end - k.begin, by_query);
        }
        // 1. for each tile of keys: scores and dp, then p (with forward's dropout) and ds, then dv and dk
        for (Index key = 0, tile_offset = 0; key < keys; key += tile_rows, tile_offset += a_tile) {
          const IndexRange seen = block.queries_of(key);
          if (seen.size() == 0) continue;
          const Index tile_keys = block.tile_keys(key);
          const auto multiply_head = [&](T* to, const T* tiles_a, const T* packed) {
            format.multiply_tile(TileProduct<T>{.rows = tile_keys,
                                                .N = seen.size(),
                                                .elements = head_elements,
                                                .a = tile_of_rows(sizes, tiles_a + tile_offset, s.HS),
                                                .packed = packed + (q + seen.begin) / panel * head_panel,
                                                .panel_stride = head_panel,
                                                .c = to + seen.begin,
                                                .ldc = query_block});
          };
          multiply_head(scores, packed_k, packed_q);
          multiply_head(dp, packed_v, packed_dy);
          block.mask(scores, query_block, key, seen);
          softmax_gradients({p, ds, ds_b + key / k_per_element * panel, query_a / sizes.parts, key_panel}, scores, dp,
                            s.dropout ? factors + key * query_block : nullptr, query_block, of_query.offset(q), seen,
                            tile_keys, scale);
          const Index queries = sizes.element_count(std::min(seen.end, s.T - q) - seen.begin);
          const auto add = [&, at = key](T* to, const T* tiles_a, const T* packed) {
            format.multiply_tile(TileProduct<T>{.rows = tile_keys,
                                                .N = s.HS,
                                                .elements = queries,
                                                .a = tile_of_rows(sizes, tiles_a, query_block),
                                                .packed = packed + (q + seen.begin) / k_per_element * panel,
                                                .panel_stride = query_panel,
                                                .c = to + at * s.HS,
                                                .ldc = s.HS,
                                                .accumulate = true});
          };
          add(dv, p, dy_rows);
          add(dk, ds, q_rows);
        }
        // 2. dq^T += k^T ds
        multiply_steps(format, block, k_tiles, s.HS, 0, ds_b, key_panel, dq_sums + q * s.HS, s.HS, step, true);
      }
      for (Index j = 0; j < rows; ++j) {
        const Index ahead = first + std::min(j + width, rows - 1);
        for (const Index column : {head.k_column(), head.v_column()}) dkv_rows.prefetch(ahead, column, 1, s.HS);
        dkv_rows.add(first + j, head.k_column(), dk + j * s.HS, s.HS);
        dkv_rows.add(first + j, head.v_column(), dv + j * s.HS, s.HS);
      }
    }
    dq_rows.prefetch(0, 0, std::min(width, s.T), s.HS);
    for (Index n = 0; n < s.T; n += width) {
      const Index next = std::min(n + width, s.T);
      dq_rows.prefetch(next, 0, std::min(width, s.T - next), s.HS);
      dq_rows.add_transposed(n, 0, std::min(width, s.T - n), s.HS, dq_sums + n / step * step * s.HS + n % step, step);
    }
  };
  parallel_for(s.B * s.kv_heads(), [&](Index job) {
    for (Index i = 0; i < s.group(); ++i) add_head(job * s.group() + i);
  });
}

}  // namespace detail

/// dqkv (+)= the gradient of attention_forward, from dy (B, T, C), the saved softmax_sums and the output y:
///   p = softmax(scores);  dv += p^T dy;  dp = dy v^T;  ds = p (dp - sum(dy y));  dq += ds k;  dk += ds^T q.
template <class S, class T>
void attention_backward(S* dqkv, bool accumulate, const T* dy, const S* qkv, const T* y, const T* softmax_sums,
                        const AttentionParams& s) {
  const MatrixOperand<T> view(MatrixView<S>{qkv, s.qkv_size()}), gradient(MatrixView<S>{dqkv, s.qkv_size()});
  detail::attention_backward<T>(detail::attention_format<T>(s, view), gradient, accumulate, dy, view, y, softmax_sums,
                                s);
}

GPTLITE_COMPILED_FUNCTION(detail::attention_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
