#pragma once
// PackedMatrix: a weight matrix packed once and multiplied many times, for inference. With few rows of x the product
// takes as long as reading the weights, so they are walked through once in the form that has the fewest bytes; with
// many rows, as in a prompt, panels are turned into what the micro-kernel of gemm multiplies.
//
// Sizes:  M rows of x and y    K depth: columns of x, rows of the matrix    N columns of the matrix and of y

#include <algorithm>
#include <array>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"
#include "gptlite/kernels/weight_forms.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

namespace detail {

/// What reads each of some panels.
template <class Form, std::size_t... P>
std::array<Form, sizeof...(P)> forms_of(const std::byte* panel, Index panel_bytes, std::index_sequence<P...>) {
  return {Form(panel + static_cast<Index>(P) * panel_bytes)...};
}

/// y[m][0 .. Panels * columns - 1] = the products of Rows rows of x, ldx apart, with Panels panels, panel_bytes apart.
template <class Form, Index Rows, Index Panels, class T = typename Form::Number>
void multiply_panels(Index K, const T* x, Index ldx, const std::byte* panel, Index panel_bytes, T* y, Index ldy) {
  using V = simd::Vec<T>;
  constexpr std::size_t vectors = static_cast<std::size_t>(Tile<T>::vectors), rows = static_cast<std::size_t>(Rows);
  constexpr std::size_t across = vectors * static_cast<std::size_t>(Panels);
  // Sums that do not wait for each other, since one FMA takes four cycles and a core starts two in each: as many for
  // any number of rows and panels, so that a row has the same bits beside others as alone.
  constexpr std::size_t chains = simd::registers >= 32 ? 4 / vectors : 2;
  // One turn of the loop reads eight rows at least.
  constexpr Index blocks = std::max<Index>(1, 8 / Form::block), turn_bytes = blocks * Form::block_bytes;
  const auto forms = forms_of<Form>(panel, panel_bytes, std::make_index_sequence<static_cast<std::size_t>(Panels)>());
  panel += Form::header_bytes;
  V sums[rows][across], parts[chains][rows][across];
  const auto clear = [](auto& all) {
    for (auto& chain : all)
      for (auto& row : chain)
        for (V& v : row) v = V::zero();
  };
  for (auto& row : sums)
    for (V& v : row) v = V::zero();
  clear(parts);
  const auto add_row = [&](Index i, Index k, std::size_t chain) {  // row i of this turn
    for (std::size_t p = 0; p < forms.size(); ++p) {
      const std::byte* block = panel + static_cast<Index>(p) * panel_bytes + i / Form::block * Form::block_bytes;
      const PanelRow<T> row = forms[p].row(block, i % Form::block);
      for (std::size_t r = 0; r < rows; ++r) {
        const V element = V::broadcast(x[static_cast<Index>(r) * ldx + k]);
        for (std::size_t v = 0; v < vectors; ++v) {
          V& part = parts[chain][r][p * vectors + v];
          part = simd::fma(element, row[v], part);
        }
      }
    }
  };
  const auto add_parts = [&](const PanelRow<T>* scales) {
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t v = 0; v < across; ++v) {
        V total = parts[0][r][v];
        for (std::size_t c = 1; c < chains; ++c) total = total + parts[c][r][v];
        V& sum = sums[r][v];
        sum = scales != nullptr ? simd::fma(total, scales[v / vectors][v % vectors], sum) : sum + total;
      }
  };
  // The processor's own prefetching leaves a quarter to half of the memory's speed. Lines are asked for twice: early
  // into the L2 cache, then into L1. Panels follow each other, so that the end of one asks for the next.
  constexpr Index ahead_l2 = 4096, ahead_l1 = 1024, line = 64;
  for (Index k = 0; k < K; k += blocks * Form::block, panel += turn_bytes) {
    for (Index p = 0; p < Panels; ++p)
      for (Index at = 0; at < turn_bytes; at += line) {
        simd::prefetch_for_later(panel + p * panel_bytes + ahead_l2 + at);
        simd::prefetch_for_soon(panel + p * panel_bytes + ahead_l1 + at);
      }
    if (k + blocks * Form::block <= K) {
#pragma GCC unroll 32
      for (Index i = 0; i < blocks * Form::block; ++i) add_row(i, k + i, static_cast<std::size_t>(i) % chains);
    } else {
      for (Index i = 0; k + i < K; ++i) add_row(i, k + i, 0);
    }
    if constexpr (Form::scaled) {
      std::array<PanelRow<T>, static_cast<std::size_t>(Panels)> scales;
      for (std::size_t p = 0; p < scales.size(); ++p)
        scales[p] = Form::scales(panel + static_cast<Index>(p) * panel_bytes);
      add_parts(scales.data());
      clear(parts);
    }
  }
  if constexpr (!Form::scaled) add_parts(nullptr);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t v = 0; v < across; ++v)
      sums[r][v].store(y + static_cast<Index>(r) * ldy + static_cast<Index>(v) * V::width);
}

}  // namespace detail

template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Packs the K x N matrix `w`. For double only WeightFormat::fp32, its own numbers. Exponents are shortened
  /// (compact_weights.hpp) unless many weights are too small for that.
  PackedMatrix(Index depth, Index columns, MatrixView<T> w, WeightFormat format)
      : K_(depth), N_(columns), format_(format), small_(static_cast<std::size_t>(panel_count())) {
    compact_ = few_are_small(w);
    if (!compact_) small_.assign(small_.size(), {});
    pack(w);
  }

  /// So many rows take one walk over the weights, and each has the bits that it would have alone.
  static constexpr Index few_rows = 8;

  Index columns() const { return N_; }
  Index bytes() const { return data_.size(); }

  /// y (M, N) = x (M, K) times the matrix. `epilogue(row, rows, column, columns)` is called once for each finished
  /// part of y, on the thread that made it.
  template <class Epilogue>
  void multiply(Index M, const T* x, T* y, Epilogue&& epilogue) const {
    with_form<T>(format_, compact_, [&]<class Form>(std::type_identity<Form>) {
      // A job reads some 64 KB of weights at least, or multiplies as long.
      const Index worth = std::max<Index>(M / few_rows, 1) * bytes() >> 16;
      const Index threads = std::clamp<Index>(worth, 1, num_threads());
      const Index narrow = M <= few_rows ? 1 : (panel_count() + threads * most_panels - 1) / (threads * most_panels);
      const Index jobs = std::min(narrow * threads, panel_count());
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
  static constexpr Index width = Tile<T>::columns, most_panels = Tile<T>::most_columns / width;
  /// Rows that are multiplied with a row of weights in registers.
  static constexpr Index rows_together = simd::registers >= 32 ? 4 : 2;

  Index panel_count() const { return (N_ + width - 1) / width; }
  std::byte* panel(Index p) const { return data_.data() + p * panel_bytes_; }

  /// Collects the small weights and says whether they are few enough to shorten exponents.
  bool few_are_small(MatrixView<T> w) {
    if constexpr (!simd::has_vectors_of_bits) return false;  // codes would be turned into floats one by one
    std::vector<Index> counts(small_.size());
    with_form<T>(format_, true, [&]<class Form>(std::type_identity<Form>) {
      parallel_for(panel_count(), [&](Index p) {
        const Index count = std::min(width, N_ - p * width);
        const MatrixView<T> columns = w.offset(0, p * width);
        std::array<std::byte, static_cast<std::size_t>(Form::header_bytes)> header;
        Form::pack_header(header.data(), K_, count, columns);
        std::vector<SmallWeight>& found = small_[static_cast<std::size_t>(p)];
        found = Form::small_weights(header.data(), K_, count, columns);
        std::array<Index, static_cast<std::size_t>(width)> of_column{};
        for (const SmallWeight& weight : found) ++of_column[static_cast<std::size_t>(weight.column)];
        const bool too_many = *std::max_element(of_column.begin(), of_column.end()) * one_small_in_column > K_;
        counts[static_cast<std::size_t>(p)] = too_many ? K_ * N_ : static_cast<Index>(found.size());
        if (too_many) found = {};  // they may be as large as the matrix
      });
    });
    return std::accumulate(counts.begin(), counts.end(), Index{0}) * one_small_in <= K_ * N_;
  }
  void pack(MatrixView<T> w) {
    with_form<T>(format_, compact_, [&]<class Form>(std::type_identity<Form>) {
      panel_bytes_ = Form::header_bytes + (K_ + Form::block - 1) / Form::block * Form::block_bytes;
      data_ = Storage<std::byte>(panel_count() * panel_bytes_);
      parallel_for(panel_count(), [&](Index p) {
        const Index count = std::min(width, N_ - p * width);
        Form::pack_header(panel(p), K_, count, w.offset(0, p * width));
        for (Index k = 0; k < K_; k += Form::block)
          Form::pack_block(panel(p), block<Form>(p, k), std::min(Form::block, K_ - k), count, w.offset(k, p * width));
      });
    });
  }
  /// The block that holds row k of a panel.
  template <class Form>
  std::byte* block(Index p, Index k) const {
    return panel(p) + Form::header_bytes + k / Form::block * Form::block_bytes;
  }

  template <class Form>
  void few(Index M, const T* x, T* y, Index begin, Index end) const {
    std::array<T, static_cast<std::size_t>(rows_together * width)> edge;
    constexpr std::integral_constant<Index, 1> one;
    constexpr std::integral_constant<Index, rows_together> several;
    // Narrow panels two at a time: two streams are read a little faster than one, where reading takes longer than
    // unpacking. Panels of two vectors are read 5 to 8% faster one by one (Zen 5).
    constexpr Index together = Form::scaled ? 1 : 2 / Tile<T>::vectors;
    for (Index p = begin; p < end;) {
      const Index panels = p + together <= end && (p + together) * width <= N_ ? together : 1;
      const bool whole = (p + 1) * width <= N_;
      for (Index m = 0; m < M;) {  // the panels are in cache for the next rows
        const Index rows = M - m >= rows_together ? rows_together : 1, ld = whole ? N_ : width;
        T *const to = y + m * N_ + p * width, *const out = whole ? to : edge.data();
        const auto multiply = [&](auto number_of_rows, auto number_of_panels, Index first) {
          detail::multiply_panels<Form, number_of_rows(), number_of_panels()>(K_, x + m * K_, K_, panel(p + first),
                                                                              panel_bytes_, out + first * width, ld);
        };
        if (rows == rows_together)
          for (Index i = 0; i < panels; ++i) multiply(several, one, i);
        else if (panels == together)
          multiply(one, std::integral_constant<Index, together>(), 0);
        else
          multiply(one, one, 0);
        for (Index r = 0; r < rows; ++r) {
          if (!whole) std::copy_n(edge.data() + r * width, N_ - p * width, to + r * N_);
          for (Index i = 0; i < panels; ++i)
            for (const SmallWeight& small : small_[static_cast<std::size_t>(p + i)])
              to[r * N_ + i * width + small.column] += x[(m + r) * K_ + small.row] * (small.weight - small.held);
        }
        m += rows;
      }
      p += panels;
    }
  }

  template <class Form>
  void many(Index M, const T* x, T* y, Index begin, Index end) const {
    const Index column = begin * width, columns = std::min(end * width, N_) - column;
    if constexpr (std::is_same_v<Form, PlainWeights<T>>) {
      multiply_packed<PlainFormat<T>>(M, columns, K_, MatrixView<T>{x, K_}, reinterpret_cast<const T*>(panel(begin)),
                                      K_ * width, y + column, N_, false);
    } else {
      for (Index m = 0; m < M && K_ == 0; ++m) std::fill_n(y + m * N_ + column, columns, T(0));
      constexpr Index depth = Tile<T>::depth / Form::block * Form::block;
      // bf16 weights are multiplied as pairs where that is faster, which rounds x too.
      const bool pairs = format_ == WeightFormat::bf16 && bf16_products_are_fast();
      with_gemm_format<T>(pairs ? Precision::bf16 : Precision::fp32, [&]<class Product>(Product) {
        constexpr Index stride = panel_size<Product>(depth);
        const Storage<T> packed((end - begin) * stride + simd::Vec<T>::width);
        const Storage<T> plain(Product::depth == 1 ? 0 : depth * width);
        for (Index k = 0; k < K_; k += depth) {
          const Index length = std::min(depth, K_ - k);
          for (Index p = begin; p < end; ++p) {
            T* const to = packed.data() + (p - begin) * stride;
            if constexpr (Product::depth == 1) {
              expand<Form>(p, k, length, to);
            } else {
              expand<Form>(p, k, length, plain.data());
              pack_right<Product>(to, stride, length, width, MatrixView<T>{plain.data(), width});
            }
          }
          multiply_packed<Product>(M, columns, length, MatrixView<T>{x + k, K_}, packed.data(), stride, y + column, N_,
                                   k > 0);
        }
      });
    }
  }

  /// Rows k .. k + length - 1 of a panel as plain numbers.
  template <class Form>
  void expand(Index p, Index k, Index length, T* plain) const {
    const Form form(panel(p));
    for (Index i = 0; i < length; ++i) {
      const std::byte* at = block<Form>(p, k + i);
      PanelRow<T> row = form.row(at, (k + i) % Form::block);
      if constexpr (Form::scaled) {
        const PanelRow<T> scales = Form::scales(at);
        for (std::size_t v = 0; v < row.size(); ++v) row[v] = row[v] * scales[v];
      }
      for (std::size_t v = 0; v < row.size(); ++v)
        row[v].store(plain + i * width + static_cast<Index>(v) * simd::Vec<T>::width);
    }
    for (const SmallWeight& small : small_[static_cast<std::size_t>(p)])
      if (small.row >= k && small.row < k + length) plain[(small.row - k) * width + small.column] = small.weight;
  }

  Index K_ = 0, N_ = 0, panel_bytes_ = 0;
  WeightFormat format_ = WeightFormat::fp32;
  bool compact_ = true;
  Storage<std::byte> data_;
  std::vector<std::vector<SmallWeight>> small_;  // of each panel
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
