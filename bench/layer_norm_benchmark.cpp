// Speed of layer normalisation, forward and backward, in bytes a second: each array counts once for being read or
// written, the weights not at all.
//
//   layer_norm_benchmark

#include <string>

#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/layer_norm.hpp"
#include "support/report.hpp"

namespace {

using namespace gptlite;

struct Arrays {
  Tensor<float> x, y, dy, dx, weight, bias, dweight, dbias, mean, rstd;

  Arrays(Index rows, Index n)
      : x(Tensor<float>::normal({rows, n}, 0, 1, {1, 1})),
        y(Tensor<float>::empty({rows, n})),
        dy(Tensor<float>::normal({rows, n}, 0, 1, {1, 2})),
        dx(Tensor<float>::empty({rows, n})),
        weight(Tensor<float>::ones({n})),
        bias(Tensor<float>::zeros({n})),
        dweight(Tensor<float>::empty({n})),
        dbias(Tensor<float>::empty({n})),
        mean(Tensor<float>::empty({rows})),
        rstd(Tensor<float>::empty({rows})) {}

  void forward() {
    kernels::layer_norm_forward(y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), x.shape()[0],
                                x.shape()[1], 1e-5);
  }
  void backward() {
    using Target = kernels::GradTarget<float>;
    kernels::layer_norm_backward(Target{dx.data(), false}, Target{dweight.data(), false}, Target{dbias.data(), false},
                                 dy.data(), x.data(), weight.data(), mean.data(), rstd.data(), x.shape()[0],
                                 x.shape()[1]);
  }
};

void layer_norm_forward(benchmark::State& state, Index rows, Index n) {
  Arrays arrays(rows, n);
  const double bytes = 2 * sizeof(float) * static_cast<double>(rows * n);  // x, y
  bench::time_bytes(state, bytes, [&] { arrays.forward(); });
}

void layer_norm_backward(benchmark::State& state, Index rows, Index n) {
  Arrays arrays(rows, n);
  arrays.forward();
  const double bytes = 3 * sizeof(float) * static_cast<double>(rows * n);  // dy, x, dx
  bench::time_bytes(state, bytes, [&] { arrays.backward(); });
}

}  // namespace

int main(int argc, char** argv) {
  const Index sizes[][2] = {{768, 128}, {4096, 384}, {1024, 768}, {16384, 1024}, {385, 331}};
  for (const auto& [rows, n] : sizes) {
    const std::string name = "/fp32/rows:" + std::to_string(rows) + "/n:" + std::to_string(n);
    bench::add("layer_norm_forward" + name, layer_norm_forward, rows, n)->Unit(benchmark::kMicrosecond);
    bench::add("layer_norm_backward" + name, layer_norm_backward, rows, n)->Unit(benchmark::kMicrosecond);
  }
  return bench::run(argc, argv, [] { bench::memory_peak(); });
}
