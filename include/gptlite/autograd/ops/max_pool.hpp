#pragma once
// max_pool: the largest number of each channel over the tokens of a sequence.

#include <cstdint>

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/max_pool.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// The largest number of each channel over the steps of each sequence, padding left out. x: (B, T, C), lengths: (B), or
/// undefined for T. Returns (B, C), zeros for a sequence of length 0. The gradient goes to the first of equal numbers.
/// Throws ShapeError if they do not fit, IndexError for a length outside 0..T. Saves one number per result.
template <class T>
Tensor<T> max_pool(const Tensor<T>& x, const Tensor<std::int32_t>& lengths = {}) {
  check<ShapeError>(x.rank() == 3, "max_pool", "x must be (B, T, C), got ", x.shape());
  const Index B = x.shape()[0], steps = x.shape()[1], C = x.shape()[2];
  if (lengths.defined()) {
    check<ShapeError>(lengths.shape() == Shape{B}, "max_pool", "lengths must be (", B, ") for x ", x.shape(), ", got ",
                      lengths.shape());
    for (Index b = 0; b < B; ++b)
      check<IndexError>(lengths.data()[b] >= 0 && lengths.data()[b] <= steps, "max_pool", "length ", lengths.data()[b],
                        " of sequence ", b, " is outside 0..", steps);
  }
  Tensor<T> y = Tensor<T>::empty({B, C});
  const Storage<std::int32_t> at(B * C);
  kernels::max_pool_forward(y.data(), at.data(), x.data(), lengths.defined() ? lengths.data() : nullptr, B, steps, C);
  return record("max_pool", y, {x.without_data()}, [=](Inputs<T> in, const Tensor<T>& dy) {
    kernels::max_pool_backward(in[0].grad(), dy.data(), static_cast<const std::int32_t*>(at.data()), B, steps, C);
  });
}

GPTLITE_COMPILED_FUNCTION(max_pool)

}  // namespace gptlite::inline GPTLITE_ABI
