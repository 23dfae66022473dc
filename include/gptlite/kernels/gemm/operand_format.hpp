#pragma once
// OperandFormat: a format of operands at run time: its sizes, and the functions that pack and multiply. Also chooses
// the format of a product on this machine. Drivers use this type, so they are compiled once for all formats.

#include <algorithm>
#include <optional>

#include "gptlite/kernels/gemm/amx_kernel.hpp"
#include "gptlite/kernels/gemm/pack.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// C (+)= A B + bias for one tile of A and a packed B, in a format.
template <class Format, class T>
void multiply_tile(const TileProduct<T>& p) {
#if GPTLITE_HAS_AMX
  if constexpr (AmxTiled<Format>) return amx_multiply_tile<Format>(p);
#endif
  constexpr Index columns = Tile<T>::nr;
  const auto multiply = micro_kernel_of<typename Format::Product>(p.a.order, p.rows);
  const T* packed = p.packed;
  Index n = 0;
  for (; n + columns <= p.N; n += columns, packed += p.panel_stride) {
    if (p.next != nullptr) p.next->prefetch(n / columns, p.N / columns);
    multiply(p.elements, p.a.data, p.a.step, packed, p.c + n, p.ldc, p.rows, p.accumulate,
             p.bias == nullptr ? nullptr : p.bias + n);
  }
  if (n == p.N) return;
  // C and bias are narrower than the last panel: it goes through local buffers.
  alignas(64) T edge[static_cast<std::size_t>(Tile<T>::mr * columns)];
  alignas(64) T edge_bias[static_cast<std::size_t>(columns)] = {};
  if (p.bias != nullptr) std::copy_n(p.bias + n, p.N - n, edge_bias);
  multiply(p.elements, p.a.data, p.a.step, packed, edge, columns, p.rows, false, edge_bias);
  for (Index i = 0; i < p.rows; ++i)
    for (Index j = 0; j < p.N - n; ++j) {
      T& to = p.c[i * p.ldc + n + j];
      to = p.accumulate ? to + edge[i * columns + j] : edge[i * columns + j];
    }
}

namespace detail {
/// Calls f with the view of an operand. Only formats of bf16 take BFloat16 operands.
template <class Format, class T, class F>
void with_view(const MatrixOperand<T>& operand, F&& f) {
  if constexpr (Format::rounds)
    if (operand.is_bfloat16()) return f(operand.template view<BFloat16>());
  f(operand.template view<T>());
}
}  // namespace detail

template <class T>
struct OperandFormat {
  FormatSizes sizes;
  bool plain;  ///< true if a packed number is the number itself

  /// Packs the K x N matrix B of a product into panels of Tile::nr columns, `stride` numbers apart.
  void (*pack_b)(T* packed, Index stride, Index K, Index N, const MatrixOperand<T>& b);
  /// sums[n] (+)= the sum of column n of a K x N matrix that pack_b() packed.
  void (*column_sums)(T* sums, const T* packed, Index stride, Index K, Index N, bool accumulate);
  /// Packs up to sizes.mr contiguous rows of A, K numbers each.
  void (*pack_a)(T* packed, Index rows, Index K, const MatrixOperand<T>& a);
  /// Packs tiles of a matrix A with contiguous columns, `stride` numbers apart.
  void (*pack_a_columns)(TileA<T>* tiles, T* packed, Index stride, const TileRange& range, Index K,
                         const MatrixOperand<T>& a);
  void (*multiply_tile)(const TileProduct<T>& product);

  /// Packs a whole M x K matrix A with contiguous rows into tiles, sizes.a_size(K) numbers apart.
  void pack_a_tiles(T* packed, Index M, Index K, const MatrixOperand<T>& a) const {
    for (Index m = 0; m < M; m += sizes.mr, packed += sizes.a_size(K)) {
      NextRows<T>{a.offset(m + sizes.mr, 0), std::clamp<Index>(M - m - sizes.mr, 0, sizes.mr), K}.prefetch(0, 1);
      pack_a(packed, std::min(sizes.mr, M - m), K, a.offset(m, 0));
    }
  }
};

/// True if bf16 products are products of rounded floats, because the compiler's target has nothing faster. On Intel's
/// cores VDPBF16PS does half the work of float FMAs.
inline constexpr bool bf16_is_rounded = !simd::has_amx && (!simd::has_bf16_pairs || simd::broadcasts_from_memory);

/// The function table of a format.
template <class Format, class T = typename Format::Number>
inline constexpr OperandFormat<T> format_of{
    .sizes = sizes_of<Format>,
    .plain = std::is_same_v<Format, PlainFormat<T>>,
    .pack_b =
        [](T* packed, Index stride, Index K, Index N, const MatrixOperand<T>& b) {
          detail::with_view<Format>(b, [&](auto view) { pack_b<Format>(packed, stride, K, N, view); });
        },
    .column_sums = packed_column_sums<Format, T>,
    .pack_a =
        [](T* packed, Index rows, Index K, const MatrixOperand<T>& a) {
          detail::with_view<Format>(a, [&](auto view) { pack_a<Format>(packed, rows, K, view); });
        },
    .pack_a_columns =
        [](TileA<T>* tiles, T* packed, Index stride, const TileRange& range, Index K, const MatrixOperand<T>& a) {
          detail::with_view<Format>(a,
                                    [&](auto view) { pack_a_columns<Format>(tiles, packed, stride, range, K, view); });
        },
    .multiply_tile = multiply_tile<Format, T>};

/// Calls f with the format of a table and returns its result: for the few functions that are not in the table.
template <class T, class F>
auto with_format(const OperandFormat<T>& format, F&& f) {
  if constexpr (std::is_same_v<T, float>) {
    if constexpr (simd::has_amx) {
      if (&format == &format_of<AmxFormat, T>) return f(AmxFormat{});
      if (&format == &format_of<Bf16x3Format, T>) return f(Bf16x3Format{});
    }
    if constexpr (simd::has_bf16_pairs)
      if (&format == &format_of<PairFormat, T>) return f(PairFormat{});
    if constexpr (bf16_is_rounded)
      if (&format == &format_of<RoundedFormat, T>) return f(RoundedFormat{});
  }
  return f(PlainFormat<T>{});
}

/// Acquires the registers that the calling thread needs to multiply operands of a format, and releases them when
/// destroyed: AMX's tiles, or none.
class FormatRegisters {
 public:
  explicit FormatRegisters([[maybe_unused]] const FormatSizes& sizes) {
#if GPTLITE_HAS_AMX
    if (sizes.amx) amx_.emplace();
#endif
  }

 private:
#if GPTLITE_HAS_AMX
  std::optional<simd::AmxRegisters> amx_;
#endif
};

/// True if VDPBF16PS does twice the work of a float FMA: on AMD from Zen 4 on. On Intel's cores it does half
/// (pigirons/cpufp: Zen 4 325 against 164 GFLOP/s per core, Sapphire Rapids 115 against 230; measured here 82 and 170).
inline bool bf16_pairs_are_fast() {
#if GPTLITE_HAS_BF16_PAIRS && defined(__GNUC__)
  static const bool amd = __builtin_cpu_is("amd");
  return amd;
#else
  return false;
#endif
}
/// True if products of bfloat16 are faster than those of floats.
inline bool bf16_products_are_fast() { return simd::amx_is_usable() || bf16_pairs_are_fast(); }

/// The format of products of T at a precision on this machine. In bf16 it is the one that the compiler's target
/// multiplies fastest; a target with AMX falls back to pairs if Linux does not allow AMX, since pairs are compiled for
/// generation in any case.
template <class T>
const OperandFormat<T>& operand_format([[maybe_unused]] Precision precision) {
  if constexpr (std::is_same_v<T, float>)
    if (precision == Precision::bf16) {
      if constexpr (simd::has_amx)
        if (simd::amx_is_usable()) return format_of<AmxFormat, T>;
      return format_of<std::conditional_t<bf16_is_rounded, RoundedFormat, PairFormat>, T>;
    }
  return format_of<PlainFormat<T>>;
}
/// The format of products of whole matrices, where AMX is faster in fp32 too.
template <class T>
const OperandFormat<T>& gemm_format(Precision precision) {
  if constexpr (std::is_same_v<T, float> && simd::has_amx)
    if (precision == Precision::fp32 && simd::amx_is_usable()) return format_of<Bf16x3Format, T>;
  return operand_format<T>(precision);
}

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
