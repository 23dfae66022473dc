#pragma once
// parallel_for: loops over jobs on several threads. OpenMP sets their number and tells whether the program is in a
// parallel region already; the threads are those of thread_team.hpp. Without OpenMP jobs run on the calling thread
// alone.

#include <algorithm>
#include <atomic>

#include "gptlite/core/function_ref.hpp"
#include "gptlite/core/shape.hpp"
#include "gptlite/core/thread_team.hpp"

#if GPTLITE_OPENMP
#include <omp.h>
#endif

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
/// Documented global: the thread count set by set_num_threads; 0 means OpenMP's default.
inline std::atomic<int>& requested_threads() {
  static std::atomic<int> threads{0};  // documented global: see above
  return threads;
}
}  // namespace detail

/// Number of threads that the next parallel_for uses: the one set by set_num_threads, else OpenMP's default
/// (OMP_NUM_THREADS or the number of processors). 1 inside a parallel region and without OpenMP.
inline int num_threads() {
#if GPTLITE_OPENMP
  if (detail::ThreadTeam::inside() || omp_in_parallel()) return 1;
  const int requested = detail::requested_threads().load(std::memory_order_relaxed);
  return requested > 0 ? requested : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Sets the number of threads for gptlite alone, 1 to 1,024; the host program's OpenMP settings are never touched. 0
/// restores the default. No result depends on it: the order of every sum follows from the shapes, so results are
/// bitwise equal for any number of threads. Any thread may call it at any time. Throws ConfigError for a number outside
/// 0 to 1,024.
inline void set_num_threads(int threads) {
  check<ConfigError>(threads >= 0 && threads <= detail::ThreadTeam::most_threads, "set_num_threads",
                     "needs 0 (default) to ", detail::ThreadTeam::most_threads, " threads, got ", threads);
  detail::requested_threads().store(threads, std::memory_order_relaxed);
}

/// Calls job(0), job(1), ..., job(count - 1), in parallel and in any order. Jobs must write to disjoint memory. Inside
/// another parallel region, or while another thread of the program has the helpers, the jobs run one after the other on
/// the calling thread. If jobs throw, the exception of the lowest one is rethrown to the caller after the region; the
/// jobs after it may or may not have run. Where the system has no more threads, there are fewer helpers; it is not an
/// error.
inline void parallel_for(Index count, FunctionRef<void(Index)> job) {
#if GPTLITE_OPENMP
  const int threads = num_threads();
  if (count > 1 && threads > 1) {
    detail::ThreadTeam* const team = detail::ThreadTeam::instance();
    if (team != nullptr && team->run(count, threads, job)) return;
  }
#endif
  for (Index i = 0; i < count; ++i) job(i);
}

/// Splits 0..size into ranges of `grain` elements (the last may be shorter) and calls job(begin, end) for each, in
/// parallel. The ranges depend on size and grain alone.
inline void parallel_for_ranges(Index size, Index grain, FunctionRef<void(Index, Index)> job) {
  parallel_for((size + grain - 1) / grain, [&](Index i) { job(i * grain, std::min(size, (i + 1) * grain)); });
}

}  // namespace gptlite::inline GPTLITE_ABI
