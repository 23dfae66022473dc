#pragma once
// PackedMatrix: a weight matrix packed once and multiplied many times, for inference. With few rows of x the product
// takes as long as reading the weights, so they are walked through once in the form that has the fewest bytes; with
// many rows, as in a prompt, panels are turned back into plain numbers for the micro-kernel of gemm.
//
// Sizes:  M rows of x and y    K depth: columns of x, rows of the matrix    N columns of the matrix and of y

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"
#include "gptlite/kernels/weight_forms.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// y[m][0 .. columns - 1] = the products of Rows rows of x, ldx apart, with one panel.
template <class Form, Index Rows, class T = typename Form::Number>
void multiply_panel(Index K, const T* x, Index ldx, const std::byte* panel, T* y, Index ldy) {
  using V = simd::Vec<T>;
  constexpr std::size_t vectors = static_cast<std::size_t>(Tile<T>::vectors), rows = static_cast<std::size_t>(Rows);
  // Sums that do not wait for each other: one FMA takes four cycles, and a core starts two in each.
  constexpr std::size_t chains = std::max<std::size_t>(1, 8 / (rows * vectors));
  constexpr Index blocks = std::max<Index>(1, static_cast<Index>(chains) / Form::block);  // of one turn of the loop
  V sums[rows][vectors], parts[chains][rows][vectors];
  const auto clear = [](auto& all) {
    for (auto& chain : all)
      for (auto& row : chain)
        for (V& v : row) v = V::zero();
  };
  for (auto& row : sums)
    for (V& v : row) v = V::zero();
  clear(parts);
  const auto add_row = [&](const PanelRow<T>& row, Index k, std::size_t chain) {
    for (std::size_t r = 0; r < rows; ++r) {
      const V element = V::broadcast(x[static_cast<Index>(r) * ldx + k]);
      for (std::size_t v = 0; v < vectors; ++v) parts[chain][r][v] = simd::fma(element, row[v], parts[chain][r][v]);
    }
  };
  const auto add_parts = [&](const PanelRow<T>* scales) {
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t v = 0; v < vectors; ++v) {
        V total = parts[0][r][v];
        for (std::size_t c = 1; c < chains; ++c) total = total + parts[c][r][v];
        sums[r][v] = scales != nullptr ? simd::fma(total, (*scales)[v], sums[r][v]) : sums[r][v] + total;
      }
  };
  // The processor's own prefetching leaves half of the memory's speed: 4 KB ahead, int8 runs 2.2 times as fast, bf16
  // 1.4 and float 1.2 times (Sapphire Rapids). Panels follow each other, so that the end of one asks for the next.
  constexpr Index ahead = 4096, line = 64;
  for (Index k = 0; k < K; k += blocks * Form::block, panel += blocks * Form::block_bytes) {
    for (Index at = 0; at < blocks * Form::block_bytes; at += line) simd::prefetch_for_later(panel + ahead + at);
    if (k + blocks * Form::block <= K) {
#pragma GCC unroll 32
      for (Index i = 0; i < blocks * Form::block; ++i)
        add_row(Form::row(panel + i / Form::block * Form::block_bytes, i % Form::block), k + i,
                static_cast<std::size_t>(i) % chains);
    } else {
      for (Index i = 0; k + i < K; ++i)
        add_row(Form::row(panel + i / Form::block * Form::block_bytes, i % Form::block), k + i, 0);
    }
    if constexpr (Form::scaled) {
      const PanelRow<T> scales = Form::scales(panel);
      add_parts(&scales);
      clear(parts);
    }
  }
  if constexpr (!Form::scaled) add_parts(nullptr);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t v = 0; v < vectors; ++v)
      sums[r][v].store(y + static_cast<Index>(r) * ldy + static_cast<Index>(v) * V::width);
}

}  // namespace detail

template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Packs the K x N matrix `w`. For double only WeightFormat::fp32, its own numbers.
  PackedMatrix(Index depth, Index columns, MatrixView<T> w, WeightFormat format)
      : K_(depth), N_(columns), format_(format) {
    with_form<T>(format, [&]<class Form>(Form) {
      panel_bytes_ = (K_ + Form::block - 1) / Form::block * Form::block_bytes;
      data_ = Storage<std::byte>(panel_count() * panel_bytes_);
      parallel_for(panel_count(), [&](Index p) {
        for (Index k = 0; k < K_; k += Form::block)
          Form::pack_block(panel(p) + k / Form::block * Form::block_bytes, std::min(Form::block, K_ - k),
                           std::min(width, N_ - p * width), w.offset(k, p * width));
      });
    });
  }

  Index columns() const { return N_; }
  Index bytes() const { return data_.size(); }

  /// y (M, N) = x (M, K) times the matrix. `epilogue(row, rows, column, columns)` is called once for each finished
  /// part of y, on the thread that made it.
  template <class Epilogue>
  void multiply(Index M, const T* x, T* y, Epilogue&& epilogue) const {
    with_form<T>(format_, [&]<class Form>(Form) {
      // A job reads some 64 KB of weights at least, or multiplies as long.
      const Index wanted = std::clamp<Index>(std::max<Index>(M / few_rows, 1) * bytes() >> 16, 1, 16);
      const Index jobs = std::min(wanted, panel_count());
      parallel_for(jobs, [&](Index job) {
        const Index begin = panel_count() * job / jobs, end = panel_count() * (job + 1) / jobs;
        const Index column = begin * width, columns = std::min(end * width, N_) - column;
        if (M <= few_rows)
          few<Form>(M, x, y, begin, end);
        else
          many<Form>(M, x, y, begin, end);
        epilogue(Index{0}, M, column, columns);
      });
    });
  }

 private:
  static constexpr Index width = Tile<T>::columns, few_rows = 8;

  Index panel_count() const { return (N_ + width - 1) / width; }
  std::byte* panel(Index p) const { return data_.data() + p * panel_bytes_; }

  template <class Form>
  void few(Index M, const T* x, T* y, Index begin, Index end) const {
    std::array<T, static_cast<std::size_t>(4 * width)> edge;
    for (Index p = begin; p < end; ++p) {
      const Index columns = std::min(width, N_ - p * width);
      for (Index m = 0; m < M;) {  // four rows at a time; the panel is in cache for the next four
        const bool four = M - m >= 4, whole = columns == width;
        T* to = whole ? y + m * N_ + p * width : edge.data();
        const Index ld = whole ? N_ : width, rows = four ? 4 : 1;
        if (four)
          detail::multiply_panel<Form, 4>(K_, x + m * K_, K_, panel(p), to, ld);
        else
          detail::multiply_panel<Form, 1>(K_, x + m * K_, K_, panel(p), to, ld);
        for (Index r = 0; r < rows && !whole; ++r)
          std::copy_n(edge.data() + r * width, columns, y + (m + r) * N_ + p * width);
        m += rows;
      }
    }
  }

  template <class Form>
  void many(Index M, const T* x, T* y, Index begin, Index end) const {
    const Index column = begin * width, columns = std::min(end * width, N_) - column;
    if constexpr (std::is_same_v<Form, PlainWeights<T>>) {
      multiply_packed<PlainFormat<T>>(M, columns, K_, MatrixView<T>{x, K_}, reinterpret_cast<const T*>(panel(begin)),
                                      K_ * width, y + column, N_, false);
    } else {
      constexpr Index depth = Tile<T>::depth / Form::block * Form::block;
      const Storage<T> plain((end - begin) * depth * width);
      for (Index k = 0; k < K_; k += depth) {
        const Index length = std::min(depth, K_ - k);
        for (Index p = begin; p < end; ++p) expand<Form>(p, k, length, plain.data() + (p - begin) * depth * width);
        multiply_packed<PlainFormat<T>>(M, columns, length, MatrixView<T>{x + k, K_}, plain.data(), depth * width,
                                        y + column, N_, k > 0);
      }
    }
  }

  /// Rows k .. k + length - 1 of a panel as plain numbers.
  template <class Form>
  void expand(Index p, Index k, Index length, T* plain) const {
    for (Index i = 0; i < length; ++i) {
      const std::byte* block = panel(p) + (k + i) / Form::block * Form::block_bytes;
      PanelRow<T> row = Form::row(block, (k + i) % Form::block);
      if constexpr (Form::scaled) {
        const PanelRow<T> scales = Form::scales(block);
        for (std::size_t v = 0; v < row.size(); ++v) row[v] = row[v] * scales[v];
      }
      for (std::size_t v = 0; v < row.size(); ++v)
        row[v].store(plain + i * width + static_cast<Index>(v) * simd::Vec<T>::width);
    }
  }

  Index K_ = 0, N_ = 0, panel_bytes_ = 0;
  WeightFormat format_ = WeightFormat::fp32;
  Storage<std::byte> data_;
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
