#pragma once
// LoadWatch: finds by trial how many threads pay while other processes compete for the processors.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <utility>

#include "gptlite/core/shape.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace detail {

/// Watches the load by other processes and chooses the number of threads. Calm: all threads work, and spin between
/// regions. A thread that spins beside another process uses up its share of the processor and is preempted in the
/// middle of the next job, on which all others then wait. So each thread checks every 20 ms how often it was preempted.
/// If that keeps happening, threads sleep when they have nothing to do, and the watch tries numbers of threads, from
/// one to all, for 30 ms each. It keeps the one with the most work per second (processor time spent in jobs, a measure
/// that does not depend on which thread ran them) for 200 ms, then tries another again. It skips a number of threads
/// that cannot do more work than the best one does. Nothing is measured while it is calm. Without Linux's counters it
/// is always calm.
class LoadWatch {
 public:
  using Clock = std::chrono::steady_clock;
  using Nanoseconds = std::int64_t;

  /// One thread's count of how often it was preempted.
  struct Sample {
    Clock::time_point next{};
    long switches = 0;
    double recent = 0;  ///< decaying sum of switches
  };

  bool calm() const { return calm_.load(std::memory_order_relaxed); }
  /// How long an idle thread spins before it sleeps, in nanoseconds.
  Nanoseconds spin_time() const { return calm() ? 2'000'000 : 2'000; }

  /// Ends the calm.
  void disturb() { calm_.store(false, std::memory_order_relaxed); }
  /// Counts the calling thread's preemptions; each thread calls it between its jobs while it is calm.
  void look(Sample& sample, Clock::time_point now) {
    if (now < sample.next || !calm()) return;
    const long switches = involuntary_switches(), before = std::exchange(sample.switches, switches);
    // An older count says nothing about the last 20 ms.
    const bool valid = now < sample.next + 2 * interval;
    sample.next = now + interval;
    // Another process takes the processor every few milliseconds. Two or three isolated switches are the system's own
    // work: they come twice per second on an idle virtual machine.
    sample.recent = valid ? 0.75 * sample.recent + static_cast<double>(switches - before) : 0;
    if (sample.recent >= 6) {
      sample.recent = 0;
      disturb();
    }
  }

  /// The number of threads for the next region while it is not calm; `wanted` is the program's setting. Called by the
  /// thread that has the team, like record().
  int threads(int wanted) {
    if (wanted != wanted_) {
      wanted_ = wanted;
      count_ = 0;
      for (const int number : {1, wanted / 2, wanted * 3 / 4, wanted}) add_candidate(number);
      begin_search();
    } else if (was_calm_) {
      // The load came back at once: the calm was false, and the watch waits longer before it believes the next one.
      const bool false_calm = Clock::now() - calm_since_ < std::chrono::milliseconds(200);
      calm_pause_ = false_calm ? std::min<Clock::duration>(2 * calm_pause_, std::chrono::seconds(4)) : shortest_pause;
      begin_search();
    }
    return candidates_[current_].threads;
  }
  /// Records a region: the processor time of its jobs and its duration, in nanoseconds, and how often its threads were
  /// preempted.
  void record(Nanoseconds work, Nanoseconds duration, long switches) {
    work_ += work;
    duration_ += duration;
    switches_ += switches;
    if (duration_ < window) return;
    Candidate& candidate = candidates_[current_];
    candidate.rate = static_cast<double>(work_) / static_cast<double>(duration_);
    const Clock::time_point now = Clock::now();
    if (candidate.threads == wanted_ && switches_ == 0 && now >= next_calm_) {
      was_calm_ = true;
      calm_since_ = now;
      calm_.store(true, std::memory_order_relaxed);
    }
    next_candidate();
  }

  /// Processor time of the calling thread in nanoseconds; 0 where the system has no such clock.
  static Nanoseconds processor_time() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return Nanoseconds{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
#else
    return 0;
#endif
  }
  static long involuntary_switches() {
#if defined(RUSAGE_THREAD)
    rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
#else
    return 0;
#endif
  }

 private:
  struct Candidate {
    int threads = 1;
    double rate = 0;
  };
  static constexpr auto interval = std::chrono::milliseconds(20);
  static constexpr Nanoseconds window = 30'000'000;
  static constexpr int windows_of_best = 7;
  static constexpr Clock::duration shortest_pause = std::chrono::milliseconds(100);

  void add_candidate(int threads) {
    if (count_ == 0 || threads > candidates_[count_ - 1].threads) candidates_[count_++] = {threads, 0};
  }
  /// Starts to try every number of threads, all threads first.
  void begin_search() {
    was_calm_ = false;
    next_calm_ = Clock::now() + calm_pause_;
    untried_ = count_ - 1;
    current_ = count_ - 1;
    kept_ = 0;
    clear_window();
  }
  void next_candidate() {
    clear_window();
    const auto slower = [](const Candidate& a, const Candidate& b) { return a.rate < b.rate; };
    const auto best = static_cast<std::size_t>(
        std::max_element(candidates_.begin(), candidates_.begin() + static_cast<Index>(count_), slower) -
        candidates_.begin());
    // A thread does at most one second of work per second.
    const auto could_be_best = [&](std::size_t i) { return candidates_[i].threads > candidates_[best].rate; };
    while (untried_ > 0) {
      current_ = --untried_;
      if (could_be_best(current_)) return;
    }
    current_ = best;
    if (kept_ < windows_of_best) {
      ++kept_;
      return;
    }
    kept_ = 0;  // try another number in turn; all threads more often, since only they show that it is calm again
    turn_ = (turn_ + 1) % (2 * count_);
    const std::size_t other = turn_ < count_ ? turn_ : count_ - 1;
    if (could_be_best(other)) current_ = other;
  }
  void clear_window() { work_ = duration_ = switches_ = 0; }

  std::atomic<bool> calm_{true};
  std::array<Candidate, 4> candidates_{};
  std::size_t count_ = 0, current_ = 0, untried_ = 0, turn_ = 0;
  int wanted_ = 0, kept_ = 0;
  Nanoseconds work_ = 0, duration_ = 0;
  long switches_ = 0;
  bool was_calm_ = true;
  Clock::time_point calm_since_{}, next_calm_{};
  Clock::duration calm_pause_ = shortest_pause;
};

}  // namespace detail
}  // namespace gptlite::inline GPTLITE_ABI
