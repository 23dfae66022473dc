#pragma once
// Newton-Schulz: the orthogonal factor of a matrix, approximately, by products alone.

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "gptlite/kernels/gemm/gemm.hpp"
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

/// p = a I + b g + c p, of n x n numbers.
template <class T>
void add_lower_powers(T* p, const T* g, Index n, const std::array<double, 3>& coefficients) {
  using V = simd::Vec<T>;
  const V b = V::broadcast(static_cast<T>(coefficients[1])), c = V::broadcast(static_cast<T>(coefficients[2]));
  parallel_for_ranges(n, std::max<Index>(1, elementwise_grain / n), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = p + i * n;
      simd::transform(
          row, n, [&](V square, V gram) { return simd::fma(gram, b, square * c); }, row, g + i * n);
      row[i] += static_cast<T>(coefficients[0]);
    }
  });
}

/// Square root of the sum of the squares of n numbers, in an order that depends on n alone.
template <class T>
double norm_of(const T* x, Index n) {
  using V = simd::Vec<T>;
  double sum = 0;
  for (Index begin = 0; begin < n; begin += elementwise_grain)
    sum += static_cast<double>(simd::sum_of(
        std::min(n - begin, elementwise_grain), [](V v) { return v * v; }, x + begin));
  return std::sqrt(sum);
}

}  // namespace detail

/// Replaces x, a matrix of `rows` contiguous rows, by about its orthogonal factor U V^T, where x = U S V^T. A matrix of
/// zeros stays zero. Runs in parallel, or on the calling thread inside a parallel region, with the same result.
template <class T>
void orthogonalize(Precision precision, T* x, Index rows, Index columns, const NewtonSchulz& method) {
  const bool wide = rows <= columns;
  const Index n = wide ? rows : columns, size = rows * columns;
  if (size == 0) return;
  const Workspace<T, 3> space({n * n, n * n, size});
  const auto [gram, polynomial, other] = space.arrays();
  const T scale = static_cast<T>(1 / std::max(detail::norm_of(x, size), method.eps));
  transform(
      x, size, [scale](auto v) { return v * scale; }, x);
  T *from = x, *to = other;
  for (const std::array<double, 3>& coefficients : method.steps) {
    // Gram matrices are on the shorter side: a X + b G X + c G^2 X = P X, or X P.
    const MatrixView<T> current{from, columns}, left = wide ? current : current.transposed(), g{gram, n},
                                                p{polynomial, n};
    gemm<T>(precision, n, n, std::max(rows, columns), left, left.transposed(), gram, n, false);
    gemm<T>(precision, n, n, n, g, g, polynomial, n, false);
    detail::add_lower_powers(polynomial, gram, n, coefficients);
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
