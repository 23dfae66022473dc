#pragma once
// ThreadTeam: the threads of parallel_for. Threads help with a region, they do not belong to it: the caller takes the
// jobs that no helper has begun, so a preempted thread delays nothing but its own job. (A team of OpenMP waits for each
// of its threads at the end of each region, for milliseconds if another process has the processor.) No result depends
// on which thread runs a job.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "gptlite/core/function_ref.hpp"
#include "gptlite/core/load_watch.hpp"
#include "gptlite/core/shape.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace detail {

/// Lets a thread that waits in a loop leave the core's resources to its other hardware thread.
inline void relax_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("yield");
#endif
}

/// Documented global: the helper threads of all regions, started when first needed. One region at a time has them.
class ThreadTeam {
 public:
  static constexpr int most_threads = 1024;

  /// The team; null if there is no memory for one. It is never destroyed, since its threads wait in it when the program
  /// ends. A forked child, which has none of the threads, starts a new team.
  static ThreadTeam* instance() {
    static std::atomic<ThreadTeam*> team{nullptr};  // documented global: see above
#if defined(__unix__) || defined(__APPLE__)
    [[maybe_unused]] static const int registered =
        pthread_atfork(nullptr, nullptr, [] { team.store(nullptr, std::memory_order_relaxed); });
#endif
    ThreadTeam* current = team.load(std::memory_order_acquire);
    if (current == nullptr) {
      ThreadTeam* const fresh = new (std::nothrow) ThreadTeam;
      if (fresh == nullptr) return nullptr;
      if (team.compare_exchange_strong(current, fresh, std::memory_order_acq_rel))
        current = fresh;
      else
        delete fresh;  // another thread was first
    }
    return current;
  }
  /// True on a thread that is running a job.
  static bool& inside() {
    thread_local bool inside = false;  // documented global, one per thread
    return inside;
  }

  /// Runs job(0) ... job(count - 1) on the caller and up to threads - 1 helpers. Returns false, and runs nothing, while
  /// another thread has the helpers. Rethrows the exception of the lowest job that throws.
  bool run(Index count, int threads, FunctionRef<void(Index)> job) {
    const std::unique_lock region(region_mutex_, std::try_to_lock);
    if (!region.owns_lock()) return false;
    const auto at_most = [count](int number) { return static_cast<int>(std::min<Index>(number, count)); };
    threads = start(threads);
    thread_local LoadWatch::Sample sample;  // documented global, one per thread: how often it was preempted
    if (watch_.calm()) {
      run_region(count, at_most(threads), job, sample);
    } else {
      const LoadWatch::Clock::time_point begin = LoadWatch::Clock::now();
      run_region(count, at_most(watch_.threads(threads)), job, sample);
      watch_.record(work_time_.exchange(0), (LoadWatch::Clock::now() - begin) / std::chrono::nanoseconds(1),
                    switches_.exchange(0));
    }
    if (error_) {
      const std::exception_ptr error = std::exchange(error_, nullptr);
      std::rethrow_exception(error);
    }
    return true;
  }

 private:
  /// A thread's share of a region: the number of the region and how many blocks of the share are left, in one word, so
  /// a thread that comes late takes nothing from the next region by mistake.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> ticket{0};
  };

  ThreadTeam() = default;

  void run_region(Index count, int threads, FunctionRef<void(Index)> job, LoadWatch::Sample& sample) {
    // Each thread starts with its own share of the jobs, in blocks. The share is the same in each region: the data it
    // wrote in the last one is in its core's cache. A thread that is done helps with the shares of others.
    block_ = std::max<Index>(1, count / (64 * threads));
    count_ = count;
    job_ = &job;
    const Index blocks = (count + block_ - 1) / block_;
    blocks_ = blocks;
    threads_.store(threads, std::memory_order_relaxed);
    pending_.store(static_cast<std::uint32_t>(blocks), std::memory_order_relaxed);
    const std::uint32_t number = number_.load(std::memory_order_relaxed) + 1;
    for (Index t = 0; t < threads; ++t)
      shares_[static_cast<std::size_t>(t)].ticket.store(
          std::uint64_t{number} << 32 | static_cast<std::uint64_t>(end(t) - end(t - 1)), std::memory_order_release);
    number_.store(number);  // sequentially consistent with the check for sleepers, or a wake-up could be lost
    if (threads > 1) number_.notify_all();
    inside() = true;
    work(0, number);
    inside() = false;
    wait(
        pending_, [](std::uint32_t left) { return left == 0; }, sample);
    job_ = nullptr;
  }

  /// Starts helpers until there are `threads` including the caller, if the system allows it. Returns how many there
  /// are.
  int start(int threads) noexcept {
    threads = std::min(threads, most_threads);
    if (running_ < threads && refused_ && LoadWatch::Clock::now() < next_start_) return running_;
    refused_ = false;
    while (running_ < threads) {
#if defined(__unix__) || defined(__APPLE__)
      sigset_t all, before;  // the program's own threads handle signals
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
      bool started = true;
      try {
        std::thread([this, self = running_, seen = number_.load(std::memory_order_relaxed)] {
          help(self, seen);
        }).detach();
      } catch (...) {  // the system has no more threads or no memory for one: the existing ones do the work
        started = false;
      }
#if defined(__unix__) || defined(__APPLE__)
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
      if (!started) {
        refused_ = true;
        next_start_ = LoadWatch::Clock::now() + std::chrono::milliseconds(100);
        break;
      }
      ++running_;
    }
    return std::min(threads, running_);
  }

  /// Runs a helper: waits for a region, then works on it, forever.
  [[noreturn]] void help(int self, std::uint32_t seen) {
    inside() = true;
    LoadWatch::Sample sample;
    for (;;) {
      wait(
          number_, [seen](std::uint32_t number) { return number != seen; }, sample);
      seen = number_.load(std::memory_order_acquire);
      if (self >= threads_.load(std::memory_order_relaxed)) continue;
      work(self, seen);
    }
  }

  /// One past the last block of share t.
  Index end(Index t) const { return blocks_ * (t + 1) / threads_.load(std::memory_order_relaxed); }

  /// Runs blocks of region `number` until none is left to start. While it is not calm, records the time spent; time
  /// recorded late counts for the next region.
  void work(int self, std::uint32_t number) {
    if (watch_.calm()) return run_blocks(self, number);
    const LoadWatch::Nanoseconds used = LoadWatch::processor_time();
    const long switches = LoadWatch::involuntary_switches();
    run_blocks(self, number);
    work_time_.fetch_add(LoadWatch::processor_time() - used, std::memory_order_relaxed);
    switches_.fetch_add(LoadWatch::involuntary_switches() - switches, std::memory_order_relaxed);
  }

  void run_blocks(int self, std::uint32_t number) {
    const int threads = threads_.load(std::memory_order_relaxed);
    for (int i = 0; i < threads; ++i) {
      const int share = (self + i) % threads;
      std::atomic<std::uint64_t>& left = shares_[static_cast<std::size_t>(share)].ticket;
      std::uint64_t ticket = left.load(std::memory_order_acquire);
      while (ticket >> 32 == number && static_cast<std::uint32_t>(ticket) != 0) {
        if (!left.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
        // From here to the end of run_block() the region cannot end: this block of it has started and is not finished.
        run_block(end(share) - static_cast<Index>(static_cast<std::uint32_t>(ticket)));
        ticket = left.load(std::memory_order_acquire);
      }
    }
  }

  void run_block(Index block) {
    const Index last = std::min(count_, (block + 1) * block_);
    for (Index i = block * block_; i < last; ++i) {
      try {
        (*job_)(i);
      } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (!error_ || i < error_job_) {
          error_job_ = i;
          error_ = std::current_exception();
        }
      }
    }
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }

  /// Returns once done(value) is true: spins for a while, then sleeps.
  template <class Done>
  void wait(std::atomic<std::uint32_t>& value, Done done, LoadWatch::Sample& sample) {
    std::uint32_t current = value.load(std::memory_order_acquire);
    if (done(current)) return;
    const LoadWatch::Clock::time_point begin = LoadWatch::Clock::now();
    watch_.look(sample, begin);
    // With more threads than processors, spinning threads are always in each other's way.
    const std::chrono::nanoseconds spin(fits_the_processors() ? watch_.spin_time() : 0);
    do {
      for (int i = 0; i < 16; ++i) {
        relax_processor();
        current = value.load(std::memory_order_acquire);
        if (done(current)) return;
      }
    } while (LoadWatch::Clock::now() - begin < spin);
    while (!done(current)) {
      value.wait(current, std::memory_order_acquire);
      current = value.load(std::memory_order_acquire);
    }
  }
  bool fits_the_processors() const { return threads_.load(std::memory_order_relaxed) <= processors_; }

  const int processors_ = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::mutex region_mutex_, error_mutex_;
  std::array<Share, most_threads> shares_;
  alignas(64) std::atomic<std::uint32_t> number_{0};   // number of the current or last region
  alignas(64) std::atomic<std::uint32_t> pending_{0};  // blocks that are not finished
  std::atomic<int> threads_{1};                        // threads that take part, including the caller
  // State of the current region; helpers read it only while they run one of its blocks.
  Index count_ = 0, block_ = 1, blocks_ = 0, error_job_ = 0;
  FunctionRef<void(Index)>* job_ = nullptr;
  std::exception_ptr error_;
  int running_ = 1;
  // The system refused a thread: it is asked again from next_start_ on, not for each region.
  bool refused_ = false;
  LoadWatch::Clock::time_point next_start_{};
  LoadWatch watch_;
  std::atomic<LoadWatch::Nanoseconds> work_time_{0};  // sum over all threads, while it is not calm
  std::atomic<long> switches_{0};
};

}  // namespace detail
}  // namespace gptlite::inline GPTLITE_ABI
