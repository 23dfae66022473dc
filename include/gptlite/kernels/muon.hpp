#pragma once
// One Muon update of many matrices.

#include <algorithm>
#include <numeric>
#include <vector>

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/orthogonalize.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// The constants of one Muon step.
struct MuonStep {
  double learning_rate;
  double scale;  ///< factor of the orthogonal direction, from the matrix's shape
  double momentum, weight_decay;
  double grad_scale;  ///< factor of the gradient, from clipping
  bool nesterov;
};

/// What an update of one matrix reads and writes: its numbers p, their momentum m and gradient g, each `rows` rows of
/// `columns` numbers that are `stride` numbers apart.
template <class T>
struct MuonMatrix {
  T *p, *m;
  const T* g;
  Index rows, columns, stride;
  MuonStep step;
};

namespace detail {

/// u = the direction of an update, orthogonalized, with contiguous rows. Changes nothing else.
template <class T>
void muon_direction(T* u, const MuonMatrix<T>& a, Precision precision, const NewtonSchulz& method) {
  using V = simd::Vec<T>;
  const double mu = a.step.momentum;
  // m' = mu m + (1 - mu) g, and with Nesterov (1 - mu) g + mu m'.
  const double of_m = a.step.nesterov ? mu * mu : mu, of_g = (a.step.nesterov ? 1 + mu : 1) * (1 - mu);
  const V wm = V::broadcast(static_cast<T>(of_m)), wg = V::broadcast(static_cast<T>(of_g * a.step.grad_scale));
  for (Index i = 0; i < a.rows; ++i)
    simd::transform(
        u + i * a.columns, a.columns, [&](V m, V g) { return simd::fma(g, wg, m * wm); }, a.m + i * a.stride,
        a.g + i * a.stride);
  orthogonalize(precision, u, a.rows, a.columns, method);
}

/// Updates the momentum and the numbers of one matrix.
template <class T>
void apply_muon(const MuonMatrix<T>& a, const T* u) {
  using V = simd::Vec<T>;
  const double mu = a.step.momentum;
  const V wm = V::broadcast(static_cast<T>(mu)), wg = V::broadcast(static_cast<T>((1 - mu) * a.step.grad_scale)),
          keep = V::broadcast(static_cast<T>(1 - a.step.learning_rate * a.step.weight_decay)),
          rate = V::broadcast(static_cast<T>(a.step.learning_rate * a.step.scale));
  for (Index i = 0; i < a.rows; ++i) {
    T *const p = a.p + i * a.stride, *const m = a.m + i * a.stride;
    simd::transform(
        m, a.columns, [&](V before, V g) { return simd::fma(g, wg, before * wm); }, m, a.g + i * a.stride);
    simd::transform(
        p, a.columns, [&](V before, V direction) { return before * keep - direction * rate; }, p, u + i * a.columns);
  }
}

}  // namespace detail

// One Muon step of every matrix (Jordan et al. 2024), as torch.optim.Muon computes it, in two parts:
//   m = mu m + (1 - mu) g;  u = orthogonalize((1 - mu) g + mu m), without Nesterov orthogonalize(m);
//   p -= lr (wd p + scale u).

/// The first part: u of every matrix, with contiguous rows. Changes nothing, so it may be out of memory. precision: of
/// the products.
template <class T>
std::vector<Storage<T>> muon_directions(const std::vector<MuonMatrix<T>>& matrices, Precision precision,
                                        const NewtonSchulz& method) {
  std::vector<Storage<T>> directions;
  for (const MuonMatrix<T>& matrix : matrices) directions.emplace_back(matrix.rows * matrix.columns);
  // The largest first, so that no thread ends with one while the others are done.
  std::vector<std::size_t> order(matrices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto cost = [&](std::size_t i) {
    return matrices[i].rows * matrices[i].columns * std::min(matrices[i].rows, matrices[i].columns);
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return cost(a) > cost(b); });
  const auto direct = [&](Index i) {
    const std::size_t at = order[static_cast<std::size_t>(i)];
    detail::muon_direction(directions[at].data(), matrices[at], precision, method);
  };
  // Many matrices: a job each. Few: one after the other, with its products in parallel. The numbers are the same.
  const Index count = std::ssize(matrices);
  if (count >= 2 * num_threads()) {
    parallel_for(count, direct);
  } else {
    for (Index i = 0; i < count; ++i) direct(i);
  }
  return directions;
}

/// The second part: the momentum and the numbers of every matrix. Needs no memory.
template <class T>
void apply_muon(const std::vector<MuonMatrix<T>>& matrices, const std::vector<Storage<T>>& directions) {
  parallel_for(std::ssize(matrices), [&](Index i) {
    const std::size_t at = static_cast<std::size_t>(i);
    detail::apply_muon(matrices[at], directions[at].data());
  });
}

GPTLITE_COMPILED_FUNCTION(muon_directions)
GPTLITE_COMPILED_FUNCTION(apply_muon)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
