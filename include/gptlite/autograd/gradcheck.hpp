#pragma once
// gradcheck: checks the gradients of a function against finite differences. Public: check your own operations with it.

#include <cmath>
#include <functional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "gptlite/autograd/backward.hpp"

namespace gptlite::inline GPTLITE_ABI {

struct GradcheckOptions {
  double step = 1e-3;       ///< step h of the finite differences, for inputs of magnitude about 1
  double tolerance = 1e-6;  ///< largest error, relative to the largest gradient of the same input
};

struct GradcheckResult {
  bool ok = true;
  double error = 0;     ///< the largest relative error found
  std::string message;  ///< the element with the largest error and both its gradients; empty if ok
  explicit operator bool() const { return ok; }
};

/// Compares the gradients that backward() computes for f(inputs) with finite differences of fourth order,
///   f'(x) = (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12 h + O(h^4),
/// element by element, for every input that requires a gradient. An output that is not a scalar is reduced to one with
/// fixed random weights. f must be a deterministic function of the numbers in `inputs`, and smooth around them. It is a
/// template only so that programs that do not call it do not compile it: T stays double.
template <class T = double>
GradcheckResult gradcheck(
    const std::function<std::type_identity_t<Tensor<T>>(const std::vector<std::type_identity_t<Tensor<T>>>&)>& f,
    std::vector<std::type_identity_t<Tensor<T>>> inputs, GradcheckOptions options = {}) {
  Tensor<T> weights;
  const auto value = [&] {
    const NoGrad no_grad;
    const Tensor<T> y = f(inputs);
    double sum = 0;
    for (Index i = 0; i < y.numel(); ++i) sum += weights.data()[i] * y.data()[i];
    return sum;
  };

  for (Tensor<T>& input : inputs) input.zero_grad();
  const Tensor<T> y = f(inputs);
  weights = Tensor<T>::uniform(y.shape(), 0.5, 1.5, {.seed = 0x67726164, .stream = 0});
  y.backward(weights);

  GradcheckResult result;
  for (std::size_t n = 0; n < inputs.size(); ++n) {
    Tensor<T>& input = inputs[n];
    if (!input.requires_grad()) continue;
    const Tensor<T> analytic = input.has_grad() ? input.grad() : Tensor<T>::zeros(input.shape());
    Tensor<T> numeric = Tensor<T>::empty(input.shape());
    double largest = 0;
    for (Index i = 0; i < input.numel(); ++i) {
      double& x = input.data()[i];
      const double at = x, h = options.step;
      const auto f_at = [&](double displaced) {
        x = displaced;
        return value();
      };
      numeric.data()[i] = (8 * (f_at(at + h) - f_at(at - h)) - (f_at(at + 2 * h) - f_at(at - 2 * h))) / (12 * h);
      x = at;
      largest = std::max({largest, std::abs(numeric.data()[i]), std::abs(analytic.data()[i])});
    }
    for (Index i = 0; i < input.numel(); ++i) {
      const double difference = std::abs(numeric.data()[i] - analytic.data()[i]);
      const double error = difference == 0 ? 0 : difference / largest;
      // Written so that a NaN on either side counts as an error.
      if (!(error <= options.tolerance) && !(error <= result.error)) {
        std::ostringstream message;
        message << "input " << n << ' ' << input.shape() << ", element " << i << ": backward gives "
                << analytic.data()[i] << ", finite differences " << numeric.data()[i] << ", relative error " << error;
        result = {false, error, message.str()};
      }
      result.error = std::max(result.error, error);
    }
  }
  return result;
}

}  // namespace gptlite::inline GPTLITE_ABI
