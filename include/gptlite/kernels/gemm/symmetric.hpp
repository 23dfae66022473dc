#pragma once
// Products that are symmetric, such as X X^T: half of them is multiplied, the other half is its mirror image.

#include <algorithm>
#include <array>
#include <cmath>

#include "gptlite/kernels/gemm/gemm.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// The lower half of symmetric_product() in a given format: all of C on and below the diagonal, and some above it.
template <class T>
void lower_product(const OperandFormat<T>& format, Index N, Index K, const MatrixOperand<T>& a,
                   const MatrixOperand<T>& b, T* c) {
  const FormatSizes& sizes = format.sizes;
  const KBlocks k_blocks(sizes, K);
  // Rows that are multiplied with the same columns: about as many as a panel is wide.
  const Index step = std::max(sizes.mr, sizes.nr / sizes.mr * sizes.mr);
  const Index jobs = std::clamp<Index>(N * N / 4 * K >> 20, 1, num_threads());
  const auto first_row = [&](Index job) {  // jobs of equal area, in whole steps
    const double part = std::sqrt(static_cast<double>(job) / static_cast<double>(jobs));
    return job == jobs ? N : static_cast<Index>(part * static_cast<double>(N)) / step * step;
  };
  parallel_for(jobs, [&](Index job) {
    const FormatRegisters registers(sizes);
    const Index begin = first_row(job), end = first_row(job + 1);
    if (begin == end) return;
    if (K == 0) std::fill_n(c + begin * N, (end - begin) * N, T(0));
    // Whole panels: a part of one would go through a buffer.
    const auto columns_of = [&](Index last_row) { return std::min(N, round_up(last_row, sizes.nr)); };
    const Workspace<T, 2> space(
        {sizes.packed_size(k_blocks.longest(), columns_of(end)), block_scratch_size(sizes, k_blocks.longest())});
    const auto [packed_b, packed_a] = space.arrays();
    for (Index d = 0; d < k_blocks.count; ++d) {
      const Index k = k_blocks.begin(d), length = k_blocks.begin(d + 1) - k, panel_stride = sizes.panel_size(length);
      format.pack_b(packed_b, panel_stride, length, columns_of(end), b.offset(k, 0));
      for (Index row = begin; row < end; row += step) {
        const Index rows = std::min(step, end - row);
        multiply_block<T>(format, rows, columns_of(row + rows), length, a.offset(row, k), N - row - rows, packed_a,
                          packed_b, panel_stride, BlockResult<T>{.c = c + row * N, .ldc = N, .accumulate = d > 0},
                          NoEpilogue{});
      }
    }
  });
}

/// Copies what is below the diagonal of the N x N matrix c to above it.
template <class T>
void mirror_lower(T* c, Index N) {
  using V = simd::Vec<T>;
  constexpr Index width = V::width;
  const Index whole = N / width * width;
  std::array<V, static_cast<std::size_t>(width)> square;
  for (Index i = 0; i < whole; i += width)
    for (Index j = 0; j < i; j += width) {
#pragma GCC unroll 16
      for (Index r = 0; r < width; ++r) square[static_cast<std::size_t>(r)] = V::load(c + (i + r) * N + j);
      simd::transpose<T>(square);
#pragma GCC unroll 16
      for (Index r = 0; r < width; ++r) square[static_cast<std::size_t>(r)].store(c + (j + r) * N + i);
    }
  // What no square below the diagonal holds: those on it, and the last rows.
  for (Index row = 0; row < N; ++row)
    for (Index column = row < whole ? row / width * width : 0; column < row; ++column)
      c[column * N + row] = c[row * N + column];
}

}  // namespace detail

/// C = A B for a product that is symmetric: A is N x K, B is K x N, C is N x N with contiguous rows. Multiplies little
/// more than half of it. Runs in parallel, or on the calling thread inside a parallel region, with the same result.
template <class T>
void symmetric_product(Precision precision, Index N, Index K, const std::type_identity_t<MatrixOperand<T>>& a,
                       const std::type_identity_t<MatrixOperand<T>>& b, T* c) {
  detail::lower_product(gemm_format<T>(detail::product_precision<T>(precision, a, b)), N, K, a, b, c);
  detail::mirror_lower(c, N);
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
