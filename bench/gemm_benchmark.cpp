// Speed of the matrix products of training: forward (A B), the gradient of the input (A B^T) and of the weight (A^T B).

#include <benchmark/benchmark.h>

#include <string>

#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"

namespace {

using namespace gptlite;

struct Product {
  Index M, N, K;
  bool transpose_a, transpose_b;
};
const Product products[] = {
    {768, 384, 128, false, false},   {768, 128, 384, false, true},   {128, 384, 768, true, false},
    {4096, 1152, 384, false, false}, {4096, 384, 1152, false, true}, {384, 1152, 4096, true, false},
    {768, 65, 128, false, true},     {385, 331, 200, false, false},
};

template <class T>
void gemm(benchmark::State& state, const Product& p) {
  const Tensor<T> a = Tensor<T>::normal({p.M, p.K}, 0, 1, {1, 1}), b = Tensor<T>::normal({p.K, p.N}, 0, 1, {1, 2});
  Tensor<T> c = Tensor<T>::empty({p.M, p.N});
  const kernels::MatrixView<T> view_a{a.data(), p.transpose_a ? p.M : p.K}, view_b{b.data(), p.transpose_b ? p.K : p.N};
  for (auto _ : state) {
    kernels::gemm(p.M, p.N, p.K, p.transpose_a ? view_a.transposed() : view_a,
                  p.transpose_b ? view_b.transposed() : view_b, c.data(), p.N, false);
    benchmark::ClobberMemory();
  }
  const double flops = 2.0 * static_cast<double>(p.M * p.N) * static_cast<double>(p.K);
  state.counters["FLOP/s"] =
      benchmark::Counter(flops * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

}  // namespace

int main(int argc, char** argv) {
  for (const Product& p : products) {
    const std::string sizes = "/M:" + std::to_string(p.M) + "/N:" + std::to_string(p.N) + "/K:" + std::to_string(p.K) +
                              (p.transpose_a ? "/A^T" : "") + (p.transpose_b ? "/B^T" : "");
    benchmark::RegisterBenchmark(("gemm/fp32" + sizes).c_str(), gemm<float>, p)->UseRealTime();
    benchmark::RegisterBenchmark(("gemm/fp64" + sizes).c_str(), gemm<double>, p)->UseRealTime();
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
