// Speed of an AdamW update and of the sum of squares that clipping needs, in bytes a second. An update reads parameter,
// gradient and both moments and writes all but the gradient: 28 bytes a parameter.
//
//   adamw_benchmark

#include <string>

#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/adamw.hpp"
#include "support/report.hpp"

namespace {

using namespace gptlite;

void adamw(benchmark::State& state, Index n) {
  Tensor<float> p = Tensor<float>::normal({n}, 0, 0.02, {1, 1}), m = Tensor<float>::zeros({n});
  Tensor<float> v = Tensor<float>::zeros({n});
  const Tensor<float> g = Tensor<float>::normal({n}, 0, 1e-3, {1, 2});
  const kernels::AdamWStep step{.learning_rate = 3e-4,
                                .beta1 = 0.9,
                                .beta2 = 0.95,
                                .eps = 1e-8,
                                .weight_decay = 0.1,
                                .grad_scale = 0.5,
                                .correction1 = 0.1,
                                .correction2 = 0.05};
  bench::time_bytes(state, 28 * static_cast<double>(n), [&] {
    kernels::adamw<float>({{p.data(), m.data(), v.data(), g.data(), n, step}});
  });
}

void sum_of_squares(benchmark::State& state, Index n) {
  const Tensor<float> g = Tensor<float>::normal({n}, 0, 1e-3, {1, 2});
  bench::time_bytes(state, 4 * static_cast<double>(n), [&] {
    benchmark::DoNotOptimize(kernels::sum_of_squares<float>({{g.data(), static_cast<std::size_t>(n)}}));
  });
}

}  // namespace

int main(int argc, char** argv) {
  for (const Index n : {1000000, 12400000}) {  // 1M, and a tenth of GPT-2 124M
    bench::add("adamw/fp32/n:" + std::to_string(n), adamw, n)->Unit(benchmark::kMicrosecond);
    bench::add("sum_of_squares/fp32/n:" + std::to_string(n), sum_of_squares, n)->Unit(benchmark::kMicrosecond);
  }
  return bench::run(argc, argv, [] { bench::memory_peak(); });
}
