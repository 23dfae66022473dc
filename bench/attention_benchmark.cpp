// Speed of fused causal attention, forward and forward + backward, beside a naive version that stores the (T, T)
// matrix. FLOPs count the causal half: forward 2 products (2 B H T^2 D), backward 5 (5 B H T^2 D).
//
//   attention_benchmark --benchmark_filter='attention_forward/.*T:256'

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/attention.hpp"

namespace {

using namespace gptlite;

struct Sizes {
  Index B, H, T, D;
};
const std::vector<Sizes> cases = {{12, 4, 64, 32},   {16, 6, 256, 64},  {4, 12, 64, 64}, {1, 12, 1024, 64},
                                  {1, 12, 4096, 64}, {1, 8, 2048, 128}, {4, 5, 77, 40}};

Tensor<float> projection(const Sizes& s) { return Tensor<float>::normal({s.B, s.T, 3 * s.H * s.D}, 0, 1, {1, 1}); }

// y = softmax(q k^T / sqrt(D), causal) v, one element after the other.
std::vector<float> naive(const Tensor<float>& qkv, const Sizes& s) {
  const Index C = s.H * s.D;
  std::vector<float> y(static_cast<std::size_t>(s.B * s.T * C));
  std::vector<double> p(static_cast<std::size_t>(s.T));
  for (Index b = 0; b < s.B; ++b)
    for (Index h = 0; h < s.H; ++h)
      for (Index i = 0; i < s.T; ++i) {
        const float* q = qkv.data() + (b * s.T + i) * 3 * C + h * s.D;
        double largest = -HUGE_VAL, sum = 0;
        for (Index j = 0; j <= i; ++j) {
          const float* k = qkv.data() + (b * s.T + j) * 3 * C + C + h * s.D;
          double dot = 0;
          for (Index d = 0; d < s.D; ++d) dot += static_cast<double>(q[d]) * static_cast<double>(k[d]);
          p[static_cast<std::size_t>(j)] = dot / std::sqrt(static_cast<double>(s.D));
          largest = std::max(largest, p[static_cast<std::size_t>(j)]);
        }
        for (Index j = 0; j <= i; ++j)
          sum += p[static_cast<std::size_t>(j)] = std::exp(p[static_cast<std::size_t>(j)] - largest);
        for (Index d = 0; d < s.D; ++d) {
          double out = 0;
          for (Index j = 0; j <= i; ++j)
            out += p[static_cast<std::size_t>(j)] / sum *
                   static_cast<double>(qkv.data()[(b * s.T + j) * 3 * C + 2 * C + h * s.D + d]);
          y[static_cast<std::size_t>((b * s.T + i) * C + h * s.D + d)] = static_cast<float>(out);
        }
      }
  return y;
}

// Nothing is timed that does not agree.
void require_agreement() {
  for (const Sizes& s : {Sizes{2, 3, 77, 40}, Sizes{1, 2, 300, 64}}) {
    const Tensor<float> qkv = projection(s);
    const std::vector<float> expected = naive(qkv, s), got = causal_attention(qkv, {.n_head = s.H}).to_vector();
    for (std::size_t i = 0; i < got.size(); ++i)
      if (!(std::abs(got[i] - expected[i]) < 1e-5f)) {
        std::cerr << "attention disagrees with the naive version at element " << i << ": " << got[i] << ", "
                  << expected[i] << '\n';
        std::exit(1);
      }
  }
}

void count_flops(benchmark::State& state, const Sizes& s, double products) {
  const double flops = products * static_cast<double>(s.B * s.H * s.T) * static_cast<double>(s.T * s.D);
  state.counters["FLOP/s"] =
      benchmark::Counter(flops * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void attention_forward(benchmark::State& state, const Sizes& s) {
  const Tensor<float> qkv = projection(s);
  for (auto _ : state) benchmark::DoNotOptimize(causal_attention(qkv, {.n_head = s.H}));
  count_flops(state, s, 2);
}

void attention_forward_backward(benchmark::State& state, const Sizes& s) {
  Tensor<float> qkv = projection(s).set_requires_grad();
  const Tensor<float> dy = Tensor<float>::normal({s.B, s.T, s.H * s.D}, 0, 1, {1, 2});
  for (auto _ : state) {
    causal_attention(qkv, {.n_head = s.H}).backward(dy);
    qkv.zero_grad();
  }
  count_flops(state, s, 7);
}

void attention_naive(benchmark::State& state, const Sizes& s) {
  const Tensor<float> qkv = projection(s);
  for (auto _ : state) benchmark::DoNotOptimize(naive(qkv, s));
  count_flops(state, s, 2);
}

}  // namespace

int main(int argc, char** argv) {
  require_agreement();
  const auto add = [](const std::string& name, const Sizes& s, auto run) {
    const std::string sizes = "/fp32/B:" + std::to_string(s.B) + "/H:" + std::to_string(s.H) +
                              "/T:" + std::to_string(s.T) + "/D:" + std::to_string(s.D);
    benchmark::RegisterBenchmark((name + sizes).c_str(), run, s)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  for (const Sizes& s : cases) {
    add("attention_forward", s, attention_forward);
    add("attention_forward_backward", s, attention_forward_backward);
  }
  add("attention_naive", cases[0], attention_naive);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
