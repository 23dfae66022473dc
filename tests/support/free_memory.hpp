#pragma once
// Free memory full of NaN, so that a result that depends on memory that nobody wrote is seen.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "gptlite/core/storage.hpp"

/// Leaves blocks of all sizes that an operation may take in the cache, full of bytes that are NaN as float and as
/// double.
inline void fill_free_memory_with_nan() {
  std::vector<gptlite::Storage<float>> blocks;
  for (gptlite::Index size = 16; size < gptlite::Index{1} << 20; size += std::max<gptlite::Index>(16, size / 16)) {
    blocks.emplace_back(size);
    std::memset(blocks.back().data(), 0xFF, static_cast<std::size_t>(size) * sizeof(float));
  }
}
