#pragma once
// Tensor::backward: visits the recorded operations from the newest to the oldest and lets each add to the gradients
// of its inputs.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "gptlite/autograd/node.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

/// All computed tensors that `root` depends on, including `root`, newest first. Not recursive: a graph may be a chain
/// of any length. Throws GraphError if a part of the graph was freed.
template <class T>
std::vector<std::shared_ptr<GradState<T>>> newest_first(const std::shared_ptr<GradState<T>>& root) {
  std::vector<std::shared_ptr<GradState<T>>> found;
  std::unordered_set<const GradState<T>*> seen;
  const auto visit = [&](const std::shared_ptr<GradState<T>>& state) {
    if (!state || !state->node || !seen.insert(state.get()).second) return;
    check<GraphError>(!state->node->released(), "backward", "the graph was freed by an earlier backward() (at \"",
                      state->node->name(), "\"); to run it twice call backward({.retain_graph = true}) the first time");
    found.push_back(state);
  };
  visit(root);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::shared_ptr<Node<T>> node = found[i]->node;
    for (const Tensor<T>& input : node->inputs()) visit(input.grad_state());
  }
  // Sorted as pairs of plain numbers.
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < found.size(); ++i) order.emplace_back(found[i]->node->number(), i);
  std::sort(order.begin(), order.end(), std::greater<>());
  std::vector<std::shared_ptr<GradState<T>>> sorted;
  for (const auto& [number, i] : order) sorted.push_back(std::move(found[i]));
  return sorted;
}

}  // namespace detail

template <class T>
void Tensor<T>::backward(const Tensor& grad, BackwardOptions options) const {
  check<GraphError>(requires_grad(), "backward",
                    "this tensor has no graph: nothing it was computed from requires a gradient, or it was computed "
                    "under NoGrad");
  check<ShapeError>(grad.shape() == shape(), "backward", "gradient ", grad.shape(), " for a tensor ", shape());

  std::vector<std::shared_ptr<GradState<T>>> states = detail::newest_first(grad_state());
  for (const std::shared_ptr<GradState<T>>& state : states) state->grad = {};  // left by a backward() that threw
  detail::AnomalyBackward anomaly;
  if (anomaly) anomaly.check_start(grad);
  Input<T>(*this).accumulate_grad(grad);
  const NoGrad no_grad;
  for (auto state = states.begin(); state != states.end();) {
    const std::shared_ptr<Node<T>> node = (*state)->node;
    std::vector<Tensor<T>> dy(node->output_shapes().size());
    bool any = false;
    for (; state != states.end() && (*state)->node == node; (state++)->reset()) {  // the outputs of this node
      Storage<T>& sum = (*state)->grad;
      if (!sum) continue;
      dy[(*state)->output] = Tensor<T>::from_storage(node->output_shapes()[(*state)->output], std::move(sum));
      sum = {};  // only leaves keep their gradient
      any = true;
    }
    if (any && anomaly) anomaly.check_before(node->name(), node->inputs());
    if (any) node->backward(dy);
    if (any && anomaly) anomaly.check_after(node->name(), node->inputs());
    if (!options.retain_graph) node->release();
  }
}

template <class T>
void Tensor<T>::backward(BackwardOptions options) const {
  check<ShapeError>(!requires_grad() || numel() == 1, "backward", "needs a scalar, got shape ", shape(),
                    ": sum or average it first, or pass its gradient");
  backward(Tensor::ones(shape()), options);
}

GPTLITE_COMPILED_FUNCTION(detail::newest_first)
GPTLITE_COMPILED_CLASS(Tensor)

}  // namespace gptlite::inline GPTLITE_ABI
