#pragma once
// Linear: x weight + bias, and where it has adapters their part (nn/lora.hpp).

#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/autograd/ops/activations.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/linear.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct Linear {
  Tensor<T> weight;       // (in, out)
  Tensor<T> bias;         // (out)
  Tensor<T> lora_A;       // (in, r), undefined without adapters
  Tensor<T> lora_B;       // (r, out), undefined without adapters
  double lora_scale = 0;  // alpha / r

  /// weight ~ N(0, std^2), bias = 0.
  Linear(Index in, Index out, double std, Generator& init)
      : weight(Tensor<T>::normal({in, out}, 0, std, init.fork())), bias(Tensor<T>::zeros({out})) {
    weight.set_requires_grad();
    bias.set_requires_grad();
  }
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
    f("lora_A", lora_A);
    f("lora_B", lora_B);
  }
  bool has_lora() const { return lora_A.defined(); }
  /// activation(x weight + bias + lora_scale (x lora_A) lora_B), without adapters activation(x weight + bias).
  Tensor<T> operator()(const Tensor<T>& x, Activation activation = Activation::none) const {
    if (!has_lora()) return linear(x, weight, bias, activation);
    // Scaled where it is narrowest.
    const Tensor<T> low_rank = linear(x, lora_A) * static_cast<T>(lora_scale);
    const Tensor<T> z = linear(x, weight, bias) + linear(low_rank, lora_B);
    return activation == Activation::gelu ? gelu(z) : z;
  }
  /// weight + lora_scale lora_A lora_B, multiplied in fp32 whatever an Autocast asks for; without adapters the weight
  /// itself. Outside any graph.
  Tensor<T> merged_weight() const {
    if (!has_lora()) return weight.detach();
    const NoGrad no_grad;
    const Autocast exact(Precision::fp32);
    return weight + linear(lora_A, lora_B) * static_cast<T>(lora_scale);
  }
};

GPTLITE_COMPILED_CLASS(Linear)

}  // namespace gptlite::inline GPTLITE_ABI
