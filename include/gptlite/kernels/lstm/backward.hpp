#pragma once
// The backward pass of LSTMs over the same sequences: step by step from the last, then one product for each gradient of
// a matrix.

#include <vector>

#include "gptlite/kernels/lstm/forward.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Gradients of the outputs of one LSTM; null: zeros.
template <class T>
struct LstmOutputGradients {
  const T* y;    ///< (B, T, P)
  const T* h_n;  ///< (B, P)
  const T* c_n;  ///< (B, H)
};
/// Gradients of the inputs of one LSTM, of the shapes that Lstm gives.
template <class T>
struct LstmGradients {
  GradTarget<T> x, weight_ih, weight_hh, bias, weight_hr, h_0, c_0;
};

namespace detail {

/// The gradients that one LSTM hands from step to step, and those that it keeps for the matrices.
template <class T>
struct LstmGradientState {
  Storage<T> dh, dc;  // (B, P) and (B, H): of h and c before the step
  Storage<T> dgates;  // (B, T, 4H)
  Storage<T> dh_all;  // (B, T, P), with a projection only: of h_t

  LstmGradientState(const Lstm<T>& lstm, const LstmOutputGradients<T>& dy, const LstmParams& p)
      : dh(p.B * lstm.P),
        dc(p.B * lstm.H),
        dgates(p.B * p.T * 4 * lstm.H),
        dh_all(lstm.weight_hr != nullptr ? p.B * p.T * lstm.P : 0) {
    const auto start = [](const Storage<T>& to, const T* from) {
      if (from == nullptr)
        std::fill_n(to.data(), to.size(), T(0));
      else
        std::copy_n(from, to.size(), to.data());
    };
    start(dh, dy.h_n);
    start(dc, dy.c_n);
  }
};

/// Turns dm, the gradient of m_t for the units u .. u + n - 1 of sequence b at step s, into those of the gates' sums.
template <class T>
void lstm_units_backward(const Lstm<T>& lstm, const LstmResult<T>& saved, const LstmGradientState<T>& state,
                         const LstmParams& p, Index b, Index s, Index u, Index n, const T* dm) {
  const Index t = lstm.time(p, s), row = b * p.T + t;
  T* const dgates = state.dgates.data() + row * 4 * lstm.H + u;
  if (!p.has(b, t)) {
    for (Index gate = 0; gate < 4; ++gate) std::fill_n(dgates + gate * lstm.H, n, T(0));
    return;
  }
  const T* const before = lstm.cells_before(p, saved.cells, b, s);
  const LstmCell<T> cell{lstm.H, saved.gates + row * 4 * lstm.H + u, saved.cells + row * lstm.H + u,
                         before == nullptr ? nullptr : before + u};
  lstm_cell_backward(cell, dgates, state.dc.data() + b * lstm.H + u, dm, n);
  if (s > 0) prefetch_gates(lstm, saved, p, b, s - 1, u, n);
}

/// Replaces the gradient of h after step s by that of h before it, dgates W_hh^T, for some features of sequence b. A
/// sequence that has no token at the step hands its gradient on.
template <class T>
void pass_dh_back(const Lstm<T>& lstm, const LstmParams& p, Index b, Index s, T* dh, const T* before, Index n) {
  if (p.has(b, lstm.time(p, s))) std::copy_n(before, n, dh);
}

/// Gradients of the matrices, of x and of the state before the first step, once dgates is complete.
template <class T>
void lstm_matrix_gradients(const Lstm<T>& lstm, const LstmResult<T>& saved, const LstmGradients<T>& d,
                           const LstmGradientState<T>& state, const LstmParams& p) {
  const Index rows = p.B * p.T;
  const T* const dgates = state.dgates.data();
  linear_gradients(d.x, d.weight_ih, d.bias, dgates, lstm.x, lstm.weight_ih,
                   {.rows = rows, .K = lstm.K, .N = 4 * lstm.H, .precision = p.precision});
  if (d.weight_hh) {
    const Storage<T> h_before(rows * lstm.P);
    parallel_for(p.B, [&](Index b) {
      for (Index s = 0; s < p.T; ++s) {
        const Index t = lstm.time(p, s);
        T* const to = h_before.data() + (b * p.T + t) * lstm.P;
        const bool first = s == 0 || !p.has(b, lstm.time(p, s - 1));  // a reversed sequence starts after its padding
        const T* const from = first ? (lstm.h_0 == nullptr ? nullptr : lstm.h_0 + b * lstm.P)
                                    : static_cast<const T*>(saved.y) + (b * p.T + lstm.time(p, s - 1)) * lstm.P;
        if (from == nullptr)
          std::fill_n(to, lstm.P, T(0));
        else
          std::copy_n(from, lstm.P, to);
      }
    });
    weight_gradient(p.precision, d.weight_hh, GradTarget<T>{}, rows, lstm.P, 4 * lstm.H,
                    MatrixView<T>{h_before.data(), lstm.P}, MatrixView<T>{dgates, 4 * lstm.H});
  }
  if (d.weight_hr) {
    const Storage<T> m(rows * lstm.H);
    parallel_for(rows, [&](Index row) {
      if (!p.has(row / p.T, row % p.T)) return std::fill_n(m.data() + row * lstm.H, lstm.H, T(0)), void();
      using V = simd::Vec<T>;
      simd::transform(
          m.data() + row * lstm.H, lstm.H, [](V o, V c) { return o * simd::tanh(c); },
          static_cast<const T*>(saved.gates) + (row * 4 + 3) * lstm.H,
          static_cast<const T*>(saved.cells) + row * lstm.H);
    });
    weight_gradient(p.precision, d.weight_hr, GradTarget<T>{}, rows, lstm.H, lstm.P, MatrixView<T>{m.data(), lstm.H},
                    MatrixView<T>{state.dh_all.data(), lstm.P});
  }
  using V = simd::Vec<T>;
  const auto same = [](V v) { return v; };
  if (d.h_0) add_to(d.h_0, state.dh.size(), same, static_cast<const T*>(state.dh.data()));
  if (d.c_0) add_to(d.c_0, state.dc.size(), same, static_cast<const T*>(state.dc.data()));
}

}  // namespace detail

/// Gradients of lstm_forward. saved: what it wrote; y is read, h_n and c_n are not.
template <class T>
void lstm_backward(const std::vector<Lstm<T>>& lstms, const std::vector<LstmResult<T>>& saved,
                   const std::vector<LstmOutputGradients<T>>& dy, const std::vector<LstmGradients<T>>& d,
                   const LstmParams& p) {
  constexpr Index width = StepProduct<T>::block_width;
  std::vector<StepProduct<T>> recurrent, projections;  // with the transposed matrices
  std::vector<std::size_t> projected;
  std::vector<detail::LstmGradientState<T>> states;
  bool state_wanted = false;
  for (std::size_t i = 0; i < lstms.size(); ++i) {
    const Lstm<T>& lstm = lstms[i];
    states.emplace_back(lstm, dy[i], p);
    state_wanted = state_wanted || d[i].h_0;
    recurrent.emplace_back(p.precision, p.B, 4 * lstm.H, lstm.P, 1,
                           MatrixView<T>{lstm.weight_hh, 4 * lstm.H}.transposed());
    if (lstm.weight_hr == nullptr) continue;
    projections.emplace_back(p.precision, p.B, lstm.P, lstm.H, 1, MatrixView<T>{lstm.weight_hr, lstm.P}.transposed());
    projected.push_back(i);
  }
  // Passes dh back over step s, if there is one, then calls use(i, b, u, n, dh) for its parts.
  const auto pass_back = [&](Index s, auto&& use) {
    detail::for_step_blocks(recurrent, [&](std::size_t i, auto& rows, Index first, Index last) {
      const Lstm<T>& lstm = lstms[i];
      const bool more = s < p.T;
      if (more) rows.pack(MatrixView<T>{states[i].dgates.data() + lstm.time(p, s) * 4 * lstm.H, p.T * 4 * lstm.H});
      for (Index block = first; block < last; ++block) {
        const T* const before = more ? rows.multiply(block) : nullptr;
        const Index u = block * width, n = recurrent[i].columns(block);
        for (Index b = 0; b < p.B; ++b) {
          T* const dh = states[i].dh.data() + b * lstm.P + u;
          if (more) detail::pass_dh_back(lstm, p, b, s, dh, before + b * width, n);
          use(i, b, u, n, dh);
        }
      }
    });
  };
  for (Index s = p.T - 1; s >= 0; --s) {
    pass_back(s + 1, [&](std::size_t i, Index b, Index u, Index n, const T* dh) {
      const Lstm<T>& lstm = lstms[i];
      const Index t = lstm.time(p, s), at = (b * p.T + t) * lstm.P + u;
      const bool has = p.has(b, t);
      alignas(64) T sum[static_cast<std::size_t>(width)];
      if (!has)
        std::fill_n(sum, n, T(0));
      else if (dy[i].y == nullptr)
        std::copy_n(dh, n, sum);
      else
        simd::transform(
            sum, n, [](simd::Vec<T> later, simd::Vec<T> own) { return later + own; }, dh, dy[i].y + at);
      if (s > 0 && dy[i].y != nullptr)
        for (Index j = 0; j < n; j += simd::line<T>)
          simd::prefetch_l2(dy[i].y + (b * p.T + lstm.time(p, s - 1)) * lstm.P + u + j);
      if (lstm.weight_hr != nullptr)
        std::copy_n(sum, n, states[i].dh_all.data() + at);
      else
        detail::lstm_units_backward(lstm, saved[i], states[i], p, b, s, u, n, sum);
    });
    if (projections.empty()) continue;
    detail::for_step_blocks(projections, [&](std::size_t j, auto& rows, Index first, Index last) {
      const std::size_t i = projected[j];
      const Lstm<T>& lstm = lstms[i];
      rows.pack(MatrixView<T>{states[i].dh_all.data() + lstm.time(p, s) * lstm.P, p.T * lstm.P});
      for (Index block = first; block < last; ++block) {
        const T* const dm = rows.multiply(block);
        for (Index b = 0; b < p.B; ++b)
          detail::lstm_units_backward(lstm, saved[i], states[i], p, b, s, block * width, projections[j].columns(block),
                                      dm + b * width);
      }
    });
  }
  if (state_wanted) pass_back(0, [](std::size_t, Index, Index, Index, const T*) {});
  for (std::size_t i = 0; i < lstms.size(); ++i) detail::lstm_matrix_gradients(lstms[i], saved[i], d[i], states[i], p);
}

GPTLITE_COMPILED_FUNCTION(lstm_backward)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
