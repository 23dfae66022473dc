// Views between tensors and Eigen matrices: the same numbers, seen from both sides.

#include "gptlite/core/eigen_view.hpp"

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>

using namespace gptlite;

namespace {

template <class T>
concept can_view = requires(T&& tensor) {
  eigen_view(std::forward<T>(tensor));
};

}  // namespace

TEST_CASE("a matrix is seen by Eigen with its rows and columns") {
  Tensor<float> tensor = Tensor<float>::from({1, 2, 3, 4, 5, 6}, {2, 3});
  auto view = eigen_view(tensor);
  CHECK(view.rows() == 2);
  CHECK(view.cols() == 3);
  CHECK(view.data() == tensor.data());
  CHECK(view(1, 0) == 4);
  view(0, 2) = 30;
  CHECK(tensor.at({0, 2}) == 30);
  view *= 2;
  CHECK(tensor.at({1, 2}) == 12);
}

TEST_CASE("all axes but the last are the rows") {
  Tensor<double> tensor = Tensor<double>::zeros({2, 3, 4});
  tensor.at({1, 2, 3}) = 5;
  const auto view = eigen_view(tensor);
  CHECK(view.rows() == 6);
  CHECK(view.cols() == 4);
  CHECK(view(5, 3) == 5);
}

TEST_CASE("a vector is one row and a scalar one element") {
  Tensor<float> vector = Tensor<float>::from({1, 2, 3}), scalar = Tensor<float>::scalar(7);
  CHECK(eigen_view(vector).rows() == 1);
  CHECK(eigen_view(vector).cols() == 3);
  CHECK(eigen_view(scalar).rows() == 1);
  CHECK(eigen_view(scalar).cols() == 1);
  CHECK(eigen_view(scalar)(0, 0) == 7);
}

TEST_CASE("axes without elements give empty views") {
  Tensor<float> no_rows = Tensor<float>::zeros({0, 3}), no_columns = Tensor<float>::zeros({2, 0});
  CHECK(eigen_view(no_rows).rows() == 0);
  CHECK(eigen_view(no_rows).cols() == 3);
  CHECK(eigen_view(no_columns).rows() == 2);
  CHECK(eigen_view(no_columns).cols() == 0);
}

TEST_CASE("constant tensors can be read and temporaries not viewed at all") {
  const Tensor<float> tensor = Tensor<float>::from({1, 2, 3, 4}, {2, 2});
  CHECK(eigen_view(tensor).sum() == 10);
  CHECK(std::is_same_v<decltype(eigen_view(tensor)), Eigen::Map<const RowMajorMatrix<float>>>);
  CHECK(can_view<Tensor<float>&>);
  CHECK(can_view<const Tensor<float>&>);
  CHECK_FALSE(can_view<Tensor<float>>);
}

TEST_CASE("a matrix of Eigen is seen as a tensor over the same numbers") {
  RowMajorMatrix<double> matrix(2, 3);
  matrix << 1, 2, 3, 4, 5, 6;
  Tensor<double> tensor = tensor_view(matrix);
  CHECK(tensor.shape() == Shape{2, 3});
  CHECK(tensor.data() == matrix.data());
  CHECK(tensor.at({1, 0}) == 4);
  tensor.at({1, 0}) = 40;
  CHECK(matrix(1, 0) == 40);
}
