#pragma once
// What the passes of an LSTM share: its sizes, its arrays, and the order of its steps.
//
//   i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of  x_t W_ih + h_(t-1) W_hh + b
//   c_t = f c_(t-1) + i g        m_t = o tanh(c_t)        h_t = m_t, or m_t W_hr with a projection
//
// Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000 and the projection of Sak et al. 2014.
//
// Sizes:  B sequences    T steps    K features of x    H units    P features of h: H, or those of the projection W_hr

#include <cstdint>

#include "gptlite/core/precision.hpp"
#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Sizes and options that all LSTMs of one call have in common.
struct LstmParams {
  Index B, T;
  const std::int32_t* lengths = nullptr;  ///< (B): steps before each sequence's padding; null: T
  Precision precision = Precision::fp32;

  /// True if sequence b has a token at time t.
  bool has(Index b, Index t) const { return lengths == nullptr || t < lengths[b]; }
};

/// One LSTM: one layer in one direction. Matrices are stored (in, out); the four gates stand side by side, in the order
/// i, f, g, o.
template <class T>
struct Lstm {
  Index K, H, P;
  bool reverse = false;          ///< from the last time to the first
  const T* x;                    ///< (B, T, K)
  const T* weight_ih;            ///< (K, 4H)
  const T* weight_hh;            ///< (P, 4H)
  const T* bias;                 ///< (4H)
  const T* weight_hr = nullptr;  ///< (H, P), or null: no projection
  const T* h_0 = nullptr;        ///< (B, P), or null: zeros
  const T* c_0 = nullptr;        ///< (B, H), or null: zeros

  /// The time of step s.
  Index time(const LstmParams& p, Index s) const { return reverse ? p.T - 1 - s : s; }
  /// The cells before step s of sequence b: row b of c_0, or those of the step before. Null: zeros.
  const T* cells_before(const LstmParams& p, const T* cells, Index b, Index s) const {
    if (s == 0) return c_0 == nullptr ? nullptr : c_0 + b * H;
    return cells + (b * p.T + time(p, s - 1)) * H;
  }
};

/// What the forward pass of one LSTM writes.
template <class T>
struct LstmResult {
  T* y;      ///< (B, T, P): h_t; zeros after a sequence's end
  T* h_n;    ///< (B, P): h after the last step of each sequence
  T* c_n;    ///< (B, H): c after it
  T* gates;  ///< (B, T, 4H): i, f, g, o, for backward
  T* cells;  ///< (B, T, H): c_t, for backward
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
