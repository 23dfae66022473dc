#pragma once
// PackedMatrix: a weight matrix packed once and multiplied many times, for inference. With few rows of x the product
// takes as long as reading the weights, so one pass reads them in the format with the fewest bytes. With many rows, as
// in a prompt, panels are expanded into the format that gemm's micro-kernel multiplies.
//
// Sizes:  M rows of x and y    K summed axis: columns of x, rows of the matrix    N columns of the matrix and of y

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"
#include "gptlite/kernels/packed/weight_table.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Packs the K x N matrix `w`. double supports only WeightFormat::fp32, its own numbers. Exponents are shortened
  /// (short_exponents.hpp) unless too many weights are too small for that. Throws DataError for int8 if a weight is not
  /// finite.
  PackedMatrix(Index K, Index columns, MatrixView<T> w, WeightFormat format)
      : K_(K), N_(columns), format_(format), outliers_(static_cast<std::size_t>(panel_count())) {
    table_ = &detail::weight_table_of<T>(format, true);
    if (!outliers_are_few(w)) {
      table_ = &detail::weight_table_of<T>(format, false);
      outliers_.assign(outliers_.size(), {});
    }
    pack(w);
  }

  /// Up to this many rows share one pass over the weights; each row's result is bitwise what it is alone.
  static constexpr Index gemv_rows = 8;

  Index columns() const { return N_; }
  Index bytes() const { return data_.size(); }

  /// y (M, N) = x (M, K) times the matrix. `epilogue(row, rows, column, columns)` is called once for each finished part
  /// of y, on the thread that computed it.
  void multiply(Index M, const T* x, T* y,
                FunctionRef<void(Index row, Index rows, Index column, Index columns)> epilogue) const {
    // A job reads at least about 64 KB of weights, or multiplies as long.
    const Index worth = std::max<Index>(M / gemv_rows, 1) * bytes() >> 16;
    const Index threads = std::clamp<Index>(worth, 1, num_threads());
    const Index narrow = M <= gemv_rows ? 1 : (panel_count() + threads * most_panels - 1) / (threads * most_panels);
    const Index jobs = std::min(narrow * threads, panel_count());
    parallel_for(jobs, [&](Index job) {
      const Index begin = panel_count() * job / jobs, end = panel_count() * (job + 1) / jobs;
      const Index column = begin * width, columns = std::min(end * width, N_) - column;
      if (M <= gemv_rows)
        multiply_gemv(M, x, y, begin, end);
      else
        multiply_gemm(M, x, y, begin, end);
      epilogue(Index{0}, M, column, columns);
    });
  }

 private:
  static constexpr Index width = Tile<T>::nr, most_panels = sizes_of<PlainFormat<T>>.most_columns(0) / width;

  Index panel_count() const { return (N_ + width - 1) / width; }
  std::byte* panel(Index p) const { return data_.data() + p * panel_bytes_; }

  static bool above(Index count, double share, Index all) {
    return static_cast<double>(count) > share * static_cast<double>(all);
  }
  /// Collects the outliers and returns whether they are few enough to shorten exponents.
  bool outliers_are_few(MatrixView<T> w) {
    if constexpr (!simd::has_vectors_of_bits) return false;  // codes would be converted to floats one by one
    LargeVector<Index> counts(outliers_.size());
    parallel_for(panel_count(), [&](Index p) {
      const Index count = std::min(width, N_ - p * width);
      const MatrixView<T> columns = w.offset(0, p * width);
      LargeVector<std::byte> header(static_cast<std::size_t>(table_->header_bytes));
      table_->pack_header(header.data(), K_, count, columns);
      LargeVector<Outlier>& found = outliers_[static_cast<std::size_t>(p)];
      found = table_->outliers(header.data(), K_, count, columns);
      std::array<Index, static_cast<std::size_t>(width)> of_column{};
      for (const Outlier& weight : found) ++of_column[static_cast<std::size_t>(weight.column)];
      const bool too_many =
          above(*std::max_element(of_column.begin(), of_column.end()), max_outlier_share_of_column, K_);
      counts[static_cast<std::size_t>(p)] = too_many ? K_ * N_ : static_cast<Index>(found.size());
      if (too_many) found = {};  // they may be as large as the matrix
    });
    return !above(std::accumulate(counts.begin(), counts.end(), Index{0}), max_outlier_share, K_ * N_);
  }
  void pack(MatrixView<T> w) {
    panel_bytes_ = table_->header_bytes + (K_ + table_->block - 1) / table_->block * table_->block_bytes;
    data_ = Storage<std::byte>(panel_count() * panel_bytes_);
    parallel_for(panel_count(), [&](Index p) {
      const Index count = std::min(width, N_ - p * width);
      table_->pack_header(panel(p), K_, count, w.offset(0, p * width));
      std::byte* to = panel(p) + table_->header_bytes;
      for (Index k = 0; k < K_; k += table_->block, to += table_->block_bytes)
        table_->pack_block(panel(p), to, std::min(table_->block, K_ - k), count, w.offset(k, p * width));
    });
  }

  void multiply_gemv(Index M, const T* x, T* y, Index begin, Index end) const {
    constexpr Index rows_together = detail::rows_together;
    std::array<T, static_cast<std::size_t>(rows_together * width)> edge;
    const Index together = table_->together;
    for (Index p = begin; p < end;) {
      const Index panels = p + together <= end && (p + together) * width <= N_ ? together : 1;
      const bool whole = (p + 1) * width <= N_;
      for (Index m = 0; m < M;) {  // the panels are in cache for the next rows
        const Index rows = M - m >= rows_together ? rows_together : 1, ld = whole ? N_ : width;
        T *const to = y + m * N_ + p * width, *const out = whole ? to : edge.data();
        detail::PanelsProduct<T> product{K_, x + m * K_, K_, panel(p), panel_bytes_, out, ld};
        if (rows == rows_together)
          for (Index i = 0; i < panels; ++i, product.panel += panel_bytes_, product.y += width)
            table_->multiply_rows(product);
        else
          (panels == together ? table_->multiply_panels : table_->multiply_one)(product);
        for (Index r = 0; r < rows; ++r) {
          if (!whole) std::copy_n(edge.data() + r * width, N_ - p * width, to + r * N_);
          for (Index i = 0; i < panels; ++i)
            for (const Outlier& outlier : outliers_[static_cast<std::size_t>(p + i)])
              to[r * N_ + i * width + outlier.column] +=
                  x[(m + r) * K_ + outlier.row] * (outlier.weight - outlier.stored);
        }
        m += rows;
      }
      p += panels;
    }
  }

  void multiply_gemm(Index M, const T* x, T* y, Index begin, Index end) const {
    const Index column = begin * width, columns = std::min(end * width, N_) - column;
    if (table_->plain)
      return multiply_packed<T>(format_of<PlainFormat<T>>, M, columns, K_, MatrixView<T>{x, K_},
                                reinterpret_cast<const T*>(panel(begin)), K_ * width, y + column, N_, false);
    for (Index m = 0; m < M && K_ == 0; ++m) std::fill_n(y + m * N_ + column, columns, T(0));
    const Index kc = Tile<T>::kc / table_->block * table_->block;
    // bf16 weights are multiplied as pairs if that is faster, which rounds x too.
    const bool pairs = format_ == WeightFormat::bf16 && bf16_products_are_fast();
    const OperandFormat<T>& product = gemm_format<T>(pairs ? Precision::bf16 : Precision::fp32);
    const Index stride = product.sizes.panel_size(kc);
    const Storage<T> packed((end - begin) * stride + simd::Vec<T>::width);
    const Storage<T> plain(product.plain ? 0 : kc * width);
    for (Index k = 0; k < K_; k += kc) {
      const Index length = std::min(kc, K_ - k);
      for (Index p = begin; p < end; ++p) {
        T* const to = packed.data() + (p - begin) * stride;
        expand(p, k, length, product.plain ? to : plain.data());
        if (!product.plain) product.pack_b(to, stride, length, width, MatrixView<T>{plain.data(), width});
      }
      multiply_packed<T>(product, M, columns, length, MatrixView<T>{x + k, K_}, packed.data(), stride, y + column, N_,
                         k > 0);
    }
  }

  /// Writes rows k .. k + length - 1 of a panel as plain numbers, (length, width).
  void expand(Index p, Index k, Index length, T* plain) const {
    table_->expand(panel(p), k, length, plain);
    for (const Outlier& outlier : outliers_[static_cast<std::size_t>(p)])
      if (outlier.row >= k && outlier.row < k + length)
        plain[(outlier.row - k) * width + outlier.column] = outlier.weight;
  }

  Index K_ = 0, N_ = 0, panel_bytes_ = 0;
  WeightFormat format_ = WeightFormat::fp32;
  const detail::WeightTable<T>* table_ = nullptr;
  Storage<std::byte> data_;
  LargeVector<LargeVector<Outlier>> outliers_;  // per panel
};

GPTLITE_COMPILED_CLASS(PackedMatrix)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
