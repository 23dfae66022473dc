#pragma once
// NumPy's .npy files, for vectors that other programs read with numpy.load.

#include <cstdint>
#include <string>

#include "gptlite/core/atomic_file.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Writes a tensor of float or double as a .npy file of version 1.0, little-endian, in C order. The file is replaced
/// whole or not at all, by AtomicFile, with its errors.
template <class T>
void save_npy(const std::string& path, const Tensor<T>& tensor) {
  std::string sizes;
  for (Index axis = 0; axis < tensor.rank(); ++axis)
    sizes += (axis > 0 ? ", " : "") + std::to_string(tensor.shape()[axis]);
  std::string header = "{'descr': '<f" + std::to_string(sizeof(T)) + "', 'fortran_order': False, 'shape': (" + sizes +
                       (tensor.rank() == 1 ? ",), }" : "), }");
  constexpr std::size_t start = 10, line = 64;  // the numbers begin at a multiple of 64 bytes
  header.append((line - (start + header.size() + 1) % line) % line, ' ').push_back('\n');
  const auto size = static_cast<std::uint16_t>(header.size());
  AtomicFile file(path);
  file.write("\x93NUMPY\x01\x00", 8);
  file.write(&size, sizeof size);
  file.write(header.data(), header.size());
  file.write(tensor.data(), static_cast<std::size_t>(tensor.numel()) * sizeof(T));
  file.commit();
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
