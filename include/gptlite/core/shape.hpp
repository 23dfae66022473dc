#pragma once
// Shape: the sizes of a tensor's axes, row-major, of any rank; the broadcasting rule.

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "gptlite/core/error.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Signed integer for sizes, counts and positions, like Eigen's.
using Index = std::ptrdiff_t;
/// The smallest multiple of `step` that is at least n.
constexpr Index round_up(Index n, Index step) { return (n + step - 1) / step * step; }

/// The sizes of a tensor's axes; the last axis is contiguous in memory. Rank 0 is a scalar.
class Shape {
 public:
  Shape() = default;
  [[gnu::noinline]] Shape(std::initializer_list<Index> sizes) : Shape(std::vector<Index>(sizes)) {}
  /// Throws ShapeError for a negative size or more elements than an Index can count.
  [[gnu::noinline]] explicit Shape(std::vector<Index> sizes) : sizes_(std::move(sizes)) {
    Index product = 1;
    for (const Index size : sizes_) {
      check<ShapeError>(size >= 0, "shape", "size ", size, " of ", *this, " is negative");
      // Sizes of 0 count as 1 here: the product of the others must fit too, since strides are products of sizes.
      const Index factor = std::max<Index>(size, 1);
      check<ShapeError>(product <= std::numeric_limits<Index>::max() / factor, "shape", *this, " overflows");
      product *= factor;
    }
    for (const Index size : sizes_) numel_ *= size;
  }

  [[gnu::noinline]] Shape(const Shape&) = default;
  Shape(Shape&&) = default;
  // Through a copy: g++ 12 warns of an impossible size in the copy assignment of an inlined std::vector.
  Shape& operator=(const Shape& other) { return *this = Shape(other); }
  Shape& operator=(Shape&& other) noexcept {
    sizes_.swap(other.sizes_);
    numel_ = other.numel_;
    return *this;
  }
  ~Shape() = default;

  Index rank() const { return static_cast<Index>(sizes_.size()); }
  /// Number of elements: the product of all sizes, 1 for rank 0.
  Index numel() const { return numel_; }
  /// Size of one axis; a negative axis counts from the end.
  Index operator[](Index axis) const { return sizes_[static_cast<std::size_t>(axis < 0 ? axis + rank() : axis)]; }
  /// Product of the sizes of the axes first, first + 1, ..., last - 1.
  Index numel_between(Index first, Index last) const {
    Index n = 1;
    for (Index axis = first; axis < last; ++axis) n *= (*this)[axis];
    return n;
  }
  const std::vector<Index>& sizes() const { return sizes_; }

  /// Maps an axis in -rank..rank-1 to 0..rank-1. Throws IndexError, with `where` in the message, for any other.
  Index normalized_axis(Index axis, std::string_view where) const {
    check<IndexError>(axis >= -rank() && axis < rank(), where, "axis ", axis, " is outside a tensor of rank ", rank(),
                      ": ", *this);
    return axis < 0 ? axis + rank() : axis;
  }
  /// A copy of this shape with one axis resized; a negative axis counts from the end.
  Shape with(Index axis, Index size) const {
    std::vector<Index> sizes = sizes_;
    sizes[static_cast<std::size_t>(axis < 0 ? axis + rank() : axis)] = size;
    return Shape(std::move(sizes));
  }
  /// A copy of this shape without one axis; a negative axis counts from the end.
  Shape without(Index axis) const {
    std::vector<Index> sizes = sizes_;
    sizes.erase(sizes.begin() + (axis < 0 ? axis + rank() : axis));
    return Shape(std::move(sizes));
  }

  friend bool operator==(const Shape& a, const Shape& b) { return a.sizes_ == b.sizes_; }
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '(';
    for (std::size_t i = 0; i < shape.sizes_.size(); ++i) out << (i ? ", " : "") << shape.sizes_[i];
    return out << ')';
  }

 private:
  std::vector<Index> sizes_;
  Index numel_ = 1;
};

/// The shape that two operands broadcast to by NumPy's rule: axes are aligned at the last one, and their sizes are
/// equal or one of them is 1. Throws ShapeError with both shapes otherwise.
inline Shape broadcast_shape(const Shape& a, const Shape& b, std::string_view where) {
  const Index rank = std::max(a.rank(), b.rank());
  std::vector<Index> sizes(static_cast<std::size_t>(rank));
  for (Index axis = 1; axis <= rank; ++axis) {
    const Index size_a = axis <= a.rank() ? a[-axis] : 1, size_b = axis <= b.rank() ? b[-axis] : 1;
    check<ShapeError>(size_a == size_b || size_a == 1 || size_b == 1, where, "shapes do not broadcast: ", a, " and ",
                      b);
    sizes[static_cast<std::size_t>(rank - axis)] = size_a == 1 ? size_b : size_a;
  }
  return Shape(std::move(sizes));
}

}  // namespace gptlite::inline GPTLITE_ABI
