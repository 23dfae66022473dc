// Fused attention needs memory that grows with T, not with its square.

#include "gptlite/kernels/attention.hpp"

#include <doctest/doctest.h>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/attention.hpp"

using namespace gptlite;

#if GPTLITE_RECYCLE
namespace {

// Bytes that forward and backward need at one time, the qkv and its gradient aside: all that is in the cache afterwards.
std::size_t memory_of(Index positions, int threads) {
  set_num_threads(threads);
  Tensor<float> qkv = Tensor<float>::normal({1, positions, 3 * 8}, 0, 1, {1, 1}).set_requires_grad();
  const Tensor<float> dy = Tensor<float>::ones({1, positions, 8});
  release_cached_memory();
  causal_attention(qkv, {.n_head = 1}).backward(dy);
  set_num_threads(0);
  return cached_memory();
}

}  // namespace

TEST_CASE("no matrix of scores is stored whole") {
  const std::size_t half = memory_of(1024, 1), whole = memory_of(2048, 1);
  CHECK(whole < 2048 * 2048 * sizeof(float) / 8);
  CHECK(static_cast<double>(whole) < 2.3 * static_cast<double>(half));  // blocks are rounded up by 12.5% at most
}
#endif
