#pragma once
// Fused causal self-attention, straight from the output of the q, k, v projection: forward. No (T, T) matrix is stored:
// a job is a (batch, head) and holds the scores of one block of queries and one block of keys.
//
// Sizes:  B batch    T positions    NH heads    HS head size    C = NH * HS channels
//         qkv (B, T, 3C): at each position q, then k, then v, each (NH, HS)        y (B, T, C)      lse (B, NH, T)

#include <algorithm>
#include <cmath>

#include "gptlite/kernels/dropout.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"
#include "gptlite/kernels/workspace.hpp"

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
  /// p (keys, stride) of `rows` queries times their dropout factors, packed for the product with v. `factors` has room
  /// for rows * (keys + width).
  template <class Format>
  void drop_and_pack(T* p, Index stride, T* factors, Index query, Index rows, Index first_key, Index keys) const {
    using V = simd::Vec<T>;
    constexpr Index width = V::width, depth = Format::depth;
    const Index length = (keys + width - 1) / width * width;
    for (Index r = 0; r < rows; ++r) dropout_factors(factors + r * length, query + r, first_key, length);
    std::array<V, static_cast<std::size_t>(width)> square;  // factors lie by query, scores by key
    for (Index n = 0; n < rows; n += width)
      for (Index j = 0; j < keys; j += width) {
        for (Index r = 0; r < width; ++r)
          square[static_cast<std::size_t>(r)] = V::load(factors + std::min(n + r, rows - 1) * length + j);
        simd::transpose<T>(square);
        for (Index i = 0; i < std::min(width, keys - j); i += depth) {
          ElementNumbers<Format> dropped;
          for (Index d = 0; d < depth; ++d)
            dropped[static_cast<std::size_t>(d)] =
                j + i + d < keys ? V::load(p + (j + i + d) * stride + n) * square[static_cast<std::size_t>(i + d)]
                                 : V::zero();
          Format::across(dropped).store(p + (j + i) / depth * stride + n);
        }
      }
  }
};

/// The running softmax of one vector of queries, a query a lane, over blocks of keys (Milakov and Gimelshein 2018).
template <class T>
struct RunningSoftmax {
  using V = simd::Vec<T>;
  V largest = V::broadcast(-std::numeric_limits<T>::infinity());
  V sum = V::zero();

  /// Turns the scores (keys, stride) of one block into p = exp(scores * scale - largest so far), packed for the product
  /// with v if so asked. Returns what the sums over earlier blocks must be multiplied with.
  template <class Format>
  V add_block(T* scores, Index keys, Index stride, T scale, bool pack) {
    V block_largest = V::broadcast(-std::numeric_limits<T>::infinity());
    for (Index j = 0; j < keys; ++j) block_largest = simd::max(block_largest, V::load(scores + j * stride));
    const V lowest = V::broadcast(std::numeric_limits<T>::lowest());
    const V new_largest = simd::max(largest, block_largest * scale);
    const V shift = -simd::where_less(new_largest, lowest, V::zero(), new_largest);  // a lane may see no key yet
    const V rescale = simd::exp_of_negative(largest + shift);
    V block_sum = V::zero();
    for (Index j = 0; j < keys; j += Format::depth) {
      ElementNumbers<Format> p;
      for (Index d = 0; d < Format::depth; ++d) {
        V& number = p[static_cast<std::size_t>(d)];
        number = V::zero();
        if (j + d == keys) break;
        T* at = scores + (j + d) * stride;
        number = simd::exp_of_negative(simd::fma(V::load(at), V::broadcast(scale), shift));
        block_sum = block_sum + number;
        if (!pack) number.store(at);
      }
      if (pack) Format::across(p).store(scores + j / Format::depth * stride);
    }
    sum = simd::fma(sum, rescale, block_sum);
    largest = new_largest;
    return rescale;
  }
};

template <class Format, class T>
void attention_forward(T* y, T* lse, const T* qkv, const AttentionShape& s) {
  using V = simd::Vec<T>;
  constexpr Index panel = Tile<T>::columns, tile_rows = FormatTile<Format>::rows, width = V::width;
  constexpr Index queries =
      32 / panel * panel;  // of a block: scores are held as (key, query), so that a lane is a query
  constexpr Index key_block = 1024 / tile_rows * tile_rows;  // keys whose scores are held at once
  constexpr auto vectors = static_cast<std::size_t>(queries / width);
  const T scale = static_cast<T>(s.scale());
  std::array<T, static_cast<std::size_t>(width)> lane_numbers;
  for (std::size_t i = 0; i < lane_numbers.size(); ++i) lane_numbers[i] = static_cast<T>(i);

  parallel_for(s.B * s.NH, [&](Index job) {
    const typename Format::Registers registers;
    const AttentionHead<T> head(s, job, qkv);
    const Index left_tile = left_size<Format>(s.HS), q_panel = panel_size<Format>(s.HS);
    const Index key_tiles = (s.T + tile_rows - 1) / tile_rows, v_panel = panel_size<Format>(s.T);
    const Workspace<T, 5> space({key_tiles * left_tile, packed_size<Format>(s.T, s.HS),
                                 packed_size<Format>(s.HS, queries), std::min(s.T + queries, key_block) * queries,
                                 s.dropout ? queries * (std::min(s.T, key_block) + width) : 0});
    const auto [packed_k, packed_v, packed_q, score_block, factors] = space.arrays();
    T* const scores = score_block;  // lambdas of C++20 may not capture the name of a binding with clang
    pack_left_tiles<Format>(packed_k, s.T, s.HS, head.k);
    pack_right<Format>(packed_v, v_panel, s.T, s.HS, head.v);

    for (Index q = 0; q < s.T; q += queries) {
      const Index rows = std::min(queries, s.T - q);
      T* out = y + head.output_offset() + q * s.C();
      pack_right<Format>(packed_q, q_panel, s.HS, rows, head.q.offset(q, 0).transposed());
      std::array<RunningSoftmax<T>, vectors> softmax;
      const Index first = s.first_visible(q) / tile_rows * tile_rows;
      for (Index block = first; block < q + rows; block += key_block) {
        const Index keys = std::min(key_block, q + rows - block);
        // 1. scores (keys, queries) = k q^T
        for (Index j = 0; j < keys; j += tile_rows) {
          const Index count = std::min(tile_rows, keys - j);
          multiply_tile<Format>(count, (rows + panel - 1) / panel * panel, element_count<Format>(s.HS),
                                LeftTile<T>{packed_k + (block + j) / tile_rows * left_tile, 1, LeftOrder::rows},
                                packed_q, q_panel, scores + j * queries, queries, false);
        }
        // 2. -inf where a query does not see the key
        const auto hide = [&](Index from, Index to, auto&& hidden) {
          for (Index j = std::max<Index>(from - block, 0); j < std::min(to - block, keys); ++j)
            for (Index n = 0; n < rows; n += width) {
              T* at = scores + j * queries + n;
              hidden(V::load(lane_numbers.data()) + static_cast<T>(q + n - block - j), V::load(at)).store(at);
            }
        };
        const V minus_infinity = V::broadcast(-std::numeric_limits<T>::infinity());
        hide(q + 1, q + rows,
             [&](V distance, V score) { return simd::where_less(distance, V::zero(), minus_infinity, score); });
        hide(0, q + rows - s.window, [&](V distance, V score) {
          return simd::where_less(distance, V::broadcast(static_cast<T>(s.window)), score, minus_infinity);
        });
        // 3. p = exp(scores - largest so far), with dropout; what came before is scaled to the new largest
        for (Index n = 0; n < rows; n += width) {
          const V rescale = softmax[static_cast<std::size_t>(n / width)].template add_block<Format>(
              scores + n, keys, queries, scale, !s.dropout);
          if (block == first) continue;
          std::array<T, static_cast<std::size_t>(width)> by_row;
          rescale.store(by_row.data());
          for (Index r = 0; r < std::min(width, rows - n); ++r)
            simd::transform(
                out + (n + r) * s.C(), s.HS, [f = by_row[static_cast<std::size_t>(r)]](V v) { return v * f; },
                out + (n + r) * s.C());
        }
        if (s.dropout) head.template drop_and_pack<Format>(scores, queries, factors, q, rows, block, keys);
        // 4. y (+)= p^T v
        std::fill(scores + (keys + Format::depth - 1) / Format::depth * queries,
                  scores + element_count<Format>(keys) * queries, T(0));  // the last group of elements is filled up
        const DepthBlocks<Format> depths(keys);
        const Index tiles = (rows + tile_rows - 1) / tile_rows;
        for (Index d = 0; d < depths.count; ++d)
          for (Index t = 0; t < tiles; ++t) {
            const Index k = depths.begin(d), n = rows * t / tiles;
            multiply_tile<Format>(rows * (t + 1) / tiles - n, s.HS, element_count<Format>(depths.begin(d + 1) - k),
                                  LeftTile<T>{scores + k / Format::depth * queries + n, queries, LeftOrder::columns},
                                  packed_v + (block + k) / Format::depth * panel, v_panel, out + n * s.C(), s.C(),
                                  block > first || d > 0);
          }
      }
      // 5. y /= sum of p
      for (Index n = 0; n < rows; n += width) {
        const RunningSoftmax<T>& done = softmax[static_cast<std::size_t>(n / width)];
        std::array<T, static_cast<std::size_t>(width)> inverse, total;
        (T(1) / done.sum).store(inverse.data());
        (done.largest + simd::log(done.sum)).store(total.data());
        for (Index r = 0; r < std::min(width, rows - n); ++r) {
          const auto at = static_cast<std::size_t>(r);
          lse[job * s.T + q + n + r] = total[at];
          simd::transform(
              out + (n + r) * s.C(), s.HS, [f = inverse[at]](V v) { return v * f; }, out + (n + r) * s.C());
        }
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
