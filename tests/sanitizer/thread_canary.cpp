// Tells whether ThreadSanitizer sees what it must: two programs with a race, which it must report, and two without,
// which it must not; one of each with OpenMP's threads and with those of parallel_for. tests/CMakeLists.txt expects it.

#include <omp.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string_view>
#include <thread>

#include "gptlite/core/parallel.hpp"

using namespace gptlite;

namespace {

// Returns true once two threads have called it, false after `most`. Relaxed: it orders nothing, so that a race after it
// stays one.
bool meet(std::atomic<int>& arrived, std::chrono::milliseconds most) {
  arrived.fetch_add(1, std::memory_order_relaxed);
  const auto end = std::chrono::steady_clock::now() + most;
  while (arrived.load(std::memory_order_relaxed) < 2 && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  return arrived.load(std::memory_order_relaxed) >= 2;
}

using Job = std::function<void(int)>;

// Calls job(0) and job(1) on a thread each.
void run_with_openmp(const Job& job) {
#pragma omp parallel num_threads(2)
  job(omp_get_thread_num());
}
void run_with_parallel_for(const Job& job) {
  set_num_threads(2);
  parallel_for(2, [&](Index i) { job(static_cast<int>(i)); });
}

// Both jobs count in one variable that nothing protects.
int race(void (*run)(const Job&)) {
  std::atomic<int> arrived = 0;
  std::atomic<bool> met = true;
  int count = 0;
  run([&](int) {
    if (!meet(arrived, std::chrono::seconds(30))) met = false;
    ++count;
  });
  if (!met) std::puts("the two jobs did not run at the same time");
  return count;
}

// Each job writes an element of its own, which the caller reads and writes between the regions, as kernels do.
int no_race(void (*run)(const Job&)) {
  int counts[2] = {0, 0}, sum = 0;
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::atomic<int> arrived = 0;
    run([&](int i) {
      meet(arrived, std::chrono::milliseconds(10));  // parallel_for may take one thread on a busy machine
      counts[i] += sum % 1000;
    });
    sum = ++counts[0] + ++counts[1];
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc == 2 ? argv[1] : "";
  int result = 0;
  if (name == "racy_openmp")
    result = race(run_with_openmp);
  else if (name == "racy_parallel_for")
    result = race(run_with_parallel_for);
  else if (name == "correct_openmp")
    result = no_race(run_with_openmp);
  else if (name == "correct_parallel_for")
    result = no_race(run_with_parallel_for);
  else
    return 2;
  std::printf("%s ends with %d\n", argv[1], result);
}
