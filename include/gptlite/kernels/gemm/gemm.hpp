#pragma once
// gemm: the matrix product C = A B or C += A B for any of the three products of training, with an epilogue.
//
// Sizes:  M rows of C and A    N columns of C and B    K depth: columns of A, rows of B

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/gemm/pack.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// C (+)= A B on the calling thread, for a packed B whose panels are panel_stride elements apart. A is M x K, C is M x
/// N with rows ldc apart. The order of each sum depends on K alone.
template <class T>
void multiply_packed(Index M, Index N, Index K, MatrixView<T> a, const T* packed_b, Index panel_stride, T* c, Index ldc,
                     bool accumulate) {
  constexpr Index columns = Tile<T>::columns;
  constexpr Index depth_block = 256;  // a panel of B, depth_block x columns, stays in the L1 cache
  if (K == 0 && !accumulate)
    for (Index m = 0; m < M; ++m) std::fill_n(c + m * ldc, N, T(0));
  // Rows are dealt out evenly over the fewest tiles: 32 rows become 11 + 11 + 10, not 14 + 14 + 4.
  const Index tiles = (M + Tile<T>::rows - 1) / Tile<T>::rows;
  alignas(64) T edge[Tile<T>::rows * columns];  // the last panel's tile, where C is narrower than a panel
  for (Index k = 0; k < K; k += depth_block) {
    const Index depth = std::min(depth_block, K - k);
    const bool add = accumulate || k > 0;
    for (Index n = 0; n < N; n += columns) {
      const T* panel = packed_b + n / columns * panel_stride + k * columns;
      const Index width = std::min(columns, N - n);
      for (Index tile = 0; tile < tiles; ++tile) {
        const Index m = M * tile / tiles, rows = M * (tile + 1) / tiles - m;
        const MatrixView<T> a_tile = a.offset(m, k);
        T* c_tile = c + m * ldc + n;
        T* out = width == columns ? c_tile : edge;
        const Index out_stride = width == columns ? ldc : columns;
        if (out == edge && add)
          for (Index i = 0; i < rows; ++i) {
            std::copy_n(c_tile + i * ldc, width, edge + i * columns);
            std::fill_n(edge + i * columns + width, columns - width, T(0));
          }
        if (a.column_stride == 1)
          detail::micro_kernel_rows<T, true>(rows, depth, a_tile.data, a.row_stride, 1, panel, out, out_stride, add);
        else
          detail::micro_kernel_rows<T, false>(rows, depth, a_tile.data, a.row_stride, a.column_stride, panel, out,
                                              out_stride, add);
        if (out == edge)
          for (Index i = 0; i < rows; ++i) std::copy_n(edge + i * columns, width, c_tile + i * ldc);
      }
    }
  }
}

/// Does nothing to a finished block of C.
struct NoEpilogue {
  void operator()(Index /*row*/, Index /*rows*/, Index /*column*/, Index /*columns*/) const {}
};

/// C (+)= A B, parallel over blocks of C. A is M x K, B is K x N, C is M x N and contiguous in its rows, ldc apart.
/// `epilogue(row, rows, column, columns)` is called once for each finished block of C, on the thread that made it,
/// while the block is in cache.
template <class T, class Epilogue = NoEpilogue>
void gemm(Index M, Index N, Index K, MatrixView<T> a, MatrixView<T> b, T* c, Index ldc, bool accumulate,
          Epilogue&& epilogue = {}) {
  constexpr Index columns = Tile<T>::columns;
  constexpr Index row_block = 7 * Tile<T>::rows;  // so many rows of A, 256 elements deep, stay in the L2 cache
  constexpr Index column_block = 4 * columns;
  if (M == 0 || N == 0) return;

  // 1. Pack B: panel by panel, whole depth.
  const Storage<T> packed(packed_size<T>(K, N));
  const Index panels = (N + columns - 1) / columns;
  const auto pack_one = [&](Index i) { pack_panel(packed.data() + i * columns * K, K, N, i * columns, b); };
  if (K * N < (1 << 14))
    for (Index i = 0; i < panels; ++i) pack_one(i);  // too little to wake the threads for
  else
    parallel_for(panels, pack_one);

  // 2. Multiply: a job is a block of C.
  const Index row_blocks = (M + row_block - 1) / row_block, column_blocks = (N + column_block - 1) / column_block;
  parallel_for(row_blocks * column_blocks, [&](Index job) {
    const Index i = job / column_blocks, j = job % column_blocks;
    // Blocks of almost equal height: the last is not a sliver.
    const Index row = M * i / row_blocks, rows = M * (i + 1) / row_blocks - row;
    const Index column = j * column_block, width = std::min(column_block, N - column);
    multiply_packed(rows, width, K, a.offset(row, 0), packed.data() + column * K, columns * K, c + row * ldc + column,
                    ldc, accumulate);
    epilogue(row, rows, column, width);
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
