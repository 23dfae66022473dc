#pragma once
// gemm: the matrix products of training, C = A B or C += A B, each for operands that are transposed or not, with a bias
// and an epilogue.
//
// Sizes:  M rows of C and A    N columns of C and B    K depth: columns of A, rows of B

#include <algorithm>

#include "gptlite/kernels/elementwise.hpp"
#include "gptlite/kernels/gemm/amx_kernel.hpp"
#include "gptlite/kernels/gemm/blocks.hpp"
#include "gptlite/kernels/gemm/pack.hpp"
#include "gptlite/kernels/workspace.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Does nothing to finished parts of C.
struct NoEpilogue {
  template <class... Part>
  void operator()(Part...) const {}
};

/// C (+)= A B + bias for one tile of A, `elements` deep, and a packed B whose panels are panel_stride elements apart.
/// `meanwhile(panel)` is called before each panel.
template <class Format, class T, class Meanwhile>
void multiply_tile(Index rows, Index N, Index elements, LeftTile<T> left, const T* packed, Index panel_stride, T* c,
                   Index ldc, bool accumulate, Meanwhile&& meanwhile, const T* bias = nullptr) {
#if GPTLITE_HAS_AMX
  if constexpr (AmxForm<Format>)
    return amx_multiply_tile<Format>(rows, N, elements, left, packed, panel_stride, c, ldc, accumulate, meanwhile,
                                     bias);
#endif
  constexpr Index columns = Tile<T>::columns;
  const auto multiply = micro_kernel_of<typename Format::Product>(left.order, rows);
  Index n = 0;
  for (; n + columns <= N; n += columns, packed += panel_stride) {
    meanwhile(n / columns);
    multiply(elements, left.data, left.step, packed, c + n, ldc, accumulate, bias == nullptr ? bias : bias + n);
  }
  if (n == N) return;
  // C and bias are narrower than the last panel.
  alignas(64) T edge[static_cast<std::size_t>(Tile<T>::rows * columns)];
  alignas(64) T edge_bias[static_cast<std::size_t>(columns)] = {};
  if (bias != nullptr) std::copy_n(bias + n, N - n, edge_bias);
  multiply(elements, left.data, left.step, packed, edge, columns, false, edge_bias);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < N - n; ++j) {
      T& to = c[i * ldc + n + j];
      to = accumulate ? to + edge[i * columns + j] : edge[i * columns + j];
    }
}
template <class Format, class T>
void multiply_tile(Index rows, Index N, Index elements, LeftTile<T> left, const T* packed, Index panel_stride, T* c,
                   Index ldc, bool accumulate) {
  multiply_tile<Format>(rows, N, elements, left, packed, panel_stride, c, ldc, accumulate, [](Index) {});
}

namespace detail {

/// True for an A whose rows lie side by side in the form that is multiplied: it need not be packed.
template <class Format, class S>
bool reads_in_place(MatrixView<S> a) {
  return std::is_same_v<Format, PlainFormat<S>> && a.row_stride == 1;
}
/// Numbers of room in which multiply_block() packs A.
template <class Format>
Index left_room(Index K) {
  return FormatTile<Format>::together * left_size<Format>(K);
}

/// Where multiply_block() leaves a product.
template <class T>
struct BlockResult {
  T* c;
  Index ldc;
  bool whole = true;  ///< false: c has room for one tile of rows, and is written again by each
  bool accumulate = false;
  const T* bias = nullptr;
};

/// C (+)= A B + bias for one block of the summed axis. `packed` is where the first panel's block begins. InPlace: A is
/// in the L1 or L2 cache and is read in place if it can be. rows_behind: so many rows behind the last one of A can be
/// read too. left_packed: room for left_room<Format>(K). `epilogue(c, row, rows)` is called for each tile.
template <class Format, bool InPlace, class T, class A, class Epilogue>
void multiply_block(Index M, Index N, Index K, MatrixView<A> a, Index rows_behind, T* left_packed, const T* packed,
                    Index panel_stride, const BlockResult<T>& result, Epilogue&& epilogue) {
  // Tiles of columns are packed together: so the rows of memory that they share are read in longer pieces.
  constexpr Index most_together = FormatTile<Format>::together;
  const Index room = left_size<Format>(K);
  std::array<LeftTile<T>, static_cast<std::size_t>(most_together)> left;
  const Index tiles = tile_count<Format>(M), panels = N / Tile<T>::columns;
  const auto row_of = [M](Index tile) { return tile_begin<Format>(M, tile); };
  const bool by_rows = a.column_stride == 1;
  const bool in_place = InPlace && reads_in_place<Format>(a);
  const Index together = by_rows || in_place ? 1 : most_together;
  for (Index first = 0; first < tiles; first += together) {
    const Index begin = row_of(first), end = row_of(first + 1), next_rows = row_of(first + 2) - end;
    const Index count = std::min(together, tiles - first);
    if (in_place) {
      if constexpr (std::is_same_v<A, T>) left[0] = {a.data + begin, a.column_stride, LeftOrder::columns};
    } else if (by_rows) {
      left[0] = pack_left<Format>(left_packed, end - begin, K, a.offset(begin, 0));
    } else {
      pack_left_columns<Format>(left.data(), left_packed, room, count, K, a, M + rows_behind,
                                [&](Index i) { return row_of(first + i); });
    }
    for (Index i = 0; i < count; ++i) {
      const Index m = row_of(first + i), rows = row_of(first + i + 1) - m;
      T* const c = result.c + (result.whole ? m * result.ldc : 0);
      multiply_tile<Format>(
          rows, N, element_count<Format>(K), left[static_cast<std::size_t>(i)], packed, panel_stride, c, result.ldc,
          result.accumulate,
          [&](Index panel) {
            if (FormatTile<Format>::asks_ahead && by_rows) prefetch_left(next_rows, K, a.offset(end, 0), panel, panels);
          },
          result.bias);
      epilogue(c, m, rows);
    }
  }
}

}  // namespace detail

/// Numbers of room in which multiply_packed() packs A.
template <class Format>
Index left_room(Index K) {
  return detail::left_room<Format>(detail::DepthBlocks<Format>(K).longest());
}

/// C (+)= A B on the calling thread, for a packed B whose panels are panel_stride elements apart. A is M x K, C is M x
/// N with rows ldc apart. The order of each sum depends on K alone. left: left_room<Format>(K) numbers of scratch.
template <class Format, class T>
void multiply_packed(Index M, Index N, Index K, MatrixView<T> a, const T* packed_b, Index panel_stride, T* c, Index ldc,
                     bool accumulate, T* left) {
  const detail::DepthBlocks<Format> blocks(K);
  const typename Format::Registers registers;
  if (K == 0 && !accumulate)
    for (Index m = 0; m < M; ++m) std::fill_n(c + m * ldc, N, T(0));
  for (Index i = 0; i < blocks.count; ++i) {
    const Index k = blocks.begin(i), depth = blocks.begin(i + 1) - k;
    detail::multiply_block<Format, true>(
        M, N, depth, a.offset(0, k), 0, left, packed_b + k / Format::depth * Tile<T>::columns, panel_stride,
        detail::BlockResult<T>{.c = c, .ldc = ldc, .accumulate = accumulate || i > 0}, NoEpilogue{});
  }
}
/// The same with scratch of its own.
template <class Format, class T>
void multiply_packed(Index M, Index N, Index K, MatrixView<T> a, const T* packed_b, Index panel_stride, T* c, Index ldc,
                     bool accumulate) {
  Storage<T> left;
  if (!detail::reads_in_place<Format>(a)) left = Storage<T>(left_room<Format>(K));
  multiply_packed<Format>(M, N, K, a, packed_b, panel_stride, c, ldc, accumulate, left.data());
}

/// What comes with a product.
template <class T>
struct GemmOptions {
  const T* bias = nullptr;    ///< N numbers that are added to every row of C
  GradTarget<T> b_sums = {};  ///< receives the N sums of B's columns; in bf16 of the rounded numbers
};

/// A finished part of C: its numbers, with rows `stride` apart, and where it lies.
template <class T>
struct GemmPart {
  const T* data;
  Index stride, row, rows, column, columns;
};

/// C (+)= A B + bias, parallel over blocks of C. A is M x K, B is K x N, C is M x N and contiguous in its rows, ldc
/// apart.
/// `epilogue(GemmPart<T>)` is called once for each finished part of C, on the thread that made it, while the part is in
/// cache. With a null c only the epilogue sees C, which is never whole in memory.
/// bf16 rounds both operands; the sums are in T. An operand of BFloat16 asks for bf16, whatever `precision` is.
template <class A, class B, class T, class Epilogue>
void gemm(Precision precision, Index M, Index N, Index K, MatrixView<A> a, MatrixView<B> b, T* c, Index ldc,
          bool accumulate, const GemmOptions<T>& options, Epilogue&& epilogue) {
  if (M == 0 || N == 0) return;
  constexpr Index panel = Tile<T>::columns;
  // What packing a number costs in multiplications, as measured: rows of A are copied, of a transposed A and of B
  // vectors of neighbours, of a transposed B squares are turned.
  constexpr Index of_rows = 8, of_vectors = 16, of_squares = 32;
  with_gemm_format<T, A, B>(precision, [&]<class Format>(Format) {
    const GemmBlocks<T> blocks(M, N, K, FormatTile<Format>::most_columns(element_count<Format>(K)),
                               a.column_stride == 1 ? of_rows : of_vectors,
                               b.column_stride == 1 ? of_vectors : of_squares);
    const detail::DepthBlocks<Format> depths(K);
    parallel_for(blocks.count(), [&](Index job) {
      const typename Format::Registers registers;
      const Index i = job / blocks.columns, j = job % blocks.columns;
      const Index row = M * i / blocks.rows, rows = M * (i + 1) / blocks.rows - row;
      const Index column = blocks.panels * j / blocks.columns * panel;
      const Index width = std::min(N, blocks.panels * (j + 1) / blocks.columns * panel) - column;
      const T* const bias = options.bias == nullptr ? nullptr : options.bias + column;
      // Every row of blocks packs B, the first one adds it up.
      const GradTarget<T> b_sums = i == 0 && options.b_sums ? options.b_sums.offset(column) : GradTarget<T>{};
      // B is packed by the job that uses it: into its core's cache, no thread waits for another.
      const bool whole = c != nullptr || depths.count != 1;  // what epilogue alone sees is one tile, if that is a sum
      const Index c_stride = c != nullptr ? ldc : width + simd::line<T>;
      const Workspace<T, 3> space({packed_size<Format>(depths.longest(), width),
                                   detail::left_room<Format>(depths.longest()),
                                   c != nullptr ? 0 : (whole ? rows : FormatTile<Format>::rows) * c_stride});
      const auto [packed_b, packed_a, unseen] = space.arrays();
      T *const right = packed_b, *const left = packed_a;  // clang's lambdas do not capture bindings in C++20
      T* const c_block = c != nullptr ? c + row * ldc + column : unseen;
      const auto finish = [&, width](const T* part, Index m, Index count) {
        epilogue(GemmPart<T>{part, c_stride, row + m, count, column, width});
      };
      if (K == 0) {
        if (b_sums && !b_sums.accumulate) std::fill_n(b_sums.data, width, T(0));
        for (Index m = 0; m < rows; ++m)
          for (Index n = 0; n < width; ++n)
            c_block[m * c_stride + n] =
                (accumulate ? c_block[m * c_stride + n] : T(0)) + (bias == nullptr ? T(0) : bias[n]);
        return finish(c_block, 0, rows);
      }
      for (Index d = 0; d < depths.count; ++d) {
        const Index k = depths.begin(d), depth = depths.begin(d + 1) - k;
        const Index panel_stride = panel_size<Format>(depth);
        pack_right<Format>(right, panel_stride, depth, width, b.offset(k, column));
        if (b_sums)
          packed_column_sums<Format>(b_sums.data, right, panel_stride, depth, width, b_sums.accumulate || d > 0);
        const auto multiply = [&](auto&& after) {
          detail::multiply_block<Format, false>(rows, width, depth, a.offset(row, k), M - row - rows, left, right,
                                                panel_stride,
                                                detail::BlockResult<T>{.c = c_block,
                                                                       .ldc = c_stride,
                                                                       .whole = whole,
                                                                       .accumulate = accumulate || d > 0,
                                                                       .bias = d == 0 ? bias : nullptr},
                                                after);
        };
        if (d + 1 < depths.count)
          multiply(NoEpilogue{});
        else
          multiply(finish);
      }
    });
  });
}

/// The same without options and epilogue.
template <class A, class B, class T>
void gemm(Precision precision, Index M, Index N, Index K, MatrixView<A> a, MatrixView<B> b, T* c, Index ldc,
          bool accumulate) {
  gemm(precision, M, N, K, a, b, c, ldc, accumulate, GemmOptions<T>{}, NoEpilogue{});
}

/// sums (+)= the sums of the columns of a K x N matrix, parallel over its panels: the bits that gemm() has for b_sums
/// where B takes part in no product.
template <class B, class T>
void column_sums_of_product(Precision precision, Index N, Index K, MatrixView<B> b, GradTarget<T> sums) {
  constexpr Index panel = Tile<T>::columns;
  with_gemm_format<T, B>(precision, [&]<class Format>(Format) {
    const detail::DepthBlocks<Format> depths(K);
    parallel_for((N + panel - 1) / panel, [&](Index p) {
      const Index column = p * panel, width = std::min(panel, N - column);
      if (K == 0 && !sums.accumulate) std::fill_n(sums.data + column, width, T(0));
      const Storage<T> packed(packed_size<Format>(depths.longest(), width));
      for (Index d = 0; d < depths.count; ++d) {
        const Index k = depths.begin(d), depth = depths.begin(d + 1) - k, stride = panel_size<Format>(depth);
        pack_right<Format>(packed.data(), stride, depth, width, b.offset(k, column));
        packed_column_sums<Format>(sums.data + column, packed.data(), stride, depth, width, sums.accumulate || d > 0);
      }
    });
  });
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
