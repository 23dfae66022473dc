#pragma once
// matmul: products of matrices and of batches of matrices.

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Operands of a product that are read with their last two axes exchanged.
struct MatmulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
};

namespace detail {

/// Sizes of a product y = a b, and the offset of each matrix of a batch.
struct MatmulPlan {
  Index M, N, K, batch;
  bool transpose_a, transpose_b;
  Shape y_shape;
  std::vector<Index> offset_a, offset_b;

  MatmulPlan(const Shape& a, const Shape& b, MatmulOptions options)
      : transpose_a(options.transpose_a), transpose_b(options.transpose_b) {
    check<ShapeError>(a.rank() >= 2 && b.rank() >= 2, "matmul", "needs matrices, got ", a, " x ", b);
    M = transpose_a ? a[-1] : a[-2];
    K = transpose_a ? a[-2] : a[-1];
    N = transpose_b ? b[-2] : b[-1];
    check<ShapeError>(K == (transpose_b ? b[-1] : b[-2]), "matmul", "inner sizes differ: ", a, transpose_a ? "^T" : "",
                      " x ", b, transpose_b ? "^T" : "");
    const auto leading = [](const Shape& s) {
      return Shape(std::vector<Index>(s.sizes().begin(), s.sizes().end() - 2));
    };
    const Shape batch_a = leading(a), batch_b = leading(b), batch_y = broadcast_shape(batch_a, batch_b, "matmul");
    std::vector<Index> sizes = batch_y.sizes();
    sizes.push_back(M);
    sizes.push_back(N);
    y_shape = Shape(std::move(sizes));
    batch = batch_y.numel();
    if (batch > 0 && batch_b.numel() == 1 && batch_a == batch_y && !transpose_a) {  // one b for all rows of a
      M *= batch;
      batch = 1;
    }
    offset_a = offsets(batch_a, batch_y, M * K);
    offset_b = offsets(batch_b, batch_y, K * N);
  }

  template <class T>
  kernels::MatrixView<T> view_a(const T* data, Index i) const {
    const kernels::MatrixView<T> stored{data + offset_a[static_cast<std::size_t>(i)], transpose_a ? M : K};
    return transpose_a ? stored.transposed() : stored;
  }
  template <class T>
  kernels::MatrixView<T> view_b(const T* data, Index i) const {
    const kernels::MatrixView<T> stored{data + offset_b[static_cast<std::size_t>(i)], transpose_b ? K : N};
    return transpose_b ? stored.transposed() : stored;
  }

 private:
  std::vector<Index> offsets(const Shape& operand, const Shape& out, Index matrix_size) const {
    std::vector<Index> result;
    for (Index i = 0; i < batch; ++i) {
      Index rest = i, position = 0, stride = 1;
      for (Index axis = 1; axis <= operand.rank(); ++axis) {
        if (operand[-axis] > 1) position += rest % out[-axis] * stride;
        stride *= operand[-axis];
        rest /= out[-axis];
      }
      result.push_back(position * matrix_size);
    }
    return result;
  }
};

}  // namespace detail

/// y = a b, the matrix product of the last two axes; leading axes are a batch and broadcast.
/// a: (..., M, K), or (..., K, M) with transpose_a. b: (..., K, N), or (..., N, K) with transpose_b. Returns (..., M,
/// N). Throws ShapeError for operands that are not matrices, inner sizes that differ or batches that do not broadcast.
/// Saves both.
template <class T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b, MatmulOptions options = {}) {
  const detail::MatmulPlan plan(a.shape(), b.shape(), options);
  Tensor<T> y = Tensor<T>::empty(plan.y_shape);
  const Precision precision = autocast_precision();
  const auto multiply = [&](Index i) {
    kernels::gemm(precision, plan.M, plan.N, plan.K, plan.view_a(a.data(), i), plan.view_b(b.data(), i),
                  y.data() + i * plan.M * plan.N, plan.N, false);
  };
  // Many products: each runs on one thread. Few: each runs on all threads. The sums are the same.
  if (plan.batch >= 8)
    parallel_for(plan.batch, multiply);
  else
    for (Index i = 0; i < plan.batch; ++i) multiply(i);

  return record("matmul", y, {a, b}, [plan, precision](Inputs<T> in, const Tensor<T>& dy) {
    for (std::size_t n = 0; n < 2; ++n) {
      if (!in[n].wants_grad()) continue;
      // Several products of a batch may share one matrix: then its gradient starts from zeros.
      const kernels::GradTarget<T> target =
          plan.batch == 1 ? in[n].grad_target() : kernels::GradTarget<T>{in[n].grad(), true};
      T* grad = target.data;
      for (Index i = 0; i < plan.batch; ++i) {  // in order: batches may share one matrix
        const kernels::MatrixView<T> dy_i{dy.data() + i * plan.M * plan.N, plan.N};
        const auto a_i = plan.view_a(in[0].data(), i), b_i = plan.view_b(in[1].data(), i);
        const auto at = static_cast<std::size_t>(i);
        if (n == 0 && !plan.transpose_a)  // da += dy b^T
          kernels::gemm(precision, plan.M, plan.K, plan.N, dy_i, b_i.transposed(), grad + plan.offset_a[at], plan.K,
                        target.accumulate);
        else if (n == 0)  // da^T += b dy^T
          kernels::gemm(precision, plan.K, plan.M, plan.N, b_i, dy_i.transposed(), grad + plan.offset_a[at], plan.M,
                        target.accumulate);
        else if (!plan.transpose_b)  // db += a^T dy
          kernels::gemm(precision, plan.K, plan.N, plan.M, a_i.transposed(), dy_i, grad + plan.offset_b[at], plan.N,
                        target.accumulate);
        else  // db^T += dy^T a
          kernels::gemm(precision, plan.N, plan.K, plan.M, dy_i.transposed(), a_i, grad + plan.offset_b[at], plan.K,
                        target.accumulate);
      }
    }
  });
}

GPTLITE_COMPILED_FUNCTION(matmul)

}  // namespace gptlite::inline GPTLITE_ABI
