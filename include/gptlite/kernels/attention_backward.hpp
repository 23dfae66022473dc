#pragma once
// Fused causal self-attention: backward. The scores are computed again from the saved logarithms of the softmax's sums,
// for one block of keys and one block of queries at a time; sizes are those of attention.hpp.

#include <array>

#include "gptlite/kernels/attention.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// Queries begin .. begin + rows - 1 against the keys first .. first + keys - 1, in whole steps: every key of a block
/// that one of the queries sees, and some that none does.
template <class Format>
struct ScoreTile {
  using T = typename Format::Number;
  static constexpr Index step = std::max(Tile<T>::columns, Format::depth* simd::Vec<T>::width);
  Index begin, rows, first, keys;

  ScoreTile(Index query, Index count, Index block, Index block_keys, const AttentionShape& s)
      : begin(query), rows(count), first(std::max(block, s.first_visible(query) / step * step)) {
    const Index end = std::min(block + block_keys, begin + rows);
    keys = end <= first ? 0 : (end - first + step - 1) / step * step;
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
void attention_backward(T* dqkv, bool accumulate, const T* dy, const T* qkv, const T* y, const T* lse,
                        const AttentionShape& s) {
  using V = simd::Vec<T>;
  constexpr Index panel = Tile<T>::columns, tile_rows = FormatTile<Format>::rows, width = V::width,
                  depth = Format::depth;
  constexpr Index step = ScoreTile<Format>::step;
  static_assert(tile_rows % depth == 0, "a tile of queries has whole elements");
  // p and ds of one pair of blocks stay in the L2 cache. Where there are many blocks of keys, each is as long as two of
  // queries, so that it begins with a tile of queries.
  const Index key_block = std::min<Index>(s.T <= 256 ? 256 : 224, (s.T + step - 1) / step * step);
  const Index query_tiles = (s.T + tile_rows - 1) / tile_rows;
  const Index query_block = std::min(112 / tile_rows, query_tiles) * tile_rows;
  const T scale = static_cast<T>(s.scale());

  parallel_for(s.B * s.NH, [&](Index job) {
    const typename Format::Registers registers;
    const AttentionHead<T> head(s, job, qkv);
    const MatrixView<T> dout{dy + head.output_offset(), s.C()};
    const T* out = y + head.output_offset();
    T* dq = dqkv + (head.q.data - qkv);
    const Index stride = 3 * s.C(), score_stride = key_block + tile_rows + step;
    const Index hs_panel = panel_size<Format>(s.HS), key_panel = panel_size<Format>(key_block);
    const Index query_panel = panel_size<Format>(s.T), left_tile = left_size<Format>(s.HS);
    const Index right = packed_size<Format>(s.HS, key_block), rows_right = packed_size<Format>(s.T, s.HS);
    const Index tile_scores = tile_rows * score_stride, gradients = key_block * s.HS;
    const Index pairs = element_count<Format>(query_block) * score_stride;
    const Workspace<T, 16> space({right, right, packed_size<Format>(key_block, s.HS), query_tiles * left_tile,
                                  query_tiles * left_tile, rows_right, rows_right, tile_scores, tile_scores,
                                  left_size<Format>(key_block), pairs, pairs, s.dropout ? depth * key_block : 0,
                                  gradients, gradients, s.T});
    // q and dy are packed both as tiles and as right-hand matrices. scores and dp: of one tile of queries. p and ds:
    // packed as the left side of the products for dv and dk.
    const auto [packed_k, packed_v, packed_k_rows, q_tiles, dy_tiles, packed_q, packed_dy, scores, dp, ds_rows, p, ds,
                factors, dk, dv, dots] = space.arrays();
    pack_left_tiles<Format>(q_tiles, s.T, s.HS, head.q);
    pack_left_tiles<Format>(dy_tiles, s.T, s.HS, dout);
    pack_right<Format>(packed_q, query_panel, s.T, s.HS, head.q);
    pack_right<Format>(packed_dy, query_panel, s.T, s.HS, dout);
    // dq is a sum over blocks of keys. If the first block meets all queries, it overwrites.
    const bool overwrite = !accumulate && s.window >= s.T;
    if (!accumulate && !overwrite)
      for (Index i = 0; i < s.T; ++i) std::fill_n(dq + i * stride, s.HS, T(0));
    for (Index i = 0; i < s.T; ++i)
      dots[i] = simd::sum_of(
          s.HS, [](V a, V b) { return a * b; }, dout.data + i * s.C(), out + i * s.C());

    for (Index block = 0; block < s.T; block += key_block) {
      const Index keys = std::min(key_block, s.T - block);
      const Index key_panels = (keys + panel - 1) / panel, whole_steps = (keys + step - 1) / step * step / panel;
      const auto pack_keys = [&](T* to, MatrixView<T> rows) {
        pack_right<Format>(to, hs_panel, s.HS, keys, rows.transposed());
        std::fill(to + key_panels * hs_panel, to + whole_steps * hs_panel, T(0));
      };
      pack_keys(packed_k, head.k.offset(block, 0));
      pack_keys(packed_v, head.v.offset(block, 0));
      pack_right<Format>(packed_k_rows, key_panel, keys, s.HS, head.k.offset(block, 0));
      for (T* sums : {dk, dv}) std::fill_n(sums, keys * s.HS, T(0));

      const Index last_query = std::min(s.T, block + keys - 1 + s.window);  // end of the queries that see the block
      for (Index q0 = block / query_block * query_block; q0 < last_query; q0 += query_block) {
        const Index queries = std::min(query_block, last_query - q0), elements = element_count<Format>(queries);
        // 1. for each tile of queries: scores and dp, then p with the dropout that v saw and ds, then dq
        for (Index begin = 0; begin < queries; begin += tile_rows) {
          const Index rows = std::min(tile_rows, queries - begin), q = q0 + begin;
          const ScoreTile<Format> tile(q, rows, block, keys, s);
          if (tile.keys == 0) continue;  // all of its queries come before the block
          const Index first = tile.first - block;
          const auto multiply_keys = [&](T* to, const T* tiles, const T* packed) {
            const T* const left = tiles + q / tile_rows * left_tile;
            constexpr Index line = simd::line<T>;
            // Meanwhile the next tile is asked for, line by line.
            multiply_tile<Format>(
                rows, tile.keys, element_count<Format>(s.HS), LeftTile<T>{left, 1, LeftOrder::rows},
                packed + first / panel * hs_panel, hs_panel, to, score_stride, false, [&](Index i) {
                  prefetch_left(left_tile / line, line, MatrixView<T>{left + left_tile, line}, i, tile.keys / panel);
                });
          };
          multiply_keys(scores, q_tiles, packed_k);
          multiply_keys(dp, dy_tiles, packed_v);
          for (Index r = 0; r < rows; r += depth) {
            const Index count = std::min(depth, rows - r);
            T* const p_row = p + (begin + r) / depth * score_stride + first;
            T* const ds_row = ds + (begin + r) / depth * score_stride + first;
            // A tile of keys reads the rows of all queries from its first key on: zeros where this tile has no score.
            for (T* row : {p_row, ds_row}) {
              std::fill(row - first, row, T(0));
              std::fill_n(row + tile.keys, std::min(tile_rows + step, score_stride - first - tile.keys), T(0));
            }
            // Where the last element has no second row its first stands for it, dropout included, with p = 0.
            ElementNumbers<Format> total, dot;
            std::array<Index, static_cast<std::size_t>(depth)> at, factors_at;
            for (Index i = 0; i < depth; ++i) {
              const bool exists = i < count;
              const Index row = r + (exists ? i : 0);
              const auto n = static_cast<std::size_t>(i);
              at[n] = row * score_stride;
              factors_at[n] = (exists ? i : 0) * key_block;
              total[n] = V::broadcast(exists ? -lse[job * s.T + q + row] : -std::numeric_limits<T>::infinity());
              dot[n] = V::broadcast(dots[q + row]);
              if (!exists) continue;
              tile.fill_unseen(scores + at[n], row, s, -std::numeric_limits<T>::infinity());
              if (s.dropout) head.dropout_factors(factors + factors_at[n], q + row, tile.first, tile.keys);
            }
            for (Index j = 0; j < tile.keys; j += depth * width) {
              std::array<ElementNumbers<Format>, static_cast<std::size_t>(depth)> probs, grads;  // [vector][row]
#pragma GCC unroll 2
              for (std::size_t row = 0; row < depth; ++row) {
                ElementNumbers<Format> along;
#pragma GCC unroll 2
                for (std::size_t vector = 0; vector < depth; ++vector) {
                  const Index key = j + static_cast<Index>(vector) * width, from = at[row] + key;
                  const V prob =
                      simd::exp_of_negative(simd::fma(V::load(scores + from), V::broadcast(scale), total[row]));
                  const V factor = s.dropout ? V::load(factors + factors_at[row] + key) : V::broadcast(T(1));
                  probs[vector][row] = prob * factor;
                  grads[vector][row] = along[vector] = prob * (V::load(dp + from) * factor - dot[row]) * scale;
                }
                Format::along(along).store(ds_rows + j / depth * tile_rows + (r + static_cast<Index>(row)) * width);
              }
#pragma GCC unroll 2
              for (std::size_t vector = 0; vector < depth; ++vector) {
                const Index key = j + static_cast<Index>(vector) * width;
                Format::across(probs[vector]).store(p_row + key);
                Format::across(grads[vector]).store(ds_row + key);
              }
            }
          }
          for (T* to : {p, ds})  // the last group of elements is filled up
            std::fill(to + (begin + rows + depth - 1) / depth * score_stride,
                      to + element_count<Format>(begin + rows) * score_stride, T(0));
          multiply_tile<Format>(rows, s.HS, element_count<Format>(std::min(tile.keys, keys - first)),
                                LeftTile<T>{ds_rows, 1, LeftOrder::rows}, packed_k_rows + first / depth * panel,
                                key_panel, dq + q * stride, stride, !overwrite || block > 0);
        }
        // 2. for each tile of keys: dv += p^T dy, dk += ds^T q, from the first query that sees one of them
        for (Index key = 0; key < keys; key += tile_rows) {
          const Index rows = std::min(tile_rows, keys - key), from = std::max<Index>(0, block + key - q0) / depth;
          if (from >= elements) break;
          const auto add = [&](T* to, const T* left, const T* packed) {
            multiply_tile<Format>(rows, s.HS, elements - from,
                                  LeftTile<T>{left + from * score_stride + key, score_stride, LeftOrder::columns},
                                  packed + (q0 / depth + from) * panel, query_panel, to + key * s.HS, s.HS, true);
          };
          add(dv, p, packed_dy);
          add(dk, ds, packed_q);
        }
      }
      for (Index j = 0; j < keys; ++j) {
        const auto write = [&](T* to, const T* from) {
          simd::transform(
              to, s.HS, [=](V a, V b) { return accumulate ? a + b : b; }, accumulate ? to : from, from);
        };
        write(dq + s.C() + (block + j) * stride, dk + j * s.HS);
        write(dq + 2 * s.C() + (block + j) * stride, dv + j * s.HS);
      }
    }
  });
}

}  // namespace detail

/// dqkv (+)= the gradient of attention_forward, from dy, the saved lse and the output y:
///   p = exp(scores - lse);  dv += p^T dy;  dp = dy v^T;  ds = p (dp - sum(dy y));  dq += ds k;  dk += ds^T q.
template <class T>
void attention_backward(T* dqkv, bool accumulate, const T* dy, const T* qkv, const T* y, const T* lse,
                        const AttentionShape& s) {
  with_format<T>(s.precision, [&]<class Format>(Format) {
    detail::attention_backward<Format>(dqkv, accumulate, dy, qkv, y, lse, s);
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
