// symmetric_product: the numbers of gemm, for every size and precision, on any number of threads.

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/gemm/symmetric.hpp"

using namespace gptlite;

namespace {

template <class T>
void check_gram(Index N, Index K, bool transposed, Precision precision) {
  CAPTURE(N);
  CAPTURE(K);
  const Tensor<T> x = Tensor<T>::normal({transposed ? K : N, transposed ? N : K}, 0, 1, Generator(5).fork());
  const kernels::MatrixView<T> stored{x.data(), x.shape()[1]}, a = transposed ? stored.transposed() : stored;
  std::vector<T> expected(static_cast<std::size_t>(N * N)), got = expected;
  kernels::gemm<T>(precision, N, N, K, a, a.transposed(), expected.data(), N, false);
  // The lower half is gemm's, bit for bit; the upper half is its mirror image.
  for (Index i = 0; i < N; ++i)
    for (Index j = 0; j < i; ++j)
      expected[static_cast<std::size_t>(j * N + i)] = expected[static_cast<std::size_t>(i * N + j)];
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    std::fill(got.begin(), got.end(), T(7));
    kernels::symmetric_product<T>(precision, N, K, a, a.transposed(), got.data());
    CHECK_MESSAGE(std::memcmp(got.data(), expected.data(), got.size() * sizeof(T)) == 0, threads << " threads");
  }
  set_num_threads(0);
}

}  // namespace

TEST_CASE("a symmetric product is gemm's, bit for bit, on any number of threads") {
  for (const auto& [N, K] :
       std::vector<std::pair<Index, Index>>{{1, 1}, {5, 3}, {14, 70}, {33, 300}, {100, 40}, {203, 1100}})
    for (const bool transposed : {false, true}) {
      check_gram<float>(N, K, transposed, Precision::fp32);
      check_gram<float>(N, K, transposed, Precision::bf16);
      check_gram<double>(N, K, transposed, Precision::fp32);
    }
}
TEST_CASE("a symmetric product of no rows is nothing, and of no depth zeros") {
  float number = 3;
  kernels::symmetric_product<float>(Precision::fp32, 0, 4, kernels::MatrixView<float>{&number, 4},
                                    kernels::MatrixView<float>{&number, 4}.transposed(), &number);
  CHECK(number == 3);
  std::vector<float> c(9, 7);
  kernels::symmetric_product<float>(Precision::fp32, 3, 0, kernels::MatrixView<float>{&number, 1},
                                    kernels::MatrixView<float>{&number, 1}.transposed(), c.data());
  CHECK(c == std::vector<float>(9, 0));
}
