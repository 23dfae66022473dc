// What the machine can do: fused multiply-adds a second in fp32, fp64 and bf16, and bytes of memory read and copied a
// second, on all threads (OMP_NUM_THREADS). The other benchmarks state their speed as a share of these.
//
//   peak_benchmark

#include "support/report.hpp"

namespace {

// The numbers are the best of several runs, see support/peak.hpp; a case only prints one.
void print(benchmark::State& state, const char* counter, double value) {
  for (auto _ : state) benchmark::DoNotOptimize(value);
  state.counters[counter] = value;
}

}  // namespace

int main(int argc, char** argv) {
  const auto add = [](const char* name, const char* counter, double value) {
    bench::add(name, print, counter, value)->Iterations(1);
  };
  return bench::run(argc, argv, [&] {
    const bench::ComputePeak& compute = bench::compute_peak();
    const bench::MemoryPeak& memory = bench::memory_peak();
    add("peak/fp32", "FLOP/s", compute.fp32);
    add("peak/fp64", "FLOP/s", compute.fp64);
    add("peak/bf16", "FLOP/s", compute.bf16);
    add("peak/read", "bytes/s", memory.read);
    add("peak/copy", "bytes/s", memory.copy);
  });
}
