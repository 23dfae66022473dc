#pragma once
// The product of one step of an LSTM, A W for the few rows A of a batch and weights W that are the same in each step.
// W is packed once per sequence, in blocks of units: a job has some blocks for all steps, so they stay in its core's
// cache.
//
// Sizes:  M rows of A    K summed axis: columns of A, rows of W    groups: matrices of `width` columns side by side in
// W

#include <algorithm>

#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

template <class T>
class StepProduct {
 public:
  /// Columns of each group that a block has.
  static constexpr Index block_width = Tile<T>::nr;

  /// Packs W (K, groups * width), for products of M rows.
  StepProduct(Precision precision, Index M, Index K, Index width, Index groups, MatrixView<T> w)
      : format_(&operand_format<T>(precision)), M_(M), K_(K), width_(width), groups_(groups) {
    const FormatSizes& sizes = format_->sizes;
    panel_size_ = sizes.panel_size(K);
    packed_ = Storage<T>(blocks() * groups * panel_size_ + sizes.width);
    parallel_for(blocks(), [&](Index block) {
      for (Index g = 0; g < groups_; ++g)
        format_->pack_b(panels(block) + g * panel_size_, panel_size_, K_, columns(block),
                        w.offset(0, g * width_ + block * block_width));
    });
  }

  Index blocks() const { return (width_ + block_width - 1) / block_width; }
  /// Columns of each group in a block: block_width, or fewer in the last one.
  Index columns(Index block) const { return std::min(block_width, width_ - block * block_width); }
  /// Numbers from one row of a block's result to the next.
  Index stride() const { return groups_ * block_width; }
  /// Multiplications of one step.
  Index work() const { return M_ * K_ * width_ * groups_; }

  /// The rows of one step, packed by one job for all its blocks.
  class Rows {
   public:
    explicit Rows(const StepProduct& product)
        : product_(product),
          registers_(product.format_->sizes),
          k_blocks_(product.format_->sizes, product.K_),
          tile_size_(product.format_->sizes.a_size(k_blocks_.longest())),
          tiles_(product.format_->sizes.tile_count(product.M_)),
          space_({k_blocks_.count * tiles_ * tile_size_, product.M_ * product.stride()}) {
      if (product.K_ == 0) std::fill_n(space_.arrays()[1], product.M_ * product.stride(), T(0));
    }

    void pack(MatrixView<T> a) {
      for_tiles([&](Index row, Index rows, Index k, Index length, T* tile) {
        product_.format_->pack_a(tile, rows, length, a.offset(row, k));
      });
    }
    /// Multiplies the packed rows by a block of W. Returns (M, groups, block_width), good until the next call.
    const T* multiply(Index block) {
      const OperandFormat<T>& format = *product_.format_;
      T* const result = space_.arrays()[1];
      for_tiles([&](Index row, Index rows, Index k, Index length, T* tile) {
        format.multiply_tile(
            TileProduct<T>{.rows = rows,
                           .N = product_.stride(),
                           .elements = format.sizes.element_count(length),
                           .a = tile_of_rows<T>(format.sizes, tile, length),
                           .packed = product_.panels(block) + k / format.sizes.k_per_element * format.sizes.nr,
                           .panel_stride = product_.panel_size_,
                           .c = result + row * product_.stride(),
                           .ldc = product_.stride(),
                           .accumulate = k > 0});
      });
      return result;
    }

   private:
    template <class F>
    void for_tiles(F&& f) {
      const FormatSizes& sizes = product_.format_->sizes;
      T* tile = space_.arrays()[0];
      for (Index d = 0; d < k_blocks_.count; ++d)
        for (Index i = 0; i < tiles_; ++i, tile += tile_size_) {
          const Index row = sizes.tile_begin(product_.M_, i), k = k_blocks_.begin(d);
          f(row, sizes.tile_begin(product_.M_, i + 1) - row, k, k_blocks_.begin(d + 1) - k, tile);
        }
    }

    const StepProduct& product_;
    FormatRegisters registers_;
    detail::KBlocks k_blocks_;
    Index tile_size_, tiles_;
    Workspace<T, 2> space_;
  };

 private:
  T* panels(Index block) const { return packed_.data() + block * groups_ * panel_size_; }

  const OperandFormat<T>* format_;
  Index M_, K_, width_, groups_, panel_size_ = 0;
  Storage<T> packed_;
};

namespace detail {
/// Calls f(i, rows, first, last) in parallel, with blocks first .. last - 1 of products[i]. Each product is split among
/// its share of the threads; one that is not worth a second thread is not split. No result depends on the split.
template <class T, class F>
void for_step_blocks(const std::vector<StepProduct<T>>& products, F&& f) {
  constexpr Index worth_a_thread = 1 << 18;  // multiplications
  const Index count = static_cast<Index>(products.size());
  const Index share = std::max<Index>(1, num_threads() / count);
  const auto parts = [&](const StepProduct<T>& product) {
    return std::min(product.blocks(), std::clamp<Index>(product.work() / worth_a_thread, 1, share));
  };
  Index jobs = 0;
  for (const StepProduct<T>& product : products) jobs += parts(product);
  parallel_for(jobs, [&](Index job) {
    std::size_t i = 0;
    for (; job >= parts(products[i]); ++i) job -= parts(products[i]);
    const Index n = parts(products[i]), blocks = products[i].blocks();
    typename StepProduct<T>::Rows rows(products[i]);
    f(i, rows, blocks * job / n, blocks * (job + 1) / n);
  });
}
}  // namespace detail

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
