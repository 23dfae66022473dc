// Speed and memory of fused causal attention, forward and forward + backward, in fp32 and bf16, beside a naive version.
// FLOPs count the causal half: forward 2 products (2 B H T^2 D), backward 5 (5 B H T^2 D). `bytes` is the memory that
// one call needs.
//
//   attention_benchmark --benchmark_filter='attention_forward/.*T:256'

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/attention.hpp"
#include "support/report.hpp"

namespace {

using namespace gptlite;

struct Sizes {
  Index B, H, T, D, window = 0;

  /// Pairs of a query and a key that it sees, the diagonal counted half: T^2 / 2, or with a window what is left of it.
  double pairs() const {
    const double t = static_cast<double>(T), hidden = window == 0 || window >= T ? 0 : static_cast<double>(T - window);
    return (t * t - hidden * hidden) / 2;
  }
  double flops(double products) const { return 2 * products * static_cast<double>(B * H * D) * pairs(); }
  std::string name() const {
    return "B:" + std::to_string(B) + "/H:" + std::to_string(H) + "/T:" + std::to_string(T) +
           "/D:" + std::to_string(D) + (window > 0 ? "/window:" + std::to_string(window) : "");
  }
};

// Shapes of models first, then one head count over growing T.
const std::vector<Sizes> cases = {{12, 4, 64, 32},        {16, 6, 256, 64},  {4, 12, 64, 64},   {1, 8, 2048, 128},
                                  {4, 5, 77, 40},         {1, 12, 64, 64},   {1, 12, 128, 64},  {1, 12, 256, 64},
                                  {1, 12, 512, 64},       {1, 12, 1024, 64}, {1, 12, 2048, 64}, {1, 12, 4096, 64},
                                  {1, 12, 4096, 64, 256}, {1, 12, 8192, 64}, {1, 12, 16384, 64}};

Tensor<float> projection(const Sizes& s) { return Tensor<float>::normal({s.B, s.T, 3 * s.H * s.D}, 0, 1, {1, 1}); }
AttentionOptions options(const Sizes& s) { return {.n_head = s.H, .window = s.window}; }

// y = softmax(q k^T / sqrt(D), causal) v, one element after the other.
std::vector<float> naive(const Tensor<float>& qkv, const Sizes& s) {
  const Index C = s.H * s.D, window = s.window == 0 ? s.T : s.window;
  std::vector<float> y(static_cast<std::size_t>(s.B * s.T * C));
  std::vector<double> p(static_cast<std::size_t>(s.T));
  for (Index b = 0; b < s.B; ++b)
    for (Index h = 0; h < s.H; ++h)
      for (Index i = 0; i < s.T; ++i) {
        const float* q = qkv.data() + (b * s.T + i) * 3 * C + h * s.D;
        const Index first = std::max<Index>(0, i - window + 1);
        double largest = -HUGE_VAL, sum = 0;
        for (Index j = first; j <= i; ++j) {
          const float* k = qkv.data() + (b * s.T + j) * 3 * C + C + h * s.D;
          double dot = 0;
          for (Index d = 0; d < s.D; ++d) dot += static_cast<double>(q[d]) * static_cast<double>(k[d]);
          p[static_cast<std::size_t>(j)] = dot / std::sqrt(static_cast<double>(s.D));
          largest = std::max(largest, p[static_cast<std::size_t>(j)]);
        }
        for (Index j = first; j <= i; ++j)
          sum += p[static_cast<std::size_t>(j)] = std::exp(p[static_cast<std::size_t>(j)] - largest);
        for (Index d = 0; d < s.D; ++d) {
          double out = 0;
          for (Index j = first; j <= i; ++j)
            out += p[static_cast<std::size_t>(j)] / sum *
                   static_cast<double>(qkv.data()[(b * s.T + j) * 3 * C + 2 * C + h * s.D + d]);
          y[static_cast<std::size_t>((b * s.T + i) * C + h * s.D + d)] = static_cast<float>(out);
        }
      }
  return y;
}

// Nothing is timed that does not agree.
void require_agreement() {
  for (const Sizes& s : {Sizes{2, 3, 77, 40}, Sizes{1, 2, 300, 64}, Sizes{1, 2, 300, 64, 70}})
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      const Autocast autocast(precision);
      const Tensor<float> qkv = projection(s);
      const std::vector<float> expected = naive(qkv, s), got = attention(qkv, options(s)).to_vector();
      const float tolerance = precision == Precision::bf16 ? 2e-2f : 1e-5f;
      for (std::size_t i = 0; i < got.size(); ++i)
        if (!(std::abs(got[i] - expected[i]) < tolerance)) {
          std::cerr << "attention of " << s.name() << " in " << bench::precision_name(precision)
                    << " disagrees with the naive version at element " << i << ": " << got[i] << ", " << expected[i]
                    << '\n';
          std::exit(1);
        }
    }
}

// The memory that `call` needs beside its arguments: what it returns, saves for backward and works in. Measured, not
// computed from sizes: freed blocks stay in the cache of storages, so if the cache is empty before the call, it holds
// every block that the call took once the call has freed them all. Resident memory would say the same less exactly.
template <class F>
double bytes_needed(F&& call) {
  release_cached_memory();
  call();
  return static_cast<double>(cached_memory());
}

void attention_forward(benchmark::State& state, const Sizes& s, Precision precision) {
  const Autocast autocast(precision);
  const Tensor<float> qkv = projection(s);
  const auto call = [&] { benchmark::DoNotOptimize(attention(qkv, options(s))); };
  state.counters["bytes"] = bytes_needed(call);
  bench::time_flops(state, s.flops(2), bench::product_peak(precision), call);
}

void attention_forward_backward(benchmark::State& state, const Sizes& s, Precision precision) {
  const Autocast autocast(precision);
  Tensor<float> qkv = projection(s).set_requires_grad();
  const Tensor<float> dy = Tensor<float>::normal({s.B, s.T, s.H * s.D}, 0, 1, {1, 2});
  const auto call = [&] {
    attention(qkv, options(s)).backward(dy);
    qkv.zero_grad();
  };
  state.counters["bytes"] = bytes_needed(call);
  bench::time_flops(state, s.flops(7), bench::product_peak(precision), call);
}

void attention_naive(benchmark::State& state, const Sizes& s) {
  const Tensor<float> qkv = projection(s);
  bench::time_flops(state, s.flops(2), bench::product_peak(Precision::fp32),
                    [&] { benchmark::DoNotOptimize(naive(qkv, s)); });
}

}  // namespace

int main(int argc, char** argv) {
  const auto add = [](std::string name, const Sizes& s, auto run, auto... precision) {
    bench::add(name += s.name(), run, s, precision...)->Unit(benchmark::kMillisecond);
  };
  for (const Sizes& s : cases) {
    add("attention_forward/fp32/", s, attention_forward, Precision::fp32);
    add("attention_forward/bf16/", s, attention_forward, Precision::bf16);
    add("attention_forward_backward/fp32/", s, attention_forward_backward, Precision::fp32);
    add("attention_forward_backward/bf16/", s, attention_forward_backward, Precision::bf16);
  }
  add("attention_naive/fp32/", cases[0], attention_naive);
  add("attention_naive/fp32/", {1, 12, 256, 64}, attention_naive);
  return bench::run(argc, argv, [] {
    require_agreement();
    bench::compute_peak();
  });
}
