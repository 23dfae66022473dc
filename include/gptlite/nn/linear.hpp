#pragma once
// Linear: x weight + bias, and what an adapter adds to it (nn/lora.hpp).

#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/autograd/ops/activations.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/linear.hpp"
#include "gptlite/nn/init.hpp"
#include "gptlite/nn/low_rank.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct Linear {
  Tensor<T> weight;  // (in, out)
  Tensor<T> bias;    // (out), or undefined
  LowRank<T> lora;   // undefined without an adapter

  /// weight as `init` says, bias = 0.
  Linear(Index in, Index out, Init init, Generator& generator)
      : weight(init.parameter<T>({in, out}, generator)), bias(Tensor<T>::zeros({out}).set_requires_grad()) {}
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
    lora.visit(f);
  }
  /// True if weight and bias are all that the layer computes with: then an operation that fuses the layer with others
  /// may take them. The one question that such a path asks; without it, it calls the layer.
  bool is_plain() const { return !lora.defined(); }

  /// activation(x weight + bias + lora(x)). x: (..., in). Returns (..., out).
  Tensor<T> operator()(const Tensor<T>& x, Activation activation = Activation::none) const {
    if (is_plain()) return linear(x, weight, bias, activation);
    const Tensor<T> z = linear(x, weight, bias) + lora(x);  // named, so that its summands are free before the activation
    return activate(z, activation);
  }
  /// The weight of the plain layer that computes the same: weight + lora's product, multiplied in fp32 whatever an
  /// Autocast asks for; of a plain layer the weight itself. Outside any graph.
  Tensor<T> merged_weight() const {
    if (is_plain()) return weight.detach();
    const NoGrad no_grad;
    const Autocast exact(Precision::fp32);
    return weight + lora.product();
  }
};

GPTLITE_COMPILED_CLASS(Linear)

}  // namespace gptlite::inline GPTLITE_ABI
