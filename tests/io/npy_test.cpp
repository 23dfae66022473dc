// .npy files: byte for byte what numpy.save writes.

#include "gptlite/io/npy.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "support/temporary_folder.hpp"

using namespace gptlite;

namespace {
template <class T>
std::string npy_bytes(const Tensor<T>& tensor) {
  const TemporaryFolder folder;
  io::save_npy(folder.file("x.npy"), tensor);
  std::ifstream file(folder.file("x.npy"), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
/// The header that numpy.save writes: padded with spaces to a multiple of 64 bytes.
std::string npy_header(const std::string& text) {
  std::string header("\x93NUMPY\x01\x00\x76\x00", 10);
  header += text;
  return header + std::string(127 - header.size(), ' ') + '\n';
}
}  // namespace

TEST_CASE("save_npy writes the header of NumPy, then the numbers") {
  const std::string matrix = npy_bytes(Tensor<float>::from({1, 2, 3, 4, 5, 6}, {2, 3}));
  CHECK(matrix.substr(0, 128) == npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
  CHECK(matrix.size() == 128 + 6 * sizeof(float));
  CHECK(matrix.substr(128, 4) == std::string("\x00\x00\x80\x3F", 4));
  CHECK(npy_bytes(Tensor<double>::from({1}, {1})).substr(0, 128) ==
        npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"));
  CHECK(npy_bytes(Tensor<float>::full({}, 1)).substr(0, 128) ==
        npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (), }"));
}
