#pragma once
// operator<< for tensors: nested brackets, long axes shortened, as in NumPy and PyTorch.

#include <iomanip>
#include <ostream>
#include <sstream>

#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {

template <class T>
void print_axis(std::ostream& out, const Tensor<T>& tensor, Index axis, Index offset, Index indent) {
  constexpr Index edge = 3;  // elements shown at each end of a long axis
  if (axis == tensor.rank()) {
    out << +tensor.data()[offset];  // + prints small integers as numbers
    return;
  }
  const Index n = tensor.shape()[axis], stride = tensor.shape().numel_between(axis + 1, tensor.rank());
  const bool innermost = axis + 1 == tensor.rank();
  out << '[';
  for (Index i = 0; i < n; ++i) {
    if (i > 0) out << (innermost ? ", " : ",\n" + std::string(static_cast<std::size_t>(indent + 1), ' '));
    if (n > 2 * edge + 2 && i == edge) {
      out << "...";
      i = n - edge - 1;
      continue;
    }
    print_axis(out, tensor, axis + 1, offset + i * stride, indent + 1);
  }
  out << ']';
}

}  // namespace detail

/// Prints the numbers (4 significant digits unless the stream's precision was changed) and the shape.
template <class T>
std::ostream& operator<<(std::ostream& out, const Tensor<T>& tensor) {
  if (!tensor.defined()) return out << "Tensor(undefined)";
  std::ostringstream text;
  text << std::setprecision(out.precision() == 6 ? 4 : static_cast<int>(out.precision()));
  text << "Tensor(";
  detail::print_axis(text, tensor, 0, 0, 7);
  text << ", shape " << tensor.shape() << ')';
  return out << text.str();
}

}  // namespace gptlite::inline GPTLITE_ABI
