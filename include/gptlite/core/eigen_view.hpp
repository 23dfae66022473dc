#pragma once
// Zero-copy views between tensors and Eigen matrices, both ways.

#include "gptlite/core/eigen.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
using RowMajorMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The tensor's numbers as an Eigen matrix, not copied: columns are the last axis, rows all other axes. A vector is one
/// row, a scalar 1 x 1. The view must not outlive the tensor.
template <class T>
Eigen::Map<RowMajorMatrix<T>> eigen_view(Tensor<T>& tensor) {
  const Index columns = tensor.rank() == 0 ? 1 : tensor.shape()[-1];
  return {tensor.data(), tensor.shape().numel_between(0, tensor.rank() - 1), columns};
}
template <class T>
Eigen::Map<const RowMajorMatrix<T>> eigen_view(const Tensor<T>& tensor) {
  const Index columns = tensor.rank() == 0 ? 1 : tensor.shape()[-1];
  return {tensor.data(), tensor.shape().numel_between(0, tensor.rank() - 1), columns};
}
template <class T>
void eigen_view(Tensor<T>&& tensor) = delete;  // the view would outlive the tensor

/// A row-major Eigen matrix as a tensor of shape (rows, columns) over the same numbers. The matrix must outlive the
/// tensor.
template <class T>
Tensor<T> tensor_view(RowMajorMatrix<T>& matrix) {
  return Tensor<T>::from_blob(matrix.data(), {matrix.rows(), matrix.cols()});
}

}  // namespace gptlite::inline GPTLITE_ABI
