#pragma once
// Tensor<T>: a cheap handle to a row-major block of numbers and, only if a gradient is wanted, to its gradient. It is
// below the autograd graph, whose Node it only names; include gptlite/autograd/backward.hpp for backward().

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/random.hpp"
#include "gptlite/core/shape.hpp"
#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// The id of a token. Batches of tokens are Tensor<TokenId>.
using TokenId = std::int32_t;

template <class T>
class Node;

namespace detail {
/// Documented global, one per thread: whether without_data() keeps the numbers all the same. AnomalyMode looks at them.
inline bool& keep_data_flag() {
  static thread_local bool keep = false;
  return keep;
}
}  // namespace detail

/// The gradient state that all handles of a tensor share: the gradient, and the operation that made the tensor.
template <class T>
struct GradState {
  Storage<T> grad;                // empty until something is added to it
  std::shared_ptr<Node<T>> node;  // null for a leaf
  std::size_t output = 0;         // index of the tensor among the operation's outputs
};

/// How backward() treats the graph.
struct BackwardOptions {
  bool retain_graph = false;  ///< keep saved values, so that backward() can run through the same graph again
};

/// A tensor of T: float or double for computing, integers for token ids. Copies are handles to the same numbers. Always
/// contiguous and row-major: the last axis varies fastest.
template <class T>
class Tensor {
 public:
  using value_type = T;

  /// An undefined tensor: no shape, no numbers. It means "none" for an optional argument.
  Tensor() = default;
  // Not inlined: handles are copied and dropped everywhere, and each inlined copy would take 200 bytes of code.
  [[gnu::noinline]] Tensor(const Tensor& other) = default;
  Tensor(Tensor&& other) noexcept = default;
  [[gnu::noinline]] Tensor& operator=(const Tensor& other) = default;
  [[gnu::noinline]] Tensor& operator=(Tensor&& other) noexcept = default;
  [[gnu::noinline]] ~Tensor() = default;

  /// A tensor of uninitialized elements.
  static Tensor empty(Shape shape) {
    const Index size = shape.numel();
    return Tensor(std::move(shape), Storage<T>(size));
  }
  static Tensor zeros(Shape shape) { return full(std::move(shape), T(0)); }
  static Tensor ones(Shape shape) { return full(std::move(shape), T(1)); }
  static Tensor full(Shape shape, T value) {
    Tensor tensor = empty(std::move(shape));
    std::fill_n(tensor.data(), tensor.numel(), value);
    return tensor;
  }
  /// A tensor of rank 0.
  static Tensor scalar(T value) { return full(Shape{}, value); }
  /// A tensor with a copy of `values` in row-major order. Throws ShapeError if their number is not the shape's.
  static Tensor from(const std::vector<T>& values, Shape shape) {
    check<ShapeError>(static_cast<Index>(values.size()) == shape.numel(), "from", values.size(),
                      " values do not fill shape ", shape);
    Tensor tensor = empty(std::move(shape));
    std::copy(values.begin(), values.end(), tensor.data());
    return tensor;
  }
  /// A vector (rank 1) of `values`.
  static Tensor from(const std::vector<T>& values) { return from(values, {static_cast<Index>(values.size())}); }
  /// A tensor of numbers drawn from N(mean, std^2).
  static Tensor normal(Shape shape, double mean, double std, RandomStream stream) {
    Tensor tensor = empty(std::move(shape));
    fill_normal(tensor.data(), tensor.numel(), mean, std, stream);
    return tensor;
  }
  /// A tensor of numbers drawn uniformly from [low, high). Throws ConfigError if low is above high.
  static Tensor uniform(Shape shape, double low, double high, RandomStream stream) {
    Tensor tensor = empty(std::move(shape));
    fill_uniform(tensor.data(), tensor.numel(), low, high, stream);
    return tensor;
  }
  /// A tensor over memory owned by somebody else: row-major, without gaps and aligned like T; nothing is copied. Either
  /// the caller keeps the memory alive as long as this tensor, its copies and views, and graphs that saved it, or
  /// `owner` does. The last of them releases `owner`, on any thread, so its deleter must acquire every lock it needs
  /// itself: a numpy array's deleter takes Python's GIL. Operations that write, such as an optimizer's step, write to
  /// the memory. Throws ShapeError for a null pointer unless the shape has no elements.
  static Tensor from_blob(T* data, Shape shape, std::shared_ptr<void> owner = nullptr) {
    const Index size = shape.numel();
    return Tensor(std::move(shape), Storage<T>::borrowed(data, size, std::move(owner)));
  }

  bool defined() const { return static_cast<bool>(storage_); }
  const Shape& shape() const { return shape_; }
  Index rank() const { return shape_.rank(); }
  /// Number of elements.
  Index numel() const { return shape_.numel(); }

  /// Pointer to the numbers in row-major order. Throws ShapeError for an undefined tensor.
  T* data() {
    require_data();
    return storage_.data();
  }
  const T* data() const {
    require_data();
    return storage_.data();
  }
  /// The only element. Throws ShapeError unless there is exactly one.
  T item() const {
    check<ShapeError>(numel() == 1, "item", "needs one element, got shape ", shape_);
    return data()[0];
  }
  /// The element at a position, one index per axis. Throws IndexError for a wrong number of indices or one outside the
  /// shape.
  T at(std::initializer_list<Index> position) const { return data()[offset(position)]; }
  T& at(std::initializer_list<Index> position) { return data()[offset(position)]; }
  std::vector<T> to_vector() const { return memory::copy(data(), data() + numel()); }

  /// A copy with its own numbers, outside any graph.
  Tensor clone() const {
    Tensor copy = empty(shape_);
    std::copy_n(data(), numel(), copy.data());
    return copy;
  }
  /// A copy with the numbers converted to U, outside any graph.
  template <class U>
  Tensor<U> cast() const {
    Tensor<U> copy = Tensor<U>::empty(shape_);
    std::transform(data(), data() + numel(), copy.data(), [](T value) { return static_cast<U>(value); });
    return copy;
  }
  /// A handle to these numbers, not copied, outside any graph.
  Tensor detach() const { return Tensor(shape_, storage_); }
  /// A handle to these numbers, not copied, in another shape and outside any graph; `reshape` is the recorded
  /// operation. Throws ShapeError if the number of elements differs.
  Tensor view(Shape shape) const {
    check<ShapeError>(shape.numel() == numel(), "reshape", shape_, " has ", numel(), " elements, ", shape, " has ",
                      shape.numel());
    return Tensor(std::move(shape), storage_);
  }

  // Gradients. ---------------------------------------------------------------------------------------------------

  /// True if backward() computes a gradient for this tensor: a parameter, or a tensor computed from one.
  bool requires_grad() const { return grad_state_ != nullptr; }
  /// Makes this tensor a leaf that collects a gradient, or stops it from doing so. Copies of this handle made earlier
  /// are not affected. Throws GraphError if an operation computed the tensor.
  Tensor& set_requires_grad(bool wanted = true) {
    static_assert(std::is_floating_point_v<T>, "only floating-point tensors have gradients");
    check<GraphError>(!grad_state_ || !grad_state_->node, "set_requires_grad",
                      "this tensor was computed, it is no leaf: call detach() first");
    if (wanted && !grad_state_) grad_state_ = std::make_shared<GradState<T>>();
    if (!wanted) grad_state_.reset();
    return *this;
  }
  bool has_grad() const { return grad_state_ && grad_state_->grad; }
  /// The gradient as a tensor of this shape, sharing its numbers. Throws GraphError if there is none.
  Tensor grad() const {
    check<GraphError>(has_grad(), "grad", "no gradient has arrived at this tensor of shape ", shape_,
                      grad_state_ ? ": call backward() first (only leaves keep theirs)" : ": it does not require one");
    return Tensor(shape_, grad_state_->grad);
  }
  /// Drops the gradient; the next backward() starts a new one.
  void zero_grad() {
    if (grad_state_) grad_state_->grad = {};
  }
  /// Computes the gradient of this scalar with respect to every leaf it was computed from and adds it to that leaf's
  /// gradient. Throws GraphError without a graph, or if an earlier backward() has freed it; ShapeError for more than
  /// one element.
  void backward(BackwardOptions options = {}) const;
  /// Runs backward from `grad`, the gradient of this tensor, which may have any shape.
  void backward(const Tensor& grad, BackwardOptions options = {}) const;

  // For the graph and for operations. ------------------------------------------------------------------------------

  const std::shared_ptr<GradState<T>>& grad_state() const { return grad_state_; }
  void set_grad_state(std::shared_ptr<GradState<T>> state) { grad_state_ = std::move(state); }
  const Storage<T>& storage() const { return storage_; }
  static Tensor from_storage(Shape shape, Storage<T> storage) { return Tensor(std::move(shape), std::move(storage)); }
  /// A handle with this tensor's shape and place in the graph but without its numbers: for inputs whose values backward
  /// does not read, so their memory is free as soon as the forward pass is done with it. Under AnomalyMode, which looks
  /// at all inputs, the numbers stay.
  Tensor without_data() const {
    Tensor handle(shape_, detail::keep_data_flag() ? storage_ : Storage<T>());
    handle.grad_state_ = grad_state_;
    return handle;
  }

 private:
  void require_data() const { check<ShapeError>(defined(), "tensor", "this tensor is undefined: it holds no numbers"); }

  Tensor(Shape shape, Storage<T> storage) : shape_(std::move(shape)), storage_(std::move(storage)) {}

  Index offset(std::initializer_list<Index> position) const {
    check<IndexError>(static_cast<Index>(position.size()) == rank(), "at", position.size(), " indices for shape ",
                      shape_);
    Index offset = 0, axis = 0;
    for (const Index i : position) {
      check<IndexError>(i >= 0 && i < shape_[axis], "at", "index ", i, " on axis ", axis, " is outside shape ", shape_);
      offset = offset * shape_[axis++] + i;
    }
    return offset;
  }

  Shape shape_;
  Storage<T> storage_;
  std::shared_ptr<GradState<T>> grad_state_;
};

}  // namespace gptlite::inline GPTLITE_ABI
