#pragma once
// Fused causal self-attention, forward and backward, straight from the output of the q, k, v projection. No (T, T)
// matrix is stored: a job holds the scores of one block of queries, and backward computes them again.
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

  Index C() const { return NH * HS; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(HS)); }
};

namespace detail {

/// A block of queries and the keys that any of them sees, rounded down to whole panels.
struct QueryBlock {
  Index begin, rows, first_key, keys;

  QueryBlock(Index q, Index block, Index panel, const AttentionShape& s)
      : begin(q),
        rows(std::min(block, s.T - q)),
        first_key(std::max<Index>(0, q - s.window + 1) / panel * panel),
        keys(begin + rows - first_key) {}
};

/// One (batch, head): its matrices as views into the tensors, and what both passes do with them.
template <class T>
struct AttentionHead {
  static constexpr Index columns = Tile<T>::columns;
  static constexpr Index query_block = 2 * Tile<T>::rows;

  const AttentionShape& s;
  Index job;  // b * NH + h
  MatrixView<T> q, k, v;
  Index scores_stride = (s.T + columns - 1) / columns * columns;

  AttentionHead(const AttentionShape& shape, Index job_index, const T* qkv)
      : s(shape),
        job(job_index),
        q{qkv + job / s.NH * s.T * 3 * s.C() + job % s.NH * s.HS, 3 * s.C()},
        k{q.data + s.C(), 3 * s.C()},
        v{k.data + s.C(), 3 * s.C()} {}

  /// Position of this head in a (B, T, C) tensor.
  Index output_offset() const { return job / s.NH * s.T * s.C() + job % s.NH * s.HS; }

  /// scores (rows, keys) = left matrix^T, packed by key panels: q k^T or dy v^T.
  void multiply_keys(const QueryBlock& block, MatrixView<T> left, const T* packed, T* scores) const {
    const Index whole_panels = (block.keys + columns - 1) / columns * columns;  // the rows of scores have room for them
    multiply_packed(block.rows, whole_panels, s.HS, left.offset(block.begin, 0), packed + block.first_key * s.HS,
                    columns * s.HS, scores, scores_stride, false);
  }
  /// out (rows, HS) (+)= scores (rows, keys) times k or v, packed by channel panels.
  void multiply_values(const QueryBlock& block, const T* scores, const T* packed, T* out, Index stride,
                       bool accumulate) const {
    multiply_packed(block.rows, s.HS, block.keys, {scores, scores_stride}, packed + block.first_key * columns,
                    s.T * columns, out, stride, accumulate);
  }
  /// Offsets into a row of scores between which query i sees its keys.
  Index visible_begin(const QueryBlock& block, Index i) const {
    return std::max<Index>(0, i - s.window + 1) - block.first_key;
  }
  Index visible_end(const QueryBlock& block, Index i) const { return i + 1 - block.first_key; }
  /// Dropout factors of query i for its visible keys.
  void dropout_factors(T* out, const QueryBlock& block, Index i) const {
    const Index begin = visible_begin(block, i), count = visible_end(block, i) - begin;
    s.dropout.factors(out, (job * s.T + i) * s.T + block.first_key + begin, count);
  }
};

}  // namespace detail

/// y = dropout(softmax(q k^T / sqrt(HS), causal)) v for every head. Saves lse, the logarithm of each softmax's sum.
template <class T>
void attention_forward(T* y, T* lse, const T* qkv, const AttentionShape& s) {
  using V = simd::Vec<T>;
  using Head = detail::AttentionHead<T>;
  const T scale = static_cast<T>(s.scale());
  parallel_for(s.B * s.NH, [&](Index job) {
    const Head head(s, job, qkv);
    const Storage<T> packed_k(packed_size<T>(s.HS, s.T)), packed_v(packed_size<T>(s.T, s.HS));
    const Storage<T> scores(Head::query_block * head.scores_stride), factors(s.dropout ? s.T : 0);
    pack(packed_k.data(), s.HS, s.T, head.k.transposed());
    pack(packed_v.data(), s.T, s.HS, head.v);

    for (Index i0 = 0; i0 < s.T; i0 += Head::query_block) {
      const detail::QueryBlock block(i0, Head::query_block, Head::columns, s);
      // 1. scores = q k^T
      head.multiply_keys(block, head.q, packed_k.data(), scores.data());
      // 2. p = softmax of each row, zero where the query does not see the key
      for (Index r = 0; r < block.rows; ++r) {
        const Index i = i0 + r, begin = head.visible_begin(block, i), end = head.visible_end(block, i);
        T* row = scores.data() + r * head.scores_stride;
        const T largest = simd::max_of(end - begin, row + begin) * scale;
        simd::transform(
            row + begin, end - begin, [=](V x) { return simd::exp(x * scale - largest); }, row + begin);
        const T sum = simd::sum_of(
            end - begin, [](V x) { return x; }, row + begin);
        const T inverse = T(1) / sum;
        lse[job * s.T + i] = largest + std::log(sum);
        if (s.dropout) {
          head.dropout_factors(factors.data(), block, i);
          simd::transform(
              row + begin, end - begin, [=](V p, V f) { return p * f * inverse; }, row + begin, factors.data());
        } else {
          simd::transform(
              row + begin, end - begin, [=](V p) { return p * inverse; }, row + begin);
        }
        std::fill_n(row, begin, T(0));
        std::fill_n(row + end, block.keys - end, T(0));
      }
      // 3. y = p v
      head.multiply_values(block, scores.data(), packed_v.data(), y + head.output_offset() + i0 * s.C(), s.C(), false);
    }
  });
}

/// dqkv (+)= the gradient of attention_forward, from dy, the saved lse and the output y. Undoes the passes 3, 2, 1:
///   p = exp(scores - lse);  dv += p^T dy;  dp = dy v^T;  ds = p (dp - sum(dy y));  dq = ds k;  dk += ds^T q.
template <class T>
void attention_backward(T* dqkv, bool accumulate, const T* dy, const T* qkv, const T* y, const T* lse,
                        const AttentionShape& s) {
  using V = simd::Vec<T>;
  using Head = detail::AttentionHead<T>;
  const T scale = static_cast<T>(s.scale());
  parallel_for(s.B * s.NH, [&](Index job) {
    const Head head(s, job, qkv);
    const MatrixView<T> dout{dy + head.output_offset(), s.C()};
    const T* out = y + head.output_offset();
    T* dq = dqkv + (head.q.data - qkv);
    T* dk = dqkv + (head.k.data - qkv);
    T* dv = dqkv + (head.v.data - qkv);
    const Index stride = 3 * s.C();

    const Storage<T> packed_k(packed_size<T>(s.HS, s.T)), packed_v(packed_size<T>(s.HS, s.T));
    const Storage<T> packed_k_rows(packed_size<T>(s.T, s.HS));
    const Storage<T> packed_q(packed_size<T>(Head::query_block, s.HS)), packed_dy(packed_q.size());
    const Storage<T> p(Head::query_block * head.scores_stride), ds(p.size()), factors(s.dropout ? s.T : 0);
    pack(packed_k.data(), s.HS, s.T, head.k.transposed());
    pack(packed_v.data(), s.HS, s.T, head.v.transposed());
    pack(packed_k_rows.data(), s.T, s.HS, head.k);
    if (!accumulate)
      for (Index i = 0; i < s.T; ++i) {
        std::fill_n(dk + i * stride, s.HS, T(0));
        std::fill_n(dv + i * stride, s.HS, T(0));
      }

    for (Index i0 = 0; i0 < s.T; i0 += Head::query_block) {
      const detail::QueryBlock block(i0, Head::query_block, Head::columns, s);
      // 1. scores and dp, side by side
      head.multiply_keys(block, head.q, packed_k.data(), p.data());
      head.multiply_keys(block, dout, packed_v.data(), ds.data());
      // 2. p = exp(scores - lse) with the dropout that v saw, ds = p (dp - sum(dy y)) scale
      for (Index r = 0; r < block.rows; ++r) {
        const Index i = i0 + r, begin = head.visible_begin(block, i), count = head.visible_end(block, i) - begin;
        T* p_row = p.data() + r * head.scores_stride + begin;
        T* ds_row = ds.data() + r * head.scores_stride + begin;
        const T total = lse[job * s.T + i];
        const T dot = simd::sum_of(
            s.HS, [](V a, V b) { return a * b; }, dout.data + i * s.C(), out + i * s.C());
        simd::transform(
            p_row, count, [=](V x) { return simd::exp(x * scale - total); }, p_row);
        if (s.dropout) {
          head.dropout_factors(factors.data(), block, i);
          simd::transform(
              ds_row, count, [=](V d, V x, V f) { return x * (d * f - dot) * scale; }, ds_row, p_row, factors.data());
          simd::transform(
              p_row, count, [](V x, V f) { return x * f; }, p_row, factors.data());
        } else {
          simd::transform(
              ds_row, count, [=](V d, V x) { return x * (d - dot) * scale; }, ds_row, p_row);
        }
        for (T* row : {p_row, ds_row}) {
          std::fill_n(row - begin, begin, T(0));
          std::fill_n(row + count, block.keys - begin - count, T(0));
        }
      }
      // 3. dq = ds k for these queries; dk += ds^T q and dv += p^T dy for the keys they see
      head.multiply_values(block, ds.data(), packed_k_rows.data(), dq + i0 * stride, stride, accumulate);
      pack(packed_q.data(), block.rows, s.HS, head.q.offset(i0, 0));
      pack(packed_dy.data(), block.rows, s.HS, dout.offset(i0, 0));
      const auto add_to_keys = [&](T* to, const T* left, const T* packed) {
        multiply_packed(block.keys, s.HS, block.rows, MatrixView<T>{left, head.scores_stride}.transposed(), packed,
                        block.rows * Head::columns, to + block.first_key * stride, stride, true);
      };
      add_to_keys(dk, ds.data(), packed_q.data());
      add_to_keys(dv, p.data(), packed_dy.data());
    }
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
