#pragma once
// dropout, with a mask that is a function of the random stream alone.

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/dropout.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
inline void check_probability(double p, const char* where) {
  check<ConfigError>(p >= 0 && p <= 1, where, "dropout probability must be in 0..1, got ", p);
}
}  // namespace detail

/// Sets each number to zero with probability p, else scales it by 1 / (1 - p) (Srivastava et al. 2014). x: any shape.
/// Returns the same shape. Takes one stream from the generator; the mask is not saved but drawn again in backward.
/// Throws ConfigError for p outside 0..1.
template <class T>
Tensor<T> dropout(const Tensor<T>& x, double p, Generator& generator) {
  detail::check_probability(p, "dropout");
  const kernels::DropoutMask mask{p, generator.fork()};
  Tensor<T> y = Tensor<T>::empty(x.shape());
  kernels::dropout(y.data(), x.data(), x.numel(), mask, false);
  return record("dropout", y, {x.without_data()}, [mask](Inputs<T> in, const Tensor<T>& dy) {
    const auto [dx, accumulate] = in[0].grad_target();
    kernels::dropout(dx, dy.data(), dy.numel(), mask, accumulate);  // dx += dy mask
  });
}

GPTLITE_COMPILED_FUNCTION(dropout)

}  // namespace gptlite::inline GPTLITE_ABI
