#pragma once
// gemm: the matrix products of training, C = A B or C += A B, for operands that are transposed or not, with a bias and
// an epilogue.
//
// Sizes:  M rows of C and A    N columns of C and B    K summed axis: columns of A, rows of B

#include <algorithm>

#include "gptlite/core/function_ref.hpp"
#include "gptlite/kernels/elementwise.hpp"
#include "gptlite/kernels/gemm/blocks.hpp"
#include "gptlite/kernels/gemm/operand_format.hpp"
#include "gptlite/kernels/workspace.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// True for an A that is multiplied without packing: one row, contiguous, with the format's own numbers.
template <class T>
bool reads_in_place(const OperandFormat<T>& format, Index M, const MatrixOperand<T>& a) {
  return format.plain && M == 1 && a.row_stride() == 1;
}
/// Size of the scratch into which multiply_block() packs A, in numbers.
inline Index block_scratch_size(const FormatSizes& sizes, Index K) {
  return sizes.tiles_packed_at_once * sizes.a_size(K);
}

/// The C that multiply_block() writes.
template <class T>
struct BlockResult {
  T* c;
  Index ldc;
  bool whole = true;  ///< false: c has room for one tile of rows, and each tile overwrites it
  bool accumulate = false;
  const T* bias = nullptr;
};

/// C (+)= A B + bias for one block of the summed axis. `packed` is the block's part of the first panel. rows_after:
/// rows after A's last one that are readable (over-read by vector loads). packed_a: block_scratch_size(K) numbers of
/// scratch. Calls `finish(c, row, rows)` for each tile.
template <class T>
void multiply_block(const OperandFormat<T>& format, Index M, Index N, Index K, const MatrixOperand<T>& a,
                    Index rows_after, T* packed_a, const T* packed, Index panel_stride, const BlockResult<T>& result,
                    FunctionRef<void(const T* c, Index row, Index rows)> finish) {
  // Several tiles of columns are packed at once, so the rows of memory that they share are read in longer pieces.
  const FormatSizes& sizes = format.sizes;
  const Index room = sizes.a_size(K), tiles = sizes.tile_count(M);
  std::array<TileA<T>, 4> tiles_a;
  const bool by_rows = a.column_stride() == 1, in_place = reads_in_place(format, M, a);
  const Index together = by_rows || in_place ? 1 : sizes.tiles_packed_at_once;
  for (Index first = 0; first < tiles; first += together) {
    const Index count = std::min(together, tiles - first);
    const Index begin = sizes.tile_begin(M, first), end = sizes.tile_begin(M, first + 1);
    const NextRows<T> next{a.offset(end, 0), by_rows ? sizes.tile_begin(M, first + 2) - end : 0, K};
    if (in_place) {
      tiles_a[0] = {a.template view<T>().data, a.column_stride(), OrderA::columns};
    } else if (by_rows) {
      format.pack_a(packed_a, end - begin, K, a.offset(begin, 0));
      tiles_a[0] = tile_of_rows<T>(sizes, packed_a, K);
    } else {
      format.pack_a_columns(tiles_a.data(), packed_a, room, {M, first, count, M + rows_after}, K, a);
    }
    for (Index i = 0; i < count; ++i) {
      const Index m = sizes.tile_begin(M, first + i), rows = sizes.tile_begin(M, first + i + 1) - m;
      T* const c = result.c + (result.whole ? m * result.ldc : 0);
      format.multiply_tile(TileProduct<T>{.rows = rows,
                                          .N = N,
                                          .elements = sizes.element_count(K),
                                          .a = tiles_a[static_cast<std::size_t>(i)],
                                          .packed = packed,
                                          .panel_stride = panel_stride,
                                          .c = c,
                                          .ldc = result.ldc,
                                          .accumulate = result.accumulate,
                                          .bias = result.bias,
                                          .next = next.rows > 0 ? &next : nullptr});
      finish(c, m, rows);
    }
  }
}

}  // namespace detail

/// Size of the scratch into which multiply_packed() packs A, in numbers.
inline Index scratch_size(const FormatSizes& sizes, Index K) {
  return detail::block_scratch_size(sizes, detail::KBlocks(sizes, K).longest());
}

/// C (+)= A B on the calling thread, for a packed B whose panels are panel_stride numbers apart. A is M x K, C is M x N
/// with rows ldc apart. The order of each sum depends on K alone. scratch: scratch_size(K) numbers.
template <class T>
void multiply_packed(const OperandFormat<T>& format, Index M, Index N, Index K, MatrixView<T> a, const T* packed_b,
                     Index panel_stride, T* c, Index ldc, bool accumulate, T* scratch) {
  const detail::KBlocks blocks(format.sizes, K);
  const FormatRegisters registers(format.sizes);
  if (K == 0 && !accumulate)
    for (Index m = 0; m < M; ++m) std::fill_n(c + m * ldc, N, T(0));
  for (Index i = 0; i < blocks.count; ++i) {
    const Index k = blocks.begin(i), length = blocks.begin(i + 1) - k;
    detail::multiply_block<T>(format, M, N, length, a.offset(0, k), 0, scratch,
                              packed_b + k / format.sizes.k_per_element * format.sizes.nr, panel_stride,
                              detail::BlockResult<T>{.c = c, .ldc = ldc, .accumulate = accumulate || i > 0},
                              [](const T*, Index, Index) {});
  }
}
/// C (+)= A B on the calling thread, for a packed B, with scratch of its own.
template <class T>
void multiply_packed(const OperandFormat<T>& format, Index M, Index N, Index K, MatrixView<T> a, const T* packed_b,
                     Index panel_stride, T* c, Index ldc, bool accumulate) {
  Storage<T> scratch;
  if (!detail::reads_in_place<T>(format, M, a)) scratch = Storage<T>(scratch_size(format.sizes, K));
  multiply_packed(format, M, N, K, a, packed_b, panel_stride, c, ldc, accumulate, scratch.data());
}

/// A finished part of C: its numbers, with rows `stride` apart, and its position in C.
template <class T>
struct GemmPart {
  const T* data;
  Index stride, row, rows, column, columns;
};

/// Function called once for each finished part of C, on the thread that computed it, while the part is in cache.
template <class T>
using Epilogue = FunctionRef<void(const GemmPart<T>&)>;

/// An epilogue that does nothing.
struct NoEpilogue {
  template <class... Part>
  void operator()(Part...) const {}
};

/// Options of a product.
template <class T>
struct GemmOptions {
  const T* bias = nullptr;    ///< N numbers, added to every row of C; null: none
  GradTarget<T> b_sums = {};  ///< receives the N column sums of B; in bf16 of the rounded numbers
};

namespace detail {

/// column_sums_of_product() in a given format.
template <class T>
void column_sums_of_product(const OperandFormat<T>& format, Index N, Index K, const MatrixOperand<T>& b,
                            GradTarget<T> sums) {
  const FormatSizes& sizes = format.sizes;
  const KBlocks k_blocks(sizes, K);
  parallel_for((N + sizes.nr - 1) / sizes.nr, [&](Index p) {
    const Index column = p * sizes.nr, width = std::min<Index>(sizes.nr, N - column);
    if (K == 0 && !sums.accumulate) std::fill_n(sums.data + column, width, T(0));
    const Storage<T> packed(sizes.packed_size(k_blocks.longest(), width));
    for (Index d = 0; d < k_blocks.count; ++d) {
      const Index k = k_blocks.begin(d), length = k_blocks.begin(d + 1) - k, stride = sizes.panel_size(length);
      format.pack_b(packed.data(), stride, length, width, b.offset(k, column));
      format.column_sums(sums.data + column, packed.data(), stride, length, width, sums.accumulate || d > 0);
    }
  });
}

/// gemm() in a given format.
template <class T>
void gemm(const OperandFormat<T>& format, Index M, Index N, Index K, const MatrixOperand<T>& a,
          const MatrixOperand<T>& b, T* c, Index ldc, bool accumulate, const GemmOptions<T>& options,
          Epilogue<T> epilogue) {
  if (M == 0 && options.b_sums) column_sums_of_product(format, N, K, b, options.b_sums);
  if (M == 0 || N == 0) return;
  const FormatSizes& sizes = format.sizes;
  // Measured cost of packing a number, in multiplications. Rows of A are copied. Vectors of adjacent numbers are copied
  // for a transposed A and for B. Squares are transposed for a transposed B.
  constexpr Index of_rows = 8, of_vectors = 16, of_squares = 32;
  const GemmBlocks blocks(M, N, K, sizes.nr, sizes.most_columns(sizes.element_count(K)),
                          a.column_stride() == 1 ? of_rows : of_vectors,
                          b.column_stride() == 1 ? of_vectors : of_squares);
  const KBlocks k_blocks(sizes, K);
  parallel_for(blocks.count(), [&](Index job) {
    const FormatRegisters registers(sizes);
    const Index i = job / blocks.columns, j = job % blocks.columns;
    const Index row = M * i / blocks.rows, rows = M * (i + 1) / blocks.rows - row;
    const Index column = blocks.panels * j / blocks.columns * sizes.nr;
    const Index width = std::min(N, blocks.panels * (j + 1) / blocks.columns * sizes.nr) - column;
    const T* const bias = options.bias == nullptr ? nullptr : options.bias + column;
    // Every row of blocks packs B; the first one sums its columns.
    const GradTarget<T> b_sums = i == 0 && options.b_sums ? options.b_sums.offset(column) : GradTarget<T>{};
    // Each job packs the part of B that it uses: into its core's cache, and no thread waits for another.
    const bool whole = c != nullptr || k_blocks.count != 1;  // without c, one tile suffices if K is one block
    const Index c_stride = c != nullptr ? ldc : width + simd::line<T>;
    const Workspace<T, 3> space({sizes.packed_size(k_blocks.longest(), width),
                                 block_scratch_size(sizes, k_blocks.longest()),
                                 c != nullptr ? 0 : (whole ? rows : sizes.mr) * c_stride});
    const auto [packed_b, packed_a, unseen] = space.arrays();
    T* const c_block = c != nullptr ? c + row * ldc + column : unseen;
    const auto finish = [&](const T* part, Index m, Index count) {
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
    for (Index d = 0; d < k_blocks.count; ++d) {
      const Index k = k_blocks.begin(d), length = k_blocks.begin(d + 1) - k, panel_stride = sizes.panel_size(length);
      format.pack_b(packed_b, panel_stride, length, width, b.offset(k, column));
      if (b_sums) format.column_sums(b_sums.data, packed_b, panel_stride, length, width, b_sums.accumulate || d > 0);
      const BlockResult<T> result{.c = c_block,
                                  .ldc = c_stride,
                                  .whole = whole,
                                  .accumulate = accumulate || d > 0,
                                  .bias = d == 0 ? bias : nullptr};
      const bool last = d + 1 == k_blocks.count;
      multiply_block<T>(format, rows, width, length, a.offset(row, k), M - row - rows, packed_a, packed_b, panel_stride,
                        result, [&](const T* part, Index m, Index count) {
                          if (last) finish(part, m, count);
                        });
    }
  });
}

/// The precision of a product: bf16 if an operand is BFloat16, otherwise `precision`.
template <class T>
Precision product_precision(Precision precision, const MatrixOperand<T>& a, const MatrixOperand<T>& b) {
  return a.is_bfloat16() || b.is_bfloat16() ? Precision::bf16 : precision;
}

}  // namespace detail

/// C (+)= A B + bias, parallel over blocks of C. A is M x K, B is K x N, C is M x N with contiguous rows, ldc apart.
/// With a null c only the epilogue sees C, which is never whole in memory. bf16 rounds both operands; the sums are in
/// T. A BFloat16 operand implies bf16, whatever `precision` is.
template <class T>
void gemm(Precision precision, Index M, Index N, Index K, const std::type_identity_t<MatrixOperand<T>>& a,
          const std::type_identity_t<MatrixOperand<T>>& b, T* c, Index ldc, bool accumulate,
          const std::type_identity_t<GemmOptions<T>>& options = {},
          std::type_identity_t<Epilogue<T>> epilogue = NoEpilogue{}) {
  detail::gemm(gemm_format<T>(detail::product_precision<T>(precision, a, b)), M, N, K, a, b, c, ldc, accumulate,
               options, epilogue);
}

/// sums (+)= the column sums of the K x N matrix B, parallel over its panels: bitwise those that gemm() computes for
/// b_sums, for a B that takes part in no product.
template <class T>
void column_sums_of_product(Precision precision, Index N, Index K, const std::type_identity_t<MatrixOperand<T>>& b,
                            GradTarget<T> sums) {
  detail::column_sums_of_product(gemm_format<T>(detail::product_precision<T>(precision, b, b)), N, K, b, sums);
}

GPTLITE_COMPILED_FUNCTION(detail::multiply_block)
GPTLITE_COMPILED_FUNCTION(detail::gemm)
GPTLITE_COMPILED_FUNCTION(detail::column_sums_of_product)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
