// Workspace: scratch arrays that share a block, aligned and apart.

#include "gptlite/kernels/workspace.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>

using namespace gptlite;

TEST_CASE("the arrays of a workspace are aligned and do not overlap") {
  const std::array<Index, 4> sizes{5, 0, 33, 1};
  const kernels::Workspace<float, 4> space(sizes);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    CHECK(reinterpret_cast<std::uintptr_t>(space.arrays()[i]) % 64 == 0);
    std::fill_n(space.arrays()[i], sizes[i], static_cast<float>(i));
  }
  for (std::size_t i = 0; i < sizes.size(); ++i)
    CHECK(std::count(space.arrays()[i], space.arrays()[i] + sizes[i], static_cast<float>(i)) == sizes[i]);
}
