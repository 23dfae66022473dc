#pragma once
// What the benchmark programs have in common: counters of speed and of its share of the machine's, names, and main.

#include <benchmark/benchmark.h>

#include <chrono>
#include <string>
#include <type_traits>
#include <utility>

#include "gptlite/core/precision.hpp"
#include "gptlite/version.hpp"
#include "peak.hpp"

namespace bench {

using gptlite::Precision;

/// "fp32", "bf16" or, for double, "fp64": how precisions are called in the names of benchmarks.
template <class T = float>
std::string precision_name(Precision precision) {
  if (std::is_same_v<T, double>) return "fp64";
  return precision == Precision::bf16 ? "bf16" : "fp32";
}
/// The FLOP/s that products of tensors of T could reach at a precision.
template <class T = float>
double product_peak(Precision precision) {
  if (std::is_same_v<T, double>) return compute_peak().fp64;
  return precision == Precision::bf16 ? compute_peak().bf16 : compute_peak().fp32;
}

namespace detail {
/// Adds a speed and its share of `peak`. The share is computed here: a counter that the library divides by the time is
/// printed as so much a second.
template <class F>
void time_loop(benchmark::State& state, const char* counter, double amount_a_call, double peak, F&& call) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  for (auto _ : state) {
    call();
    benchmark::ClobberMemory();
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const double amount = amount_a_call * static_cast<double>(state.iterations());
  state.counters[counter] = benchmark::Counter(amount, benchmark::Counter::kIsRate);
  state.counters["share_of_peak"] = amount / seconds / peak;
}
}  // namespace detail

/// Times `call`; adds FLOP/s and their share of `peak`.
template <class F>
void time_flops(benchmark::State& state, double flops_a_call, double peak, F&& call) {
  detail::time_loop(state, "FLOP/s", flops_a_call, peak, call);
}
/// Times `call`; adds bytes/s and their share of a copy's from memory to memory. Above 1 where a cache holds the
/// arrays.
template <class F>
void time_bytes(benchmark::State& state, double bytes_a_call, F&& call) {
  detail::time_loop(state, "bytes/s", bytes_a_call, memory_peak().copy, call);
}

/// Registers run(state, arguments...). Time is the clock's: the processor's would count all threads.
template <class Run, class... Arguments>
benchmark::internal::Benchmark* add(const std::string& name, Run run, Arguments... arguments) {
  return benchmark::RegisterBenchmark(name.c_str(), run, arguments...)->UseRealTime();
}

/// What the program was compiled with and runs on, into the head of the report.
inline void add_context() {
  using gptlite::kernels::simd::Vec;
  const auto number = [](auto value) { return std::to_string(value); };
  benchmark::AddCustomContext("gptlite", number(GPTLITE_VERSION_MAJOR) + "." + number(GPTLITE_VERSION_MINOR) + "." +
                                             number(GPTLITE_VERSION_PATCH));
  benchmark::AddCustomContext(
      "eigen", number(EIGEN_WORLD_VERSION) + "." + number(EIGEN_MAJOR_VERSION) + "." + number(EIGEN_MINOR_VERSION));
#if defined(__clang__)
  benchmark::AddCustomContext("compiler", "clang++ " __clang_version__);
#elif defined(__GNUC__)
  benchmark::AddCustomContext("compiler", "g++ " __VERSION__);
#endif
  benchmark::AddCustomContext("floats_a_vector", number(Vec<float>::width));
  benchmark::AddCustomContext("threads", number(gptlite::num_threads()));
}

/// The rest of main: reads the command line and runs what was registered. `measure` is called before, so that peaks
/// are taken from a machine at rest.
template <class Measure>
int run(int argc, char** argv, Measure&& measure) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add_context();
  measure();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace bench
