#pragma once
// How a product is cut: into jobs, which depends on the number of threads, and along the summed axis, which does not.

#include <algorithm>
#include <limits>

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/gemm/pack.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// How the summed axis is cut: blocks of almost equal length, whole groups of elements, at most FormatSizes::kc
/// of them.
struct KBlocks {
  const FormatSizes& sizes;
  Index K, elements, count;

  KBlocks(const FormatSizes& format_sizes, Index length)
      : sizes(format_sizes),
        K(length),
        elements(sizes.element_count(length)),
        count((elements + sizes.kc - 1) / sizes.kc) {}
  /// Numbers of the longest block, at most.
  Index longest() const { return std::min(K, sizes.kc * sizes.k_per_element); }
  Index begin(Index i) const {
    return std::min(K, elements / sizes.group * i / count * sizes.group * sizes.k_per_element);
  }
};

}  // namespace detail

/// How a product is cut into jobs. C is a grid of blocks, one job each. Each row of the grid packs all of B, each
/// column all of A. The cut depends on the number of threads, the order of the sums does not.
struct GemmBlocks {
  Index M, panels, rows = 1, columns = 1;  // rows and columns of blocks

  /// panel: columns of one; most_columns: of a block; a_cost, b_cost: of packing one number of A, of B, in
  /// multiplications.
  GemmBlocks(Index m, Index n, Index k, Index panel, Index most_columns, Index a_cost, Index b_cost)
      : M(m), panels((n + panel - 1) / panel) {
    const Index narrowest = (n + most_columns - 1) / most_columns;
    // A job below 2^21 multiplications, some 15 us, is not worth a thread.
    const Index workers = std::clamp<Index>(M * n / 2 * k >> 20, 1, std::min<Index>(num_threads(), M * panels));
    Index least = std::numeric_limits<Index>::max();
    for (Index r = 1; r <= std::min(workers, M); ++r) {
      const Index threads_across = workers / r;
      const Index c = std::min(panels, round_up(narrowest, threads_across));
      const Index block_rows = (M + r - 1) / r, block_columns = (panels + c - 1) / c * panel;
      const Index turns = (r * c + workers - 1) / workers;  // blocks that the busiest thread takes
      const Index cost = turns * (block_rows * block_columns + a_cost * block_rows + b_cost * block_columns);
      if (cost < least) {
        least = cost;
        rows = r;
        columns = c;
      }
    }
  }
  Index count() const { return rows * columns; }
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
