#pragma once
// Node: one recorded operation of the graph. record(): makes the result of an operation differentiable.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "gptlite/autograd/anomaly_check.hpp"
#include "gptlite/autograd/grad_mode.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/elementwise.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// One input of a recorded operation, as its backward function sees it.
template <class T>
class Input {
 public:
  explicit Input(const Tensor<T>& tensor) : tensor_(tensor) {}

  /// The input's numbers, outside the graph, for a backward that is written with operations.
  Tensor<T> tensor() const { return tensor_.detach(); }
  const T* data() const { return tensor_.data(); }
  const Shape& shape() const { return tensor_.shape(); }
  Index numel() const { return tensor_.numel(); }
  /// True if this input needs a gradient; always true for an operation with a single input.
  bool wants_grad() const { return tensor_.requires_grad(); }

  /// The gradient to add to, numel() numbers; zeros if nothing was added before.
  T* grad() const {
    if (!tensor_.grad_state()->grad) tensor_.grad_state()->grad = Storage<T>::zeros(numel());
    return own_grad().data();
  }
  /// The target that a kernel writes the gradient to: it adds, or overwrites every element if nothing was added before.
  /// The target is null if this input needs no gradient. Two inputs may be the same tensor: request targets in the
  /// order in which the kernel writes.
  kernels::GradTarget<T> grad_target() const {
    if (!wants_grad()) return {};
    if (tensor_.grad_state()->grad) return {own_grad().data(), true};
    tensor_.grad_state()->grad = Storage<T>(numel());
    return {tensor_.grad_state()->grad.data(), false};
  }

  /// Adds `grad`, which has as many elements as the input. If nothing was added before, `grad` is shared, not copied,
  /// so it must not be written to afterwards.
  void accumulate_grad(const Tensor<T>& grad) const {
    Storage<T>& sum = tensor_.grad_state()->grad;
    const bool leaf = tensor_.grad_state()->node == nullptr;  // the user may write to its gradient
    if (!sum)
      sum = leaf && !grad.storage().unique() ? grad.clone().storage() : grad.storage();
    else
      kernels::accumulate(own_grad().data(), grad.data(), numel());
  }

 private:
  // The gradient so far, not shared with another tensor: accumulate_grad may have left it shared.
  Storage<T>& own_grad() const {
    Storage<T>& grad = tensor_.grad_state()->grad;
    if (!grad.unique()) grad = Tensor<T>::from_storage(shape(), grad).clone().storage();
    return grad;
  }

  const Tensor<T>& tensor_;
};

/// The inputs of a recorded operation, in the order in which record() got them.
template <class T>
class Inputs {
 public:
  explicit Inputs(const std::vector<Tensor<T>>& tensors) : tensors_(tensors) {}
  Input<T> operator[](std::size_t i) const { return Input<T>(tensors_[i]); }
  std::size_t size() const { return tensors_.size(); }

 private:
  const std::vector<Tensor<T>>& tensors_;
};

/// Adds to the gradients of the inputs `in`. dy: the gradient of each output, undefined for an output that needs none.
/// The function must not capture an output: that would be a cycle and leak memory.
template <class T>
using BackwardFunction = std::function<void(Inputs<T> in, std::span<const Tensor<T>> dy)>;

/// A recorded operation.
template <class T>
class Node {
 public:
  Node(const char* name, std::vector<Shape> output_shapes, std::vector<Tensor<T>> inputs, BackwardFunction<T> backward)
      : name_(name),
        output_shapes_(std::move(output_shapes)),
        inputs_(std::move(inputs)),
        backward_(std::move(backward)) {
    static std::atomic<std::uint64_t> created{0};  // documented global: numbers the nodes of all graphs
    number_ = created.fetch_add(1, std::memory_order_relaxed);
  }
  ~Node() { release(); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const char* name() const { return name_; }
  /// Creation number: the inputs of an operation have lower numbers than its outputs.
  std::uint64_t number() const { return number_; }
  const std::vector<Shape>& output_shapes() const { return output_shapes_; }
  const std::vector<Tensor<T>>& inputs() const { return inputs_; }
  bool released() const { return !backward_; }
  void backward(std::span<const Tensor<T>> dy) const { backward_(Inputs<T>(inputs_), dy); }

  /// Drops the inputs and everything saved for backward.
  void release() {
    backward_ = nullptr;
    // An input without other owners would destroy its own node, and so on down the graph: one stack frame per node, too
    // many for a long chain. So the nodes are destroyed here, one after the other. They wait in a list through next_,
    // which needs no memory: a destructor must not throw.
    std::shared_ptr<Node> dying;
    drop_inputs(dying);
    while (dying) {
      const std::shared_ptr<Node> node = std::move(dying);
      dying = std::move(node->next_);
      node->drop_inputs(dying);
    }
  }

 private:
  /// Drops the inputs. Nodes that nobody else owns are put before `dying`.
  void drop_inputs(std::shared_ptr<Node>& dying) noexcept {
    while (!inputs_.empty()) {
      const std::shared_ptr<GradState<T>> state = inputs_.back().grad_state();
      inputs_.pop_back();
      if (!state || state.use_count() > 1 || !state->node || state->node.use_count() > 1) continue;
      state->node->next_ = std::move(dying);
      dying = std::move(state->node);
    }
  }

  const char* name_;
  std::uint64_t number_ = 0;
  std::vector<Shape> output_shapes_;
  std::vector<Tensor<T>> inputs_;
  BackwardFunction<T> backward_;
  std::shared_ptr<Node> next_;  // while release() drops them
};

/// True if record() makes a node for an operation with these inputs: one of them requires a gradient and no NoGrad is
/// in scope.
template <class T>
bool is_recorded(const std::vector<Tensor<T>>& inputs) {
  return grad_enabled() &&
         std::any_of(inputs.begin(), inputs.end(), [](const Tensor<T>& input) { return input.requires_grad(); });
}

namespace detail {
template <class T>
[[gnu::noinline]] void add_node(const char* name, std::span<Tensor<T>> outputs, std::vector<Tensor<T>>&& inputs,
                                BackwardFunction<T> backward) {
  std::vector<Shape> shapes;
  for (const Tensor<T>& output : outputs) shapes.push_back(output.shape());
  const auto node = std::make_shared<Node<T>>(name, std::move(shapes), std::move(inputs), std::move(backward));
  for (std::size_t i = 0; i < outputs.size(); ++i)
    outputs[i].set_grad_state(std::make_shared<GradState<T>>(GradState<T>{{}, node, i}));
}
}  // namespace detail

/// Makes `output`, computed from `inputs`, part of the graph: its gradient reaches the inputs through
/// backward(Inputs<T> in, const Tensor<T>& dy). `name` must live forever (a literal). Returns `output` unchanged if no
/// input requires a gradient or under NoGrad.
template <class T, class Backward>
Tensor<T> record(const char* name, Tensor<T> output, std::vector<Tensor<T>> inputs, Backward&& backward) {
  detail::check_anomaly<T>(name, {&output, 1}, inputs);
  if (is_recorded(inputs))
    detail::add_node<T>(
        name, {&output, 1}, std::move(inputs),
        [f = std::forward<Backward>(backward)](Inputs<T> in, std::span<const Tensor<T>> dy) mutable { f(in, dy[0]); });
  return output;
}
/// Makes the several outputs of an operation part of the graph. backward(Inputs<T> in, std::span<const Tensor<T>> dy)
/// is called once, when the gradients of all outputs are complete; dy[i] is undefined if output i has no part in the
/// result. Returns the outputs.
template <class T, class Backward>
std::vector<Tensor<T>> record(const char* name, std::vector<Tensor<T>> outputs, std::vector<Tensor<T>> inputs,
                              Backward&& backward) {
  detail::check_anomaly<T>(name, outputs, inputs);
  if (is_recorded(inputs)) detail::add_node<T>(name, outputs, std::move(inputs), std::forward<Backward>(backward));
  return outputs;
}

GPTLITE_COMPILED_FUNCTION(detail::add_node)
GPTLITE_COMPILED_CLASS(Node)

}  // namespace gptlite::inline GPTLITE_ABI
