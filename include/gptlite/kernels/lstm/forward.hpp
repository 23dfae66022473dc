#pragma once
// The forward pass of LSTMs over the same sequences, such as the two directions of a layer: one product x W_ih for all
// steps, then step by step h W_hh with the cell's arithmetic on the numbers that it leaves in cache.

#include <utility>
#include <vector>

#include "gptlite/kernels/linear.hpp"
#include "gptlite/kernels/lstm/cell.hpp"
#include "gptlite/kernels/lstm/params.hpp"
#include "gptlite/kernels/lstm/step_product.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// The state of one LSTM between two steps.
template <class T>
struct LstmState {
  Storage<T> h, h_next;  // (B, P)
  Storage<T> m;          // (B, H), with a projection only

  LstmState(const Lstm<T>& lstm, Index B)
      : h(B * lstm.P), h_next(B * lstm.P), m(lstm.weight_hr != nullptr ? B * lstm.H : 0) {
    if (lstm.h_0 == nullptr)
      std::fill_n(h.data(), h.size(), T(0));
    else
      std::copy_n(lstm.h_0, h.size(), h.data());
  }
  /// Where the cell leaves m_t, which is h_t without a projection.
  T* m_target() const { return m.size() > 0 ? m.data() : h_next.data(); }
};

/// Products of each LSTM's states with a matrix, and of those with a projection.
template <class T>
StepProduct<T> recurrent_product(const Lstm<T>& lstm, const LstmParams& p) {
  return StepProduct<T>(p.precision, p.B, lstm.P, lstm.H, 4, MatrixView<T>{lstm.weight_hh, 4 * lstm.H});
}
template <class T>
StepProduct<T> projection_product(const Lstm<T>& lstm, const LstmParams& p) {
  return StepProduct<T>(p.precision, p.B, lstm.H, lstm.P, 1, MatrixView<T>{lstm.weight_hr, lstm.P});
}

/// Prefetches the gates of some units of sequence b for step s. Steps are far apart in memory, which no processor
/// predicts: 1.05x, Zen 4.
template <class T>
void prefetch_gates(const Lstm<T>& lstm, const LstmResult<T>& result, const LstmParams& p, Index b, Index s, Index u,
                    Index n) {
  const T* const gates = result.gates + (b * p.T + lstm.time(p, s)) * 4 * lstm.H + u;
  for (Index gate = 0; gate < 4; ++gate)
    for (Index i = 0; i < n; i += simd::line<T>) simd::prefetch_l2(gates + gate * lstm.H + i);
}

/// Puts the units u .. u + n - 1 of h_t, row b of `h`, into y. A sequence that has ended keeps its state.
template <class T>
void put_state(const Lstm<T>& lstm, const LstmResult<T>& result, const LstmState<T>& state, const LstmParams& p,
               Index b, Index t, Index u, Index n) {
  T *const y = result.y + (b * p.T + t) * lstm.P + u, *const next = state.h_next.data() + b * lstm.P + u;
  if (p.has(b, t)) {
    std::copy_n(next, n, y);
  } else {
    std::copy_n(state.h.data() + b * lstm.P + u, n, next);
    std::fill_n(y, n, T(0));
  }
}

/// Computes the units of one block at step s for all sequences. sums: (B, 4, block_width), h W_hh.
template <class T>
void lstm_block_forward(const Lstm<T>& lstm, const LstmResult<T>& result, const LstmState<T>& state,
                        const LstmParams& p, Index s, Index u, Index n, const T* sums) {
  constexpr Index width = StepProduct<T>::block_width;
  const Index t = lstm.time(p, s);
  for (Index b = 0; b < p.B; ++b, sums += 4 * width) {
    const Index row = b * p.T + t;
    const T* const before = lstm.cells_before(p, result.cells, b, s);
    const LstmCell<T> cell{lstm.H, result.gates + row * 4 * lstm.H + u, result.cells + row * lstm.H + u,
                           before == nullptr ? nullptr : before + u};
    T* const m = state.m_target() + b * lstm.H + u;
    if (p.has(b, t)) {
      lstm_cell_forward(cell, m, sums, width, lstm.bias + u, n);
    } else {
      std::fill_n(m, n, T(0));
      if (before == nullptr)
        std::fill_n(cell.cells, n, T(0));
      else
        std::copy_n(cell.before, n, cell.cells);
    }
    if (lstm.weight_hr == nullptr) put_state(lstm, result, state, p, b, t, u, n);
    if (s + 1 < p.T) prefetch_gates(lstm, result, p, b, s + 1, u, n);
  }
}

}  // namespace detail

/// Runs each LSTM over its sequences and writes its result. The LSTMs share B, T and lengths; they run side by side.
template <class T>
void lstm_forward(const std::vector<Lstm<T>>& lstms, const std::vector<LstmResult<T>>& results, const LstmParams& p) {
  constexpr Index width = StepProduct<T>::block_width;
  std::vector<StepProduct<T>> recurrent, projections;
  std::vector<std::size_t> projected;  // the LSTMs with a projection
  std::vector<detail::LstmState<T>> states;
  for (std::size_t i = 0; i < lstms.size(); ++i) {
    const Lstm<T>& lstm = lstms[i];
    linear_forward(results[i].gates, lstm.x, lstm.weight_ih, static_cast<const T*>(nullptr),
                   {.rows = p.B * p.T, .K = lstm.K, .N = 4 * lstm.H, .precision = p.precision});
    recurrent.push_back(detail::recurrent_product(lstm, p));
    states.emplace_back(lstm, p.B);
    if (lstm.weight_hr == nullptr) continue;
    projections.push_back(detail::projection_product(lstm, p));
    projected.push_back(i);
  }
  for (Index s = 0; s < p.T; ++s) {
    detail::for_step_blocks(recurrent, [&](std::size_t i, auto& rows, Index first, Index last) {
      rows.pack(MatrixView<T>{states[i].h.data(), lstms[i].P});
      for (Index block = first; block < last; ++block)
        detail::lstm_block_forward(lstms[i], results[i], states[i], p, s, block * width, recurrent[i].columns(block),
                                   rows.multiply(block));
    });
    if (!projections.empty())
      detail::for_step_blocks(projections, [&](std::size_t j, auto& rows, Index first, Index last) {
        const std::size_t i = projected[j];
        const Lstm<T>& lstm = lstms[i];
        rows.pack(MatrixView<T>{states[i].m.data(), lstm.H});
        for (Index block = first; block < last; ++block) {
          const T* h = rows.multiply(block);
          const Index u = block * width, n = projections[j].columns(block);
          for (Index b = 0; b < p.B; ++b, h += width) {
            std::copy_n(h, n, states[i].h_next.data() + b * lstm.P + u);
            detail::put_state(lstm, results[i], states[i], p, b, lstm.time(p, s), u, n);
          }
        }
      });
    for (detail::LstmState<T>& state : states) std::swap(state.h, state.h_next);
  }
  for (std::size_t i = 0; i < lstms.size(); ++i) {
    std::copy_n(states[i].h.data(), states[i].h.size(), results[i].h_n);
    for (Index b = 0; b < p.B; ++b)
      if (const T* const last = lstms[i].cells_before(p, results[i].cells, b, p.T); last == nullptr)
        std::fill_n(results[i].c_n + b * lstms[i].H, lstms[i].H, T(0));
      else
        std::copy_n(last, lstms[i].H, results[i].c_n + b * lstms[i].H);
  }
}

GPTLITE_COMPILED_FUNCTION(lstm_forward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
