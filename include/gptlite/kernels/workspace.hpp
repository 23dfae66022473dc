#pragma once
// Workspace: the scratch arrays of one job in a single block of memory. A Storage per array would lock the cache of
// free blocks twice each, which is noticeable in small jobs.

#include <array>

#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// N uninitialized arrays of T, aligned to 64 bytes, with sizes in elements:
///   const Workspace<float, 2> space({rows * columns, columns});
///   const auto [scores, sums] = space.arrays();
template <class T, std::size_t N>
class Workspace {
 public:
  explicit Workspace(const std::array<Index, N>& sizes) {
    constexpr Index line = 64 / static_cast<Index>(sizeof(T));
    std::array<Index, N> begins;
    Index end = 0;
    for (std::size_t i = 0; i < N; ++i) {
      begins[i] = end;
      end += round_up(sizes[i], line);
    }
    memory_ = Storage<T>(end);
    for (std::size_t i = 0; i < N; ++i) arrays_[i] = memory_.data() + begins[i];
  }
  const std::array<T*, N>& arrays() const { return arrays_; }

 private:
  Storage<T> memory_;
  std::array<T*, N> arrays_;
};

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
