#pragma once
// Linear: x weight + bias, plus the output of an adapter (nn/lora.hpp) if there is one.

#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/autograd/ops/activations.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/linear.hpp"
#include "gptlite/nn/init.hpp"
#include "gptlite/nn/low_rank.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Linear layer: x weight + bias, plus the output of an adapter if there is one.
template <class T>
struct Linear {
  Tensor<T> weight;  // (in, out)
  Tensor<T> bias;    // (out), or undefined
  LowRank<T> lora;   // undefined without an adapter

  /// Makes a layer whose weight is drawn as `init` says and whose bias, if it has one, is 0.
  Linear(Index in, Index out, Init init, Generator& generator, bool has_bias = true)
      : weight(init.parameter<T>({in, out}, generator)) {
    if (has_bias) bias = Tensor<T>::zeros({out}).set_requires_grad();
  }
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
    lora.visit(f);
  }
  /// True if the layer is x weight + bias and nothing else. Only then may a fused operation use weight and bias
  /// directly; otherwise it must call the layer.
  bool is_plain() const { return !lora.defined(); }

  /// Computes activation(x weight + bias + lora(x)). x: (..., in). Returns (..., out).
  Tensor<T> operator()(const Tensor<T>& x, Activation activation = Activation::none) const {
    if (is_plain()) return linear(x, weight, bias, activation);
    const Tensor<T> z =
        linear(x, weight, bias) + lora(x);  // named, so that its summands are free before the activation
    return activate(z, activation);
  }
  /// Weight (in, out) of the plain layer that computes the same: weight + lora.product(), multiplied in fp32 even under
  /// an Autocast; the weight itself if the layer is plain. Part of no graph.
  Tensor<T> merged_weight() const {
    if (is_plain()) return weight.detach();
    const NoGrad no_grad;
    const Autocast exact(Precision::fp32);
    return weight + lora.product();
  }
};

GPTLITE_COMPILED_STRUCT(Linear)

}  // namespace gptlite::inline GPTLITE_ABI
