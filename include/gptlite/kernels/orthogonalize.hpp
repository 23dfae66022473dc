#pragma once
// Newton-Schulz: the orthogonal factor of a matrix, approximately, by products alone.

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "gptlite/kernels/gemm/symmetric.hpp"
#include "gptlite/kernels/workspace.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

struct OddQuintic {
  std::array<double, 3> coefficients;  // a x + b x^3 + c x^5
  double error;                        // its largest distance from 1 on the interval
};

/// The odd polynomial of degree 5 that is closest to 1 on [low, high], 0 < low < high, by Remez's exchange: its error
/// has one size and alternating signs at the ends and at the two extrema between them.
inline OddQuintic best_odd_quintic(double low, double high) {
  std::array<double, 4> at{low, low + 0.3 * (high - low), low + 0.75 * (high - low), high};
  OddQuintic best{{15.0 / 8, -10.0 / 8, 3.0 / 8}, 0};  // of an interval that is almost the point 1
  if (high - low < 1e-3) return best;
  for (int i = 0; i < 100; ++i) {
    // a x + b x^3 + c x^5 + (-1)^j error = 1 at the four points, by Gauss's elimination.
    std::array<std::array<double, 5>, 4> rows;
    for (std::size_t j = 0; j < 4; ++j) {
      const double x = at[j];
      rows[j] = {x, x * x * x, x * x * x * x * x, j % 2 == 0 ? 1.0 : -1.0, 1};
    }
    for (std::size_t j = 0; j < 4; ++j) {
      std::size_t pivot = j;
      for (std::size_t k = j + 1; k < 4; ++k)
        if (std::abs(rows[k][j]) > std::abs(rows[pivot][j])) pivot = k;
      std::swap(rows[j], rows[pivot]);
      for (std::size_t k = 0; k < 4; ++k) {
        if (k == j) continue;
        const double factor = rows[k][j] / rows[j][j];
        for (std::size_t m = j; m < 5; ++m) rows[k][m] -= factor * rows[j][m];
      }
    }
    const auto solution = [&](std::size_t j) { return rows[j][4] / rows[j][j]; };
    const double a = solution(0), b = solution(1), c = solution(2);
    best = {{a, b, c}, std::abs(solution(3))};
    const double root = std::sqrt(std::max(0.0, 9 * b * b - 20 * a * c));  // of the derivative a + 3 b x^2 + 5 c x^4
    const double first = std::sqrt(2 * a / (-3 * b + root)), second = std::sqrt((-3 * b + root) / (10 * c));
    if (std::abs(first - at[1]) + std::abs(second - at[2]) < 1e-15) break;
    at[1] = first;
    at[2] = second;
  }
  return best;
}

}  // namespace detail

/// The iteration X <- a X + b (X X^T) X + c (X X^T)^2 X, from X / max(|X|, eps) with the Frobenius norm. It keeps the
/// singular vectors of X and moves its singular values towards 1.
struct NewtonSchulz {
  std::vector<std::array<double, 3>> steps = jordan().steps;  ///< a, b, c of each step
  double eps = 1e-7;

  /// Equal steps (Jordan et al. 2024). After five, singular values from 0.002 on are between 0.7 and 1.2, which is as
  /// good for Muon as 1.
  static NewtonSchulz jordan(int count = 5) {
    return {.steps = std::vector<std::array<double, 3>>(static_cast<std::size_t>(count), {3.4445, -4.7750, 2.0315})};
  }
  /// Each step the best for the interval that the steps before it leave of [smallest, 1] (Amsel et al. 2025, "The Polar
  /// Express"): as close to 1 as so many steps can come.
  /// safety: singular values that rounding carries past the interval, by up to this factor, still converge.
  static NewtonSchulz polar_express(int count, double smallest, double safety = 1.01) {
    std::vector<std::array<double, 3>> steps;
    double low = smallest, high = 1;
    for (int i = 0; i < count; ++i) {
      const auto [polynomial, error] = detail::best_odd_quintic(low, high);
      const double cube = safety * safety * safety;
      steps.push_back({polynomial[0] / safety, polynomial[1] / cube, polynomial[2] / (cube * safety * safety)});
      low = 1 - error;
      high = 1 + error;
    }
    return {.steps = std::move(steps)};
  }
};

namespace detail {

/// p = a I + b g + c g g, of n x n numbers, for a symmetric g.
template <class T>
void even_polynomial(Precision precision, T* p, const T* g, Index n, const std::array<double, 3>& coefficients) {
  using V = simd::Vec<T>;
  const V b = V::broadcast(static_cast<T>(coefficients[1])), c = V::broadcast(static_cast<T>(coefficients[2]));
  const MatrixView<T> view{g, n};
  symmetric_product<T>(precision, n, n, view, view, p);
  parallel_for_ranges(n, std::max<Index>(1, elementwise_grain / n), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = p + i * n;
      simd::transform(
          row, n, [&](V square, V gram) { return simd::fma(gram, b, square * c); }, row, g + i * n);
      row[i] += static_cast<T>(coefficients[0]);
    }
  });
}

}  // namespace detail

/// Replaces x, a matrix of `rows` contiguous rows, by about its orthogonal factor U V^T, where x = U S V^T. A matrix of
/// zeros stays zero. Runs in parallel, or on the calling thread inside a parallel region, with the same result.
template <class T>
void orthogonalize(Precision precision, T* x, Index rows, Index columns, const NewtonSchulz& method) {
  const bool wide = rows <= columns;
  const Index n = wide ? rows : columns, length = wide ? columns : rows, size = rows * columns;
  if (size == 0) return;
  const Workspace<T, 5> space({n * n, n * n, n * n, n * n, size});
  const auto [gram, first, second, both, other] = space.arrays();
  const auto multiply = [&](Precision in, T* result, const T* a, const T* b) {
    symmetric_product<T>(in, n, n, MatrixView<T>{a, n}, MatrixView<T>{b, n}, result);
  };
  const auto scale = [](T* numbers, Index count, double factor) {
    const T f = static_cast<T>(factor);
    transform(
        numbers, count, [f](auto v) { return v * f; }, numbers);
  };
  // A step is X <- P X (or X P, for Gram matrices are on the shorter side) with P = a I + b G + c G^2, G = X X^T. All P
  // and G commute, so two steps are X <- (P' P) X with P' from G' = P G P: of a long matrix they cost half of the
  // products with X. Not more than two, because small singular values drown in the rounding of P' P. G' is of fp32 but
  // in the last steps, because a singular value that rounding carries beyond 1.2 grows in the steps that follow.
  constexpr Index long_enough = 2;
  const std::size_t together = length >= long_enough * n ? 2 : 1, steps = method.steps.size();
  T *from = x, *to = other;
  for (std::size_t i = 0; i < steps; i += together) {
    const MatrixView<T> current{from, columns}, left = wide ? current : current.transposed();
    symmetric_product<T>(precision, n, length, left, left.transposed(), gram);
    double inverse_norm = 1;
    if (i == 0) {  // of X / |X|, whose norm is in the Gram matrix
      double squares = 0;
      for (Index j = 0; j < n; ++j) squares += static_cast<double>(gram[j * n + j]);
      inverse_norm = 1 / std::max(std::sqrt(squares), method.eps);
      scale(gram, n * n, inverse_norm * inverse_norm);
    }
    const bool two = together == 2 && i + 1 < steps;
    const Precision exact = two && i + 2 < steps ? Precision::fp32 : precision;
    detail::even_polynomial(exact, first, gram, n, method.steps[i]);
    if (two) {
      multiply(exact, both, first, gram);
      multiply(exact, gram, both, first);
      detail::even_polynomial(precision, second, gram, n, method.steps[i + 1]);
      multiply(precision, both, second, first);
    }
    T* const factor = two ? both : first;
    if (i == 0) scale(factor, n * n, inverse_norm);
    const MatrixView<T> p{factor, n};
    gemm<T>(precision, rows, columns, n, wide ? p : current, wide ? current : p, to, columns, false);
    std::swap(from, to);
  }
  if (from != x)
    transform(
        x, size, [](auto v) { return v; }, from);
}

GPTLITE_COMPILED_FUNCTION(orthogonalize)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
