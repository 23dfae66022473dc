#pragma once
// How a product is split: into jobs, depending on the number of threads, and along the summed axis, independently of
// it.

#include <algorithm>
#include <limits>

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/gemm/pack.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// The blocks of the summed axis: of almost equal length, in whole groups of elements, at most FormatSizes::kc elements
/// each.
struct KBlocks {
  const FormatSizes& sizes;
  Index K, elements, count;

  KBlocks(const FormatSizes& format_sizes, Index length)
      : sizes(format_sizes),
        K(length),
        elements(sizes.element_count(length)),
        count((elements + sizes.kc - 1) / sizes.kc) {}
  /// Upper bound of the numbers in a block.
  Index longest() const { return std::min(K, sizes.kc * sizes.k_per_element); }
  Index begin(Index i) const {
    return std::min(K, elements / sizes.group * i / count * sizes.group * sizes.k_per_element);
  }
};

}  // namespace detail

/// The jobs of a product. C is a grid of blocks, one job each. Each row of the grid packs all of B, each column all of
/// A. The grid depends on the number of threads, the order of the sums does not.
struct GemmBlocks {
  Index M, panels, rows = 1, columns = 1;  // rows and columns of blocks

  /// C is m x n, k the summed axis. panel: columns per panel. most_columns: limit of a block's columns. a_cost, b_cost:
  /// cost of packing one number of A or B, in multiplications.
  GemmBlocks(Index m, Index n, Index k, Index panel, Index most_columns, Index a_cost, Index b_cost)
      : M(m), panels((n + panel - 1) / panel) {
    const Index narrowest = (n + most_columns - 1) / most_columns;
    // A job below 2^21 multiplications, about 15 us, is not worth a thread.
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
