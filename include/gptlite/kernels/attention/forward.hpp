#pragma once
// Fused self-attention, forward, directly from the output of the q, k, v projection. No (T, T) matrix is stored: a job
// is one (batch, head) and stores the scores of one block of keys and one block of queries. Sizes and memory order are
// those of attention/block.hpp.

#include "gptlite/kernels/attention/block.hpp"
#include "gptlite/kernels/workspace.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// The running softmax of one vector of queries, one query per lane, over blocks of keys (Milakov and Gimelshein 2018).
template <class T>
struct RunningSoftmax {
  using V = simd::Vec<T>;
  V largest = V::broadcast(-std::numeric_limits<T>::infinity());  // before the scale
  V sum = V::zero();

  /// Computes p = exp((scores - largest so far) * scale) from the scores (keys, stride) of one block, multiplies it by
  /// the dropout factors (keys, stride) unless they are null, and stores it as a panel of a matrix B. Returns the
  /// factor for the sums over earlier blocks. The largest is subtracted before the scale: scores of any size are as
  /// exact as their differences.
  template <class Format>
  V add_block(T* panel, Index part_stride, const T* scores, const T* factors, Index keys, Index stride, T scale) {
    constexpr Index columns = Tile<T>::nr, k_per_element = Format::k_per_element;
    V block_largest = V::broadcast(-std::numeric_limits<T>::infinity());
    for (Index j = 0; j < keys; ++j) block_largest = simd::max(block_largest, V::load(scores + j * stride));
    const V lowest = V::broadcast(std::numeric_limits<T>::lowest());
    const V new_largest = simd::max(largest, block_largest);
    const V base = simd::where_less(new_largest, lowest, V::zero(), new_largest);  // a lane may not have seen a key yet
    const V rescale = simd::exp_nonpositive((largest - base) * scale);
    // Four sums: one chain of 256 additions is up to four times as far from the exact sum.
    std::array<V, 4> block_sums{V::zero(), V::zero(), V::zero(), V::zero()};
    const auto number = [&](Index j) {
      const V p = simd::exp_nonpositive((V::load(scores + j * stride) - base) * scale);
      V& block_sum = block_sums[static_cast<std::size_t>(j % 4)];
      block_sum = block_sum + p;
      return factors == nullptr ? p : p * V::load(factors + j * stride);
    };
    const auto store = [&](Index element, const ElementNumbers<Format>& p) {
      store_across<Format>(p, panel + element * columns, part_stride);
    };
    const Index whole = keys / k_per_element;
    for (Index e = 0; e < whole; ++e) {
      ElementNumbers<Format> p;
      for (Index d = 0; d < k_per_element; ++d) p[static_cast<std::size_t>(d)] = number(e * k_per_element + d);
      store(e, p);
    }
    for (Index e = whole; e < sizes_of<Format>.element_count(keys); ++e) {  // pads the last group of elements
      ElementNumbers<Format> p;
      for (Index d = 0; d < k_per_element; ++d)
        p[static_cast<std::size_t>(d)] = e * k_per_element + d < keys ? number(e * k_per_element + d) : V::zero();
      store(e, p);
    }
    sum = simd::fma(sum, rescale, (block_sums[0] + block_sums[1]) + (block_sums[2] + block_sums[3]));
    largest = new_largest;
    return rescale;
  }
};

/// RunningSoftmax::add_block in a given format.
template <class T>
using AddBlock = simd::Vec<T> (*)(RunningSoftmax<T>& softmax, T* panel, Index part_stride, const T* scores,
                                  const T* factors, Index keys, Index stride, T scale);
template <class T>
AddBlock<T> add_block_of(const OperandFormat<T>& format) {
  return with_format(format, []<class Format>(Format) -> AddBlock<T> {
    return [](RunningSoftmax<T>& softmax, T* panel, Index part_stride, const T* scores, const T* factors, Index keys,
              Index stride, T scale) {
      return softmax.template add_block<Format>(panel, part_stride, scores, factors, keys, stride, scale);
    };
  });
}

/// attention_forward() in a given format.
template <class T>
void attention_forward(const OperandFormat<T>& format, T* y, T* softmax_sums, const MatrixOperand<T>& qkv,
                       const AttentionParams& s) {
  using V = simd::Vec<T>;
  using Block = AttentionBlock;
  constexpr Index width = V::width, most_queries = 64;
  constexpr auto vectors = static_cast<std::size_t>(most_queries / width);
  static_assert(most_queries % Tile<T>::nr == 0, "a block of queries has whole steps");
  const FormatSizes& sizes = format.sizes;
  const AddBlock<T> add_block = add_block_of(format);
  const PowerOfTwo panel = sizes.nr, step = Block::step_of(sizes), k_per_element = sizes.k_per_element;
  const Index tile_rows = sizes.mr;
  // Every query sees a key in the first block of keys that its block of queries meets, or sees no key at all.
  const Index query_block = std::min(most_queries, round_up(s.T, step));
  const Index key_block = std::min(round_up(256, tile_rows), round_up(s.T, tile_rows));
  const T scale = static_cast<T>(s.score_scale());

  parallel_for(s.B * s.NH, [&](Index job) {
    const FormatRegisters registers(sizes);
    const AttentionHead<T> head(s, job, qkv);
    const Index a_tile = sizes.a_size(s.HS), head_elements = sizes.element_count(s.HS);
    const Index q_panel = sizes.panel_size(s.HS), p_panel = sizes.panel_size(key_block);
    const Index block_scores = key_block * query_block, factor_rows = s.dropout ? key_block : 0;
    const Workspace<T, 8> space({sizes.tile_count(s.T) * a_tile, sizes.tile_count(s.HS) * sizes.a_size(s.T),
                                 sizes.packed_size(s.HS, query_block), block_scores,
                                 sizes.packed_size(key_block, query_block), s.HS * query_block,
                                 factor_rows * query_block, (factor_rows + width) * query_block});
    const auto [packed_k, packed_v, packed_q, scores, p, sums, factors, by_query] = space.arrays();
    format.pack_a_tiles(packed_k, s.T, s.HS, head.k);
    const auto v_tiles = pack_a_rows_transposed(format, packed_v, s.HS, s.T, head.v);

    for (Index q = 0; q < s.T; q += query_block) {
      const Index queries = std::min(query_block, s.T - q);
      pack_b_steps(format, packed_q, s.HS, queries, head.q.offset(q, 0));
      std::array<RunningSoftmax<T>, vectors> softmax;
      T* const to = y + head.output_offset() + q * s.C();
      prefetch_rows(to, s.C(), queries, s.HS);
      const Index begin = head.visible.first(q) / tile_rows * tile_rows, end = head.visible.end(q + queries - 1);
      for (Index first = begin; first < end; first += key_block) {
        const Block block{sizes, head.visible, first, std::min(key_block, end - first), q, queries};
        // 1. scores (keys, queries) = k q^T, minus infinity where a query does not see the key
        const T* tile_a = packed_k + first / tile_rows * a_tile;
        for (Index key = 0; key < block.keys; key += tile_rows, tile_a += a_tile) {
          const IndexRange seen = block.queries_of(key);
          T* const tile = scores + key * query_block;
          format.multiply_tile(TileProduct<T>{.rows = block.tile_keys(key),
                                              .N = seen.size(),
                                              .elements = head_elements,
                                              .a = tile_of_rows(sizes, tile_a, s.HS),
                                              .packed = packed_q + seen.begin / panel * q_panel,
                                              .panel_stride = q_panel,
                                              .c = tile + seen.begin,
                                              .ldc = query_block});
          block.mask(tile, query_block, key, seen);
        }
        // 2. p = exp(scores - largest so far), with dropout; earlier sums are rescaled to the new largest
        for (Index n = 0; n < queries; n += step) {
          const IndexRange keys = block.keys_of(n);
          if (keys.size() == 0) continue;
          const Index offset = keys.begin * query_block + n;
          if (s.dropout)
            head.dropout_factors(factors + offset, query_block, q + n, step, first + keys.begin, keys.size(), by_query);
          for (Index i = 0; i < step; i += width) {
            const V rescale =
                add_block(softmax[static_cast<std::size_t>((n + i) / width)],
                          p + (n + i) / panel * p_panel + keys.begin / k_per_element * panel + (n + i) % panel,
                          p_panel / sizes.parts, scores + offset + i, s.dropout ? factors + offset + i : nullptr,
                          keys.size(), query_block, scale);
            for (Index c = 0; c < s.HS && first > begin; ++c) {
              T* const at = sums + c * query_block + n + i;
              (V::load(at) * rescale).store(at);
            }
          }
        }
        // 3. y^T (+)= v^T p
        multiply_steps(format, block, v_tiles, s.HS, first, p, p_panel, sums, 1, query_block, first > begin);
      }
      // 4. y /= sum of p
      for (Index n = 0; n < queries; n += width) {
        const RunningSoftmax<T>& done = softmax[static_cast<std::size_t>(n / width)];
        const Index rows = std::min(width, queries - n);
        T* const saved = softmax_sums + job * s.T + q + n;
        simd::store_numbers(saved, done.largest, rows);
        simd::store_numbers(saved + s.rows(), simd::log(done.sum), rows);
        store_transposed(to + n * s.C(), s.C(), rows, s.HS, sums + n, query_block, T(1) / done.sum, false);
      }
      // A query that sees no key: y = 0, and backward computes p = 0.
      for (Index i = std::max(q, head.visible.end_query()); i < q + queries; ++i) {
        std::fill_n(y + head.output_offset() + i * s.C(), s.HS, T(0));
        softmax_sums[job * s.T + i] = 0;
        softmax_sums[s.rows() + job * s.T + i] = std::numeric_limits<T>::infinity();
      }
    }
  });
}

}  // namespace detail

/// y = dropout(softmax(q k^T / sqrt(HS))) v for every head, with the softmax over the keys that a query sees; 0 for a
/// query that sees none. Saves softmax_sums. qkv is stored as S: T, or BFloat16 for products in bf16. Sizes:
/// attention/block.hpp.
template <class S, class T>
void attention_forward(T* y, T* softmax_sums, const S* qkv, const AttentionParams& s) {
  const MatrixOperand<T> view(MatrixView<S>{qkv, s.qkv_size()});
  detail::attention_forward<T>(detail::attention_format<T>(s, view), y, softmax_sums, view, s);
}

GPTLITE_COMPILED_FUNCTION(detail::attention_forward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
