// A user's own operation: forward, backward, and a gradient check of it.

#include <gptlite/gptlite.hpp>
#include <iostream>

/// swish(x) = x sigmoid(x)   (Ramachandran et al. 2017)
template <class T>
gptlite::Tensor<T> swish(const gptlite::Tensor<T>& x) {
  using V = gptlite::kernels::simd::Vec<T>;
  gptlite::Tensor<T> y = gptlite::Tensor<T>::empty(x.shape());
  gptlite::kernels::transform(
      y.data(), x.numel(), [](V v) { return v * sigmoid(v); }, x.data());
  return gptlite::record("swish", y, {x}, [](gptlite::Inputs<T> in, const gptlite::Tensor<T>& dy) {
    const auto derivative = [](V v) { return sigmoid(v) * (T(1) + v * (T(1) - sigmoid(v))); };
    gptlite::kernels::add_to(  // dx (+)= dy (s + x s (1 - s))
        in[0].grad_target(), dy.numel(), [&](V d, V v) { return d * derivative(v); }, dy.data(), in[0].data());
  });
}

int main() {
  using namespace gptlite;
  Tensor<double> x = Tensor<double>::normal({3, 5}, 0, 1, {.seed = 1, .stream = 0});
  x.set_requires_grad();

  const GradcheckResult result = gradcheck([](const auto& in) { return swish(in[0]); }, {x});
  std::cout << "gradient check: " << (result ? "passed" : result.message) << ", error " << result.error << '\n';

  x.zero_grad();
  sum(swish(x)).backward();
  std::cout << "x      " << x << "\ndx     " << x.grad() << '\n';
  return result ? 0 : 1;
}
