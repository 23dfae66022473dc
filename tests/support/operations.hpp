#pragma once
// The registry of all operations: at least one case for each name that is recorded in include/. Tests iterate it for
// gradients, agreement with PyTorch, number of threads and precision; an operation that is missing here fails them.

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gptlite/gptlite.hpp"

namespace operations {

using gptlite::Index;
using gptlite::Shape;
using gptlite::Tensor;

/// One use of one operation.
template <class T>
struct Case {
  std::string operation;  // the name it is recorded under
  std::string label;      // "add/row": names the case in fixtures and messages
  std::vector<Tensor<T>> inputs;
  std::function<Tensor<T>(const std::vector<Tensor<T>>&)> f;
};

/// Input number n of a case: between low and high, the same numbers as wave() in tests/fixtures/make_operations.py.
template <class T>
Tensor<T> wave(Shape shape, int n, double low = -1.5, double high = 1.5) {
  Tensor<T> tensor = Tensor<T>::empty(std::move(shape));
  for (Index i = 0; i < tensor.numel(); ++i) {
    const double s = std::sin(0.7 * static_cast<double>(i + 1) + 1.9 * n);
    tensor.data()[i] = static_cast<T>(low + (high - low) * (0.5 + 0.5 * s));
  }
  tensor.set_requires_grad();
  return tensor;
}

/// All cases. Defined in operations_float.cpp and operations_double.cpp.
template <class T>
std::vector<Case<T>> cases();
extern template std::vector<Case<float>> cases();
extern template std::vector<Case<double>> cases();

}  // namespace operations
