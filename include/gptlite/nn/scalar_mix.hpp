#pragma once
// ScalarMix: a weighted sum of a model's layers, gamma sum_j softmax(w)_j h_j (Peters et al. 2018, equation 1).

#include <vector>

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/autograd/ops/softmax.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Weighted sum of layers, with learned weights and a learned scale.
template <class T>
struct ScalarMix {
  Tensor<T> weight;  // (layers), before the softmax
  Tensor<T> gamma;   // (1)

  /// Makes a mix that starts as the mean of the layers.
  explicit ScalarMix(Index layers) : weight(Tensor<T>::zeros({layers})), gamma(Tensor<T>::ones({1})) {
    weight.set_requires_grad();
    gamma.set_requires_grad();
  }
  void visit(auto&& f) {
    f("weight", weight);
    f("gamma", gamma);
  }
  /// Mixes layers of one shape. Returns that shape. Throws ShapeError for another number of layers than weights.
  Tensor<T> operator()(const std::vector<Tensor<T>>& layers) const {
    check<ShapeError>(static_cast<Index>(layers.size()) == weight.numel(), "ScalarMix", "has ", weight.numel(),
                      " weights, got ", layers.size(), " layers");
    const Tensor<T> shares = softmax(weight) * gamma;
    Tensor<T> sum;
    for (std::size_t j = 0; j < layers.size(); ++j) {
      const Tensor<T> part = layers[j] * slice(shares, 0, static_cast<Index>(j), static_cast<Index>(j) + 1);
      sum = j == 0 ? part : sum + part;
    }
    return sum;
  }
};

}  // namespace gptlite::inline GPTLITE_ABI
