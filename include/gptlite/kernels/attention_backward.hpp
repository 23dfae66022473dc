#pragma once
// Fused causal self-attention: backward. The scores are computed again from the saved logarithms of the softmax's sums,
// for one block of keys and one block of queries at a time; sizes and order are those of attention_block.hpp.

#include "gptlite/kernels/attention_block.hpp"
#include "gptlite/kernels/workspace.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// p and ds of one tile of keys: of the left sides of dv += p dy and dk += ds q, in the order of rows, and of ds as the
/// right side of dq^T += k^T ds.
template <class Format>
struct TileGradients {
  using T = typename Format::Number;
  T *p, *ds, *ds_right;
  Index left_plane, right_panel;  ///< numbers from one plane of p to the next, from one panel of ds_right to the next
};

/// Makes them of the tile's scores and of dp, rows `stride` apart, for the queries `seen`:
///   p = exp(scores scale - lse),  ds = p (dp factors - dots) scale,  p factors.
/// Without dropout factors is null; factors lie as scores do. neg_lse and dots: one a query.
template <class Format, class T>
void softmax_gradients(const TileGradients<Format>& to, const T* scores, const T* dp, const T* factors, Index stride,
                       const T* neg_lse, const T* dots, IndexRange seen, Index rows, T scale) {
  using V = simd::Vec<T>;
  constexpr Index columns = Tile<T>::columns, width = V::width, depth = Format::depth;
  constexpr Index group = depth * Format::group, tile_line = FormatTile<Format>::rows * width;
  const Index right_plane = to.right_panel / Format::planes;
  for (Index r = 0; r < round_up(rows, group); r += depth) {
    T* const right = to.ds_right + r / depth * columns;
    for (Index n = seen.begin; n < seen.end; n += depth * width) {
      std::array<ElementNumbers<Format>, static_cast<std::size_t>(depth)> across;  // [vector][row]
      const Index left = (n - seen.begin) / (depth * width) * tile_line;
#pragma GCC unroll 2
      for (Index row = 0; row < depth; ++row) {
        ElementNumbers<Format> probs, grads;
        const auto line = static_cast<std::size_t>(row);
        if (r + row >= rows) {  // the last group of keys is filled up
          for (auto& vector : across) vector[line] = V::zero();
          continue;
        }
#pragma GCC unroll 2
        for (Index vector = 0; vector < depth; ++vector) {
          const Index query = n + vector * width, from = (r + row) * stride + query;
          const auto i = static_cast<std::size_t>(vector);
          const V p =
              simd::exp_of_negative(simd::fma(V::load(scores + from), V::broadcast(scale), V::load(neg_lse + query)));
          const V factor = factors == nullptr ? V::broadcast(T(1)) : V::load(factors + from);
          probs[i] = p * factor;
          grads[i] = p * (V::load(dp + from) * factor - V::load(dots + query)) * scale;
          across[i][line] = grads[i];
        }
        store_along<Format>(probs, to.p + left + (r + row) * width, to.left_plane);
        store_along<Format>(grads, to.ds + left + (r + row) * width, to.left_plane);
      }
#pragma GCC unroll 2
      for (Index vector = 0; vector < depth; ++vector) {
        const Index query = n + vector * width;
        store_across<Format>(across[static_cast<std::size_t>(vector)],
                             right + query / columns * to.right_panel + query % columns, right_plane);
      }
    }
  }
}

template <class Format, class S, class T>
void attention_backward(S* dqkv, bool accumulate, const T* dy, const S* qkv, const T* y, const T* lse,
                        const AttentionShape& s) {
  using V = simd::Vec<T>;
  using Block = AttentionBlock<Format>;
  constexpr Index panel = Tile<T>::columns, tile_rows = Block::tile_rows, step = Block::step, width = V::width;
  constexpr Index depth = Format::depth;
  const Index padded = round_up(s.T, step), query_block = std::min<Index>(128, padded);
  const Index key_block = round_up(std::min<Index>(256, s.T), tile_rows);
  const T scale = static_cast<T>(s.scale());

  parallel_for(s.B * s.NH, [&](Index job) {
    const typename Format::Registers registers;
    const AttentionHead<S> head(s, job, qkv);
    const MatrixView<T> dout{dy + head.output_offset(), s.C()};
    const T* const out = y + head.output_offset();
    S* const dq = dqkv + (head.q.data - qkv);
    const Index stride = 3 * s.C(), left_tile = left_size<Format>(s.HS), depth_of_head = element_count<Format>(s.HS);
    const Index tiles = key_block / tile_rows;
    const Index head_panel = panel_size<Format>(s.HS), query_panel = panel_size<Format>(s.T);
    const Index key_panel = panel_size<Format>(key_block), query_left = left_size<Format>(query_block);
    const Index right = packed_size<Format>(s.HS, padded), rows_right = packed_size<Format>(s.T, s.HS);
    const Index tile_scores = tile_rows * query_block, factor_rows = s.dropout ? key_block : 0;
    // q and dy are packed as right-hand matrices both ways: channels by queries, and queries by channels.
    const Workspace<T, 19> space({right, right, rows_right, rows_right, tiles * left_tile, tiles * left_tile,
                                  tile_count<Format>(s.HS) * left_size<Format>(key_block), tile_scores, tile_scores,
                                  query_left, query_left, packed_size<Format>(key_block, query_block),
                                  factor_rows * query_block, (factor_rows + width) * step, key_block * s.HS,
                                  key_block * s.HS, s.HS * padded, padded, padded});
    const auto [packed_q, packed_dy, q_rows, dy_rows, packed_k, packed_v, turned_k, scores, dp, p, ds, ds_right,
                factors, by_query, dk, dv, dq_sums, neg_lse, dots] = space.arrays();
    pack_right_steps<Format>(packed_q, s.HS, s.T, step, head.q);
    pack_right_steps<Format>(packed_dy, s.HS, s.T, step, dout);
    pack_right<Format>(q_rows, query_panel, s.T, s.HS, head.q);
    pack_right<Format>(dy_rows, query_panel, s.T, s.HS, dout);
    std::fill_n(dq_sums, s.HS * padded, T(0));
    // Queries that fill up the last step have p = 0.
    std::fill(neg_lse + s.T, neg_lse + padded, -std::numeric_limits<T>::infinity());
    std::fill(dots + s.T, dots + padded, T(0));
    for (Index i = 0; i < s.T; ++i) {
      neg_lse[i] = -lse[job * s.T + i];
      dots[i] = simd::sum_of(
          s.HS, [](V a, V b) { return a * b; }, dout.data + i * s.C(), out + i * s.C());
    }

    for (Index first = 0; first < s.T; first += key_block) {
      const Index keys = std::min(key_block, s.T - first);
      pack_left_tiles<Format>(packed_k, keys, s.HS, head.k.offset(first, 0));
      pack_left_tiles<Format>(packed_v, keys, s.HS, head.v.offset(first, 0));
      const auto k_tiles = pack_left_transposed<Format>(turned_k, s.HS, keys, head.k.offset(first, 0));
      for (T* sums : {dk, dv}) std::fill_n(sums, keys * s.HS, T(0));

      const Index last_query = std::min(s.T, first + keys - 1 + std::min(s.window, s.T));
      for (Index q = first / query_block * query_block; q < last_query; q += query_block) {
        const Block block{s, first, keys, q, std::min(query_block, last_query - q)};
        for (Index n = 0; n < block.queries && s.dropout; n += step) {
          const IndexRange k = block.keys_of(n);
          if (k.size() == 0) continue;
          const Index end = std::min(keys, round_up(k.end, tile_rows));  // of the last tile
          head.dropout_factors(factors + k.begin * query_block + n, query_block, q + n, step, first + k.begin,
                               end - k.begin, by_query);
        }
        // 1. for each tile of keys: scores and dp, then p with the dropout that v saw and ds, then dv and dk
        for (Index key = 0; key < keys; key += tile_rows) {
          const IndexRange seen = block.queries_of(key);
          if (seen.size() == 0) continue;
          const Index rows = block.tile_keys(key);
          const auto multiply_head = [&, at = key](T* to, const T* left, const T* packed) {
            multiply_tile<Format>(
                rows, seen.size(), depth_of_head, left_of_rows<Format>(left + at / tile_rows * left_tile, s.HS),
                packed + (q + seen.begin) / panel * head_panel, head_panel, to + seen.begin, query_block, false);
          };
          multiply_head(scores, packed_k, packed_q);
          multiply_head(dp, packed_v, packed_dy);
          block.hide(scores, query_block, key, seen);
          softmax_gradients<Format>(
              TileGradients<Format>{p, ds, ds_right + key / depth * panel, query_left / Format::planes, key_panel},
              scores, dp, s.dropout ? factors + key * query_block : nullptr, query_block, neg_lse + q, dots + q, seen,
              rows, scale);
          const Index queries = element_count<Format>(std::min(seen.end, s.T - q) - seen.begin);
          const auto add = [&, at = key](T* to, const T* left, const T* packed) {
            multiply_tile<Format>(rows, s.HS, queries, left_of_rows<Format>(left, query_block),
                                  packed + (q + seen.begin) / depth * panel, query_panel, to + at * s.HS, s.HS, true);
          };
          add(dv, p, dy_rows);
          add(dk, ds, q_rows);
        }
        // 2. dq^T += k^T ds
        multiply_steps<Format>(block, k_tiles, 0, ds_right, key_panel, dq_sums + q * s.HS, s.HS, step, true);
      }
      S* const dkv = dq + s.C() + first * stride;
      for (Index j = 0; j < keys; ++j) {
        const Index ahead = std::min(j + width, keys - 1);
        for (const Index part : {Index{0}, s.C()}) prefetch_rows(dkv + ahead * stride + part, stride, 1, s.HS);
        const auto write = [&](S* to, const T* from) {
          simd::for_vectors<T>(s.HS, [&](Index c, Index count) {
            const V sum = simd::load_numbers(from + c, count);
            simd::store_numbers(to + c, accumulate ? simd::load_numbers(to + c, count) + sum : sum, count);
          });
        };
        write(dkv + j * stride, dk + j * s.HS);
        write(dkv + s.C() + j * stride, dv + j * s.HS);
      }
    }
    prefetch_rows(dq, stride, std::min(width, s.T), s.HS);
    for (Index n = 0; n < s.T; n += width) {
      const Index next = std::min(n + width, s.T);
      prefetch_rows(dq + next * stride, stride, std::min(width, s.T - next), s.HS);
      store_transposed(dq + n * stride, stride, std::min(width, s.T - n), s.HS,
                       dq_sums + n / step * step * s.HS + n % step, step, V::broadcast(T(1)), accumulate);
    }
  });
}

}  // namespace detail

/// dqkv (+)= the gradient of attention_forward, from dy, the saved lse and the output y:
///   p = exp(scores - lse);  dv += p^T dy;  dp = dy v^T;  ds = p (dp - sum(dy y));  dq += ds k;  dk += ds^T q.
template <class S, class T>
void attention_backward(S* dqkv, bool accumulate, const T* dy, const S* qkv, const T* y, const T* lse,
                        const AttentionShape& s) {
  detail::with_attention_format<T, S>(
      s, [&]<class Format>(Format) { detail::attention_backward<Format>(dqkv, accumulate, dy, qkv, y, lse, s); });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
