#pragma once
// Init: how the initial weights of a layer are drawn.

#include <utility>

#include "gptlite/core/finite.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Distribution of initial weights: `Linear<float>(in, out, Init::normal(0.02), generator)`. It is a value, so a model
/// can hand one to all its layers.
class Init {
 public:
  /// Normal distribution N(0, std^2). Throws ConfigError unless std is 0 or positive and finite.
  static Init normal(double std) { return {Kind::normal, checked(std)}; }
  /// Uniform distribution in [-bound, bound). PyTorch starts an LSTM with it, bound = 1 / sqrt(n). Throws as
  /// normal() does.
  static Init uniform(double bound) { return {Kind::uniform, checked(bound)}; }
  static Init zeros() { return {Kind::zeros, 0}; }
  /// Uninitialized memory, for weights that a file replaces.
  static Init none() { return {Kind::none, 0}; }

  /// Makes a parameter that trains. Takes one random stream from the generator whatever the kind, so the layers after
  /// it start with the same numbers.
  template <class T>
  Tensor<T> parameter(Shape shape, Generator& generator) const {
    const RandomStream stream = generator.fork();
    Tensor<T> weight = Tensor<T>::empty(std::move(shape));
    switch (kind_) {
      case Kind::normal:
        fill_normal(weight.data(), weight.numel(), 0, scale_, stream);
        break;
      case Kind::uniform:
        fill_uniform(weight.data(), weight.numel(), -scale_, scale_, stream);
        break;
      case Kind::zeros:
        weight = Tensor<T>::zeros(weight.shape());
        break;
      case Kind::none:
        break;
    }
    return weight.set_requires_grad();
  }

 private:
  enum class Kind { normal, uniform, zeros, none };
  Init(Kind kind, double scale) : kind_(kind), scale_(scale) {}
  static double checked(double scale) {
    check<ConfigError>(is_finite(scale) && scale >= 0, "Init", "the spread must be 0 or positive and finite, got ",
                       scale);
    return scale;
  }

  Kind kind_;
  double scale_;
};

}  // namespace gptlite::inline GPTLITE_ABI
