#pragma once
// The element-wise arithmetic of an LSTM's cell, for some units of one sequence at one step.

#include "gptlite/kernels/simd/math.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The arrays of one sequence at one step, each at the first of its units.
template <class T>
struct LstmCell {
  Index H;          ///< numbers from one gate to the next
  T* gates;         ///< forward: x W_ih, replaced by the gates
  T* cells;         ///< c_t
  const T* before;  ///< c_(t-1); null: zeros
};

namespace detail {
template <class T>
simd::Vec<T> load_or_zero(const T* from, Index at, Index count) {
  return from == nullptr ? simd::Vec<T>::zero() : simd::load_numbers(from + at, count);
}
}  // namespace detail

/// Computes gates, c_t and m_t = o tanh(c_t) of n units. sums: h W_hh, with rows of `stride` numbers for the gates. The
/// bias comes last: it is often larger than the sums, which would be rounded to its last bit in each of their steps.
template <class T>
void lstm_cell_forward(const LstmCell<T>& cell, T* m, const T* sums, Index stride, const T* bias, Index n) {
  using V = simd::Vec<T>;
  simd::for_vectors<T>(n, [&](Index u, Index count) {
    const auto gate = [&](Index number) {
      const Index at = number * cell.H + u;
      return simd::load_numbers(cell.gates + at, count) + V::load(sums + number * stride + u) +
             simd::load_numbers(bias + at, count);
    };
    const V i = simd::sigmoid(gate(0)), f = simd::sigmoid(gate(1)), g = simd::tanh(gate(2)), o = simd::sigmoid(gate(3));
    const V c = simd::fma(f, detail::load_or_zero(cell.before, u, count), i * g);
    const auto keep = [&](Index number, V value) {
      simd::store_numbers(cell.gates + number * cell.H + u, value, count);
    };
    keep(0, i), keep(1, f), keep(2, g), keep(3, o);
    simd::store_numbers(cell.cells + u, c, count);
    simd::store_numbers(m + u, o * simd::tanh(c), count);
  });
}

/// Computes the gradients of the gates' sums, (4, n) with rows of H numbers, from dm, and replaces dc, the gradient of
/// c_t that comes from later steps, by that of c_(t-1).
template <class T>
void lstm_cell_backward(const LstmCell<T>& cell, T* dgates, T* dc, const T* dm, Index n) {
  using V = simd::Vec<T>;
  const V one = V::broadcast(T(1));
  simd::for_vectors<T>(n, [&](Index u, Index count) {
    const auto gate = [&](Index number) { return simd::load_numbers(cell.gates + number * cell.H + u, count); };
    const V i = gate(0), f = gate(1), g = gate(2), o = gate(3);
    const V tanh_c = simd::tanh(simd::load_numbers(cell.cells + u, count));
    const V from_m = simd::load_numbers(dm + u, count);
    const V from_c = simd::fma(from_m * o, one - tanh_c * tanh_c, simd::load_numbers(dc + u, count));
    const auto put = [&](Index number, V value) { simd::store_numbers(dgates + number * cell.H + u, value, count); };
    put(0, from_c * g * i * (one - i));
    put(1, from_c * detail::load_or_zero(cell.before, u, count) * f * (one - f));
    put(2, from_c * i * (one - g * g));
    put(3, from_m * tanh_c * o * (one - o));
    simd::store_numbers(dc + u, from_c * f, count);
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
