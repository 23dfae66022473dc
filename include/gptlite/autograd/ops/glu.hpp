#pragma once
// glu: a gated linear unit, one half of the features times the activation of the other.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/glu.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// activation(a) b for x = [a, b] along the last axis: SwiGLU with Activation::silu, GEGLU with gelu_tanh or gelu_erf,
/// ReGLU with relu (Shazeer 2020, "GLU variants improve Transformer").
/// x: (..., 2H). Returns (..., H). Throws ShapeError for an odd number of features. Saves x.
template <class T>
Tensor<T> glu(const Tensor<T>& x, Activation activation) {
  check<ShapeError>(x.rank() >= 1 && x.shape()[-1] % 2 == 0, "glu", "x must have an even number of features, got ",
                    x.shape());
  const Index H = x.shape()[-1] / 2, rows = x.shape().numel_between(0, x.rank() - 1);
  Tensor<T> y = Tensor<T>::empty(x.shape().with(-1, H));
  kernels::glu_forward<T>(activation, y.data(), x.data(), rows, H);
  return record("glu", y, {x}, [activation, rows, H](Inputs<T> in, const Tensor<T>& dy) {
    Tensor<T> dx = Tensor<T>::empty(in[0].shape());
    kernels::glu_backward(activation, dx.data(), dy.data(), in[0].data(), rows, H);
    in[0].accumulate_grad(dx);
  });
}

GPTLITE_COMPILED_FUNCTION(glu)

}  // namespace gptlite::inline GPTLITE_ABI
