#pragma once
// The operands of a product in memory: MatrixView, and MatrixOperand, whose type of numbers is known at run time.

#include <cstddef>
#include <type_traits>

#include "gptlite/core/bfloat16.hpp"
#include "gptlite/core/shape.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// A matrix in memory: element (i, j) is data[i * row_stride + j * column_stride], and one of the strides is 1.
template <class T>
struct MatrixView {
  const T* data;
  Index row_stride;
  Index column_stride = 1;

  MatrixView transposed() const { return {data, column_stride, row_stride}; }
  MatrixView offset(Index row, Index column) const {
    return {data + row * row_stride + column * column_stride, row_stride, column_stride};
  }
};

/// A matrix of T or, for products in bf16, of BFloat16. Drivers take operands of this type, so each driver is compiled
/// once for both types of numbers.
template <class T>
class MatrixOperand {
 public:
  MatrixOperand(MatrixView<T> view)  // NOLINT: implicit, so that a view can be an argument
      : data_(view.data), row_stride_(view.row_stride), column_stride_(view.column_stride) {}
  MatrixOperand(MatrixView<BFloat16> view)  // NOLINT
      requires std::is_same_v<T, float>
      : data_(view.data), row_stride_(view.row_stride), column_stride_(view.column_stride), is_bfloat16_(true) {}

  bool is_bfloat16() const { return is_bfloat16_; }
  Index number_bytes() const { return static_cast<Index>(is_bfloat16_ ? sizeof(BFloat16) : sizeof(T)); }
  const std::byte* bytes() const { return static_cast<const std::byte*>(data_); }
  Index row_stride() const { return row_stride_; }
  Index column_stride() const { return column_stride_; }
  /// The view of this operand as a matrix of S, which must be BFloat16 if is_bfloat16(), else T.
  template <class S>
  MatrixView<S> view() const {
    return {static_cast<const S*>(data_), row_stride_, column_stride_};
  }

  MatrixOperand transposed() const {
    MatrixOperand other = *this;
    other.row_stride_ = column_stride_;
    other.column_stride_ = row_stride_;
    return other;
  }
  MatrixOperand offset(Index row, Index column) const {
    MatrixOperand other = *this;
    other.data_ = bytes() + (row * row_stride_ + column * column_stride_) * number_bytes();
    return other;
  }

 private:
  const void* data_;
  Index row_stride_, column_stride_;
  bool is_bfloat16_ = false;
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
