#pragma once
// AnomalyMode: finds the operation that makes the first number that is not finite.

#include "gptlite/autograd/anomaly_check.hpp"
#include "gptlite/nn/visit.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// `const AnomalyMode anomaly(model);` While it is in scope, operations on this thread check that their outputs are
/// finite, under NoGrad too, and backward() checks every gradient that an operation writes. The first number that is
/// not finite throws AnomalyError, which names the operation, the parameters that it reads or was computed from, and
/// the inputs that were not finite themselves:
///   [AnomalyMode] forward, operation 3: output 0 of layer_norm with h.0.ln_1.weight and h.0.ln_1.bias is not finite:
///   4 of 32 numbers, the first nan at (0, 0, 3) of shape (1, 4, 8); parameter h.0.ln_1.weight is not finite: ...
/// To find where a training run diverges: results have the same bits, steps take longer, and the graph keeps the
/// numbers of all inputs. Open it before the forward pass, and after what replaces parameters, such as add_lora. Scopes
/// nest, and an inner one knows the names of the outer ones. A Decoder records nothing, so it is not checked.
class AnomalyMode {
 public:
  /// Names no parameters, only operations and inputs.
  AnomalyMode() = default;
  /// Names parameters as visit_parameters(model) does.
  template <class Module>
  explicit AnomalyMode(const Module& model) {
    visit_parameters(model, [&](const std::string& name, const auto& tensor) { scope_.add_parameter(name, tensor); });
  }

 private:
  detail::AnomalyScope scope_;
};

}  // namespace gptlite::inline GPTLITE_ABI
