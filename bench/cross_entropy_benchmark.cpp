// Speed of the loss: cross_entropy of given logits, in bytes of logits a second, and linear_cross_entropy, which
// computes the logits too, in FLOP/s. For 65 characters and for GPT-2's 50,257 tokens.
//
//   cross_entropy_benchmark --benchmark_filter=V:50257

#include <cstdint>
#include <string>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/cross_entropy.hpp"
#include "support/report.hpp"

namespace {

using namespace gptlite;

struct Sizes {
  Index rows, V, C;  // tokens, vocabulary, channels before the head
};

Tensor<std::int32_t> targets(const Sizes& s) {
  Tensor<std::int32_t> result = Tensor<std::int32_t>::empty({s.rows});
  for (Index i = 0; i < s.rows; ++i) result.data()[i] = static_cast<std::int32_t>(i * 7919 % s.V);
  return result;
}

// The logits are read forward; with backward they are read once more and their gradient is written.
void cross_entropy_benchmark(benchmark::State& state, const Sizes& s, bool backward) {
  Tensor<float> logits = Tensor<float>::normal({s.rows, s.V}, 0, 1, {1, 1}).set_requires_grad(backward);
  const Tensor<std::int32_t> target = targets(s);
  const double bytes = (backward ? 3 : 1) * sizeof(float) * static_cast<double>(s.rows * s.V);
  bench::time_bytes(state, bytes, [&] {
    const Tensor<float> loss = cross_entropy(logits, target);
    if (backward) {
      loss.backward();
      logits.zero_grad();
    }
    benchmark::DoNotOptimize(loss.item());
  });
}

// One product forward, two more for the gradients of h and weight.
void linear_cross_entropy_benchmark(benchmark::State& state, const Sizes& s, Precision precision, bool backward) {
  const Autocast autocast(precision);
  Tensor<float> h = Tensor<float>::normal({s.rows, s.C}, 0, 1, {1, 1}).set_requires_grad(backward);
  Tensor<float> weight = Tensor<float>::normal({s.V, s.C}, 0, 0.02, {1, 2}).set_requires_grad(backward);
  const Tensor<std::int32_t> target = targets(s);
  const double flops = (backward ? 6 : 2) * static_cast<double>(s.rows * s.V) * static_cast<double>(s.C);
  bench::time_flops(state, flops, bench::product_peak(precision), [&] {
    const Tensor<float> loss = linear_cross_entropy(h, weight, target);
    if (backward) {
      loss.backward();
      h.zero_grad();
      weight.zero_grad();
    }
    benchmark::DoNotOptimize(loss.item());
  });
}

}  // namespace

int main(int argc, char** argv) {
  for (const Sizes& s : {Sizes{768, 65, 128}, Sizes{4096, 65, 384}, Sizes{256, 50257, 768}, Sizes{1024, 50257, 768}})
    for (const bool backward : {false, true}) {
      const std::string name = backward ? "cross_entropy_forward_backward" : "cross_entropy_forward";
      const std::string sizes = "/rows:" + std::to_string(s.rows) + "/V:" + std::to_string(s.V);
      bench::add(name + "/fp32" + sizes, cross_entropy_benchmark, s, backward)->Unit(benchmark::kMicrosecond);
      for (const Precision precision : {Precision::fp32, Precision::bf16})
        bench::add("linear_" + name + "/" + bench::precision_name(precision) + sizes + "/C:" + std::to_string(s.C),
                   linear_cross_entropy_benchmark, s, precision, backward)
            ->Unit(benchmark::kMicrosecond);
    }
  return bench::run(argc, argv, [] {
    bench::memory_peak();
    bench::compute_peak();
  });
}
