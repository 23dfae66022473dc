// Speed of GELU, forward and backward, in bytes a second: each array counts once for being read or written.
//
//   gelu_benchmark

#include <string>

#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/activations.hpp"
#include "support/report.hpp"

namespace {

using namespace gptlite;

void gelu_forward(benchmark::State& state, Index n) {
  const Tensor<float> x = Tensor<float>::normal({n}, 0, 1, {1, 1});
  Tensor<float> y = Tensor<float>::empty({n});
  const double bytes = 2 * sizeof(float) * static_cast<double>(n);  // x, y
  bench::time_bytes(state, bytes, [&] { kernels::activation_forward(Activation::gelu_tanh, y.data(), x.data(), n); });
}

void gelu_backward(benchmark::State& state, Index n) {
  const Tensor<float> x = Tensor<float>::normal({n}, 0, 1, {1, 1}), dy = Tensor<float>::normal({n}, 0, 1, {1, 2});
  Tensor<float> dx = Tensor<float>::empty({n});
  const kernels::GradTarget<float> target{dx.data(), false};
  const double bytes = 3 * sizeof(float) * static_cast<double>(n);  // dy, x, dx
  bench::time_bytes(state, bytes,
                    [&] { kernels::activation_backward(Activation::gelu_tanh, target, dy.data(), x.data(), n); });
}

}  // namespace

int main(int argc, char** argv) {
  // The hidden activations of a small model, of GPT-2, of a larger model, of 64 MB, and an odd number.
  for (const Index n : {768 * 512, 256 * 3072, 4096 * 1536, 1 << 24, 100003}) {
    const std::string name = "/fp32/n:" + std::to_string(n);
    bench::add("gelu_forward" + name, gelu_forward, n)->Unit(benchmark::kMicrosecond);
    bench::add("gelu_backward" + name, gelu_backward, n)->Unit(benchmark::kMicrosecond);
  }
  return bench::run(argc, argv, [] { bench::memory_peak(); });
}
