#pragma once
// Muon: the matrices inside a model's blocks get orthogonal updates, everything else AdamW's.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/kernels/muon.hpp"
#include "gptlite/nn/visit.hpp"
#include "gptlite/train/adamw.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Whether a name is that of a weight inside the blocks, layers or cells that a model has several of, as
/// "h.0.mlp.c_fc.weight" is: one of its parts is a number.
inline bool is_inside_block(std::string_view name) {
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (!part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return true;
    begin = end + 1;
  }
  return false;
}

/// Columns of the matrices that a weight of this name and shape (in, out) joins: q, k and v for "c_attn", of which k
/// and v are equally wide, or with a head_size each head of them; all columns for any other.
inline std::vector<Index> joined_columns(std::string_view name, const Shape& shape, Index head_size = 0) {
  const Index in = shape[0], out = shape[1];
  if (!name.ends_with("c_attn.weight") || out <= in || (out - in) % 2 != 0) return {out};
  if (head_size > 0 && out % head_size == 0)
    return std::vector<Index>(static_cast<std::size_t>(out / head_size), head_size);
  return {in, (out - in) / 2, (out - in) / 2};
}

/// How the rate of a matrix depends on its shape (in, out).
enum class MuonScale {
  original,         ///< sqrt(max(1, out / in)), as Jordan's
  match_rms_adamw,  ///< 0.2 sqrt(max(in, out)), with AdamW's learning rate and decay (Liu et al. 2025)
};

constexpr auto enum_names(MuonScale) {
  return EnumNames<MuonScale, 2>{
      "scale", {{{"original", MuonScale::original}, {"match_rms_adamw", MuonScale::match_rms_adamw}}}};
}

/// Options of Muon. Those that begin with adamw_ are of the parameters that are not orthogonalized: embeddings, heads,
/// norms and biases.
struct MuonOptions {
  double learning_rate = 0.02;
  double momentum = 0.95;
  bool nesterov = true;
  double weight_decay = 0;
  MuonScale scale = MuonScale::original;
  /// Four steps of the Polar Express reach the loss of Jordan's five (docs/training.md has figures).
  kernels::NewtonSchulz newton_schulz = kernels::NewtonSchulz::polar_express(4, 3e-3);
  Precision precision = Precision::bf16;  ///< of the products of Newton-Schulz, which forgive rounding
  double adamw_learning_rate = 3e-3;
  std::array<double, 2> adamw_betas{0.9, 0.95};
  double adamw_eps = 1e-8;
  double adamw_weight_decay = 0;  ///< on parameters with two or more axes
  double max_grad_norm = 1.0;     ///< global norm that all gradients are clipped to; 0: no clipping
  /// Factor of the learning rates for each parameter by its name, as in AdamWOptions; empty: 1 for all.
  std::function<double(const std::string& name)> learning_rate_scale = {};
  /// Whether a weight with two axes is orthogonalized; empty: is_inside_block.
  std::function<bool(const std::string& name)> orthogonalize = {};
  Index head_size = 0;  ///< columns of a head: q, k and v are orthogonalized a head at a time; 0: each whole
  /// Columns of the matrices that a weight joins, each orthogonalized by itself; empty: joined_columns.
  std::function<std::vector<Index>(const std::string& name, const Shape& shape)> parts = {};
};

/// Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") for the matrices inside blocks,
/// AdamW for the rest. `Muon optimizer(model, {.learning_rate = 0.02});` Computes the numbers of torch.optim.Muon, on
/// weights (in, out) as Linear has them:
///   m = mu m + (1 - mu) g;  u = orthogonalize((1 - mu) g + mu m);  p -= lr (wd p + scale u).
template <class T>
class Muon {
 public:
  /// Takes the parameters of a model, or of any struct with visit(), that require a gradient. Throws ConfigError for
  /// options that cannot work.
  template <class Module>
  explicit Muon(Module& module, MuonOptions options = {}) : options_(std::move(options)) {
    for (const auto& [what, value] : {std::pair{"learning_rate", options_.learning_rate},
                                      {"weight_decay", options_.weight_decay},
                                      {"adamw_learning_rate", options_.adamw_learning_rate},
                                      {"newton_schulz.eps", options_.newton_schulz.eps}})
      detail::check_not_negative("Muon", what, value);
    check<ConfigError>(options_.momentum >= 0 && options_.momentum < 1, "Muon",
                       "momentum must be in 0..1 and below 1, got ", options_.momentum);
    check<ConfigError>(!options_.newton_schulz.steps.empty(), "Muon", "newton_schulz needs a step or more, got none");
    check<ConfigError>(options_.head_size >= 0, "Muon", "head_size must be 0 (q, k and v whole) or positive, got ",
                       options_.head_size);
    check<ConfigError>(options_.max_grad_norm >= 0, "Muon", "max_grad_norm must be 0 (off) or positive, got ",
                       options_.max_grad_norm);
    detail::check_adamw("Muon", adamw_options());
    visit_parameters(module, [&](const std::string& name, Tensor<T>& tensor) {
      if (!tensor.requires_grad()) return;
      const double scale = options_.learning_rate_scale ? options_.learning_rate_scale(name) : 1;
      detail::check_not_negative("Muon", "learning_rate_scale of " + name, scale);
      tensors_.push_back(tensor);
      const bool chosen = options_.orthogonalize ? options_.orthogonalize(name) : is_inside_block(name);
      if (tensor.rank() != 2 || !chosen) return others_.add(name, tensor, scale);
      std::vector<Index> parts = options_.parts ? options_.parts(name, tensor.shape())
                                                : joined_columns(name, tensor.shape(), options_.head_size);
      check<ConfigError>(std::accumulate(parts.begin(), parts.end(), Index{0}) == tensor.shape()[1] &&
                             std::all_of(parts.begin(), parts.end(), [](Index n) { return n > 0; }),
                         "Muon", "parts of ", name, " must be positive and sum to its ", tensor.shape()[1], " columns");
      matrices_.push_back({name, tensor, scale, Tensor<T>::zeros(tensor.shape()), std::move(parts)});
    });
  }

  /// Sets the learning rate of the orthogonal updates from the next step on. The rate of AdamW's keeps its ratio to it,
  /// so one schedule serves both. Throws ConfigError for a negative one or one that is not finite.
  void set_learning_rate(double learning_rate) {
    detail::check_not_negative("Muon", "learning_rate", learning_rate);
    learning_rate_ = learning_rate;
  }
  double learning_rate() const { return learning_rate_; }
  /// The options that Muon was made with.
  const MuonOptions& options() const { return options_; }
  /// Number of updates so far; skipped steps do not count.
  std::int64_t step_count() const { return step_count_; }

  /// Clips the gradients to max_grad_norm, updates every parameter that has a gradient, and clears all gradients. If
  /// their norm is not finite, it updates nothing and returns `skipped`. If there is no memory, it throws and has
  /// changed nothing.
  StepResult step() {
    const double norm = grad_norm(tensors_);
    const bool finite = is_finite(norm);
    if (finite) {
      const double grad_scale = clip_factor(norm, options_.max_grad_norm);
      // The matrices are written last: all that may be out of memory comes before.
      const std::vector<kernels::MuonMatrix<T>> updates = matrix_updates(grad_scale);
      const auto directions = kernels::muon_directions(updates, options_.precision, options_.newton_schulz);
      others_.update(adamw_options(), step_count_ + 1, grad_scale);
      kernels::apply_muon(updates, directions);
      ++step_count_;
    }
    zero_grad();
    return {norm, !finite};
  }

  /// Clears all gradients.
  void zero_grad() {
    for (Tensor<T>& tensor : tensors_) tensor.zero_grad();
  }

  /// Calls f(name, state) for the state that a checkpoint keeps, as `Optimizer` describes: "step" (std::int64_t&), then
  /// "momentum.<name>" (Tensor<T>& in its shape) for each matrix, and "m.<name>" and "v.<name>" for every other
  /// parameter. Throws as AdamW::visit does.
  template <class F>
  void visit(F&& f) {
    detail::visit_step_count("Muon", step_count_, f);
    for (Matrix& matrix : matrices_) detail::visit_state("Muon", "momentum." + matrix.name, matrix.momentum, f);
    others_.visit("Muon", f);
  }
  /// Calls f with the same names and constant state.
  template <class F>
  void visit(F&& f) const {
    f(std::string("step"), step_count_);
    for (const Matrix& matrix : matrices_) f("momentum." + matrix.name, matrix.momentum);
    others_.visit(f);
  }

 private:
  struct Matrix {
    std::string name;
    Tensor<T> tensor;
    double scale;  // factor of the learning rate
    Tensor<T> momentum;
    std::vector<Index> parts;  // columns of each
  };

  AdamWOptions adamw_options() const {
    const double ratio = options_.learning_rate > 0 ? learning_rate_ / options_.learning_rate : 1;
    return {.learning_rate = options_.adamw_learning_rate * ratio,
            .betas = options_.adamw_betas,
            .eps = options_.adamw_eps,
            .weight_decay = options_.adamw_weight_decay};
  }
  double scale_of(Index in, Index out) const {
    const double i = static_cast<double>(in), o = static_cast<double>(out);
    return options_.scale == MuonScale::original ? std::sqrt(std::max(1.0, o / i)) : 0.2 * std::sqrt(std::max(i, o));
  }
  std::vector<kernels::MuonMatrix<T>> matrix_updates(double grad_scale) {
    std::vector<kernels::MuonMatrix<T>> updates;
    for (Matrix& matrix : matrices_) {
      Tensor<T>& tensor = matrix.tensor;
      if (!tensor.has_grad()) continue;
      const Index in = tensor.shape()[0], out = tensor.shape()[1];
      Index column = 0;
      for (const Index columns : matrix.parts) {
        updates.push_back({.p = tensor.data() + column,
                           .m = matrix.momentum.data() + column,
                           .g = tensor.grad().data() + column,
                           .rows = in,
                           .columns = columns,
                           .stride = out,
                           .step = {.learning_rate = learning_rate_ * matrix.scale,
                                    .scale = scale_of(in, columns),
                                    .momentum = options_.momentum,
                                    .weight_decay = options_.weight_decay,
                                    .grad_scale = grad_scale,
                                    .nesterov = options_.nesterov}});
        column += columns;
      }
    }
    return updates;
  }

  MuonOptions options_;
  double learning_rate_ = options_.learning_rate;
  std::vector<Tensor<T>> tensors_;
  std::vector<Matrix> matrices_;
  detail::AdamWParameters<T> others_;
  std::int64_t step_count_ = 0;
};

template <class Module>
Muon(Module&, MuonOptions = {}) -> Muon<typename Module::value_type>;

GPTLITE_COMPILED_CLASS(Muon)

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
