#pragma once
// What the machine can do, measured: products a second in fp32, fp64 and bf16, and bytes of memory a second, on
// num_threads() threads. Benchmarks state their own speed as a share of it.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <limits>

#include "gptlite/core/parallel.hpp"
#include "gptlite/core/storage.hpp"
#include "gptlite/kernels/gemm/operand_format.hpp"

namespace bench {

using gptlite::Index;

/// FLOP/s of all threads together. A multiplication and an addition count as two. fp32 and fp64 are of FMAs; fp32
/// products that AMX computes (kernels::Bf16x3Format) may exceed them.
struct ComputePeak {
  double fp32 = 0, fp64 = 0, bf16 = 0;
};

/// Bytes/s of all threads together, of arrays that no cache holds. A copied byte counts twice: read and written.
struct MemoryPeak {
  double read = 0, copy = 0;
};

namespace detail {

/// Seconds of the fastest of a few calls. What disturbs a measurement only ever makes it slower.
template <class F>
double fastest(int calls, F&& f) {
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < calls; ++i) {
    const Clock::time_point begin = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

/// Twelve sums that do not wait for each other: more than the latency times the throughput of any processor's fused
/// multiply-add, and few enough for 16 registers. Returns their sum, which the caller must use.
template <class T, class Step>
T run_steps(Index steps, Step step) {
  using V = gptlite::kernels::simd::Vec<T>;
  std::array<V, 12> sums;
  sums.fill(V::zero());
  for (Index i = 0; i < steps; ++i)
    for (V& sum : sums) sum = step(sum);
  V total = V::zero();
  for (const V& sum : sums) total = total + sum;
  return gptlite::kernels::simd::reduce_sum(total);
}

/// FLOP/s of all threads, each of which takes `flops` a step of run(steps, thread): the best of seven runs of 20 ms.
template <class Run>
double flops_per_second(double flops, Run run) {
  const int threads = gptlite::num_threads();
  const auto all = [&](Index steps) { gptlite::parallel_for(threads, [&](Index thread) { run(steps, thread); }); };
  Index steps = 1 << 16;
  while (fastest(1, [&] { all(steps); }) < 0.02) steps *= 2;
  const double seconds = fastest(7, [&] { all(steps); });
  return flops * static_cast<double>(steps) * threads / seconds;
}

/// The same of `step`, which adds products_a_lane products to each lane of a vector.
template <class T, class Step>
double vector_peak(double products_a_lane, Step step) {
  const gptlite::Storage<T> results = gptlite::Storage<T>::zeros(gptlite::num_threads());
  const double lanes = 12.0 * static_cast<double>(gptlite::kernels::simd::Vec<T>::width);
  const double rate = flops_per_second(2 * products_a_lane * lanes, [&](Index steps, Index thread) {
    results.data()[thread] += run_steps<T>(steps, step);
  });
  volatile T used = results.data()[0];  // so that no run is left out
  static_cast<void>(used);
  return rate;
}

template <class T>
double fma_peak() {
  using V = gptlite::kernels::simd::Vec<T>;
  volatile T factor = T(0.5);  // the compiler must not know it
  const V a = V::broadcast(factor), b = V::broadcast(factor);
  return vector_peak<T>(1, [a, b](V sum) { return gptlite::kernels::simd::fma(a, b, sum); });
}

#if GPTLITE_HAS_AMX
/// Four products of 16 x 32 and 32 x 16 numbers a step.
inline double amx_peak() {
  return flops_per_second(4 * 2 * 16 * 16 * 32, [](Index steps, Index) {
    const gptlite::kernels::simd::AmxRegisters registers;
    for (Index i = 0; i < steps; ++i) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  });
}
#endif

/// AMX or products of pairs where the machine has fast ones. Elsewhere bf16 products are computed with fp32's.
inline double bf16_peak(double fp32) {
  namespace simd = gptlite::kernels::simd;
#if GPTLITE_HAS_AMX
  if (simd::amx_is_usable()) return amx_peak();
#endif
  if constexpr (simd::has_bf16_pairs) {
    using V = simd::Vec<float>;
    volatile float factor = 0.5f;  // its upper half is the bfloat16 0.5, its lower half 0
    const V a = V::broadcast(factor), b = V::broadcast(factor);
    if (gptlite::kernels::bf16_pairs_are_fast())
      return vector_peak<float>(2, [a, b](V sum) { return simd::dot_pairs(a, b, sum); });
  }
  return fp32;
}

inline ComputePeak measure_compute() {
  ComputePeak peak;
  peak.fp32 = fma_peak<float>();
  peak.fp64 = fma_peak<double>();
  peak.bf16 = bf16_peak(peak.fp32);
  return peak;
}

inline MemoryPeak measure_memory() {
  namespace simd = gptlite::kernels::simd;
  constexpr Index bytes = Index{512} << 20, n = bytes / Index{sizeof(float)}, piece = Index{1} << 20;
  MemoryPeak peak;
  {
    // Two halves of 512 MB in all: no cache of a processor of today holds them.
    const gptlite::Storage<float> memory(n), sums(n / piece);
    gptlite::parallel_for(n / piece, [&](Index i) { std::fill_n(memory.data() + i * piece, piece, 1.0f); });
    peak.read = static_cast<double>(bytes) / fastest(5, [&] {
                  gptlite::parallel_for(n / piece, [&](Index i) {
                    sums.data()[i] = simd::sum_of(
                        piece, [](simd::Vec<float> v) { return v; }, memory.data() + i * piece);
                  });
                });
    peak.copy = static_cast<double>(bytes) / fastest(5, [&] {
                  gptlite::parallel_for(n / piece / 2, [&](Index i) {
                    std::memcpy(memory.data() + n / 2 + i * piece, memory.data() + i * piece,
                                static_cast<std::size_t>(piece) * sizeof(float));
                  });
                });
  }
  gptlite::release_cached_memory();
  return peak;
}

}  // namespace detail

/// Measured at the first call. Call it before anything is timed, on a machine that does nothing else.
inline const ComputePeak& compute_peak() {
  static const ComputePeak peak = detail::measure_compute();
  return peak;
}
inline const MemoryPeak& memory_peak() {
  static const MemoryPeak peak = detail::measure_memory();
  return peak;
}

}  // namespace bench
