// parallel_for: every job once, exceptions, nesting, and the number of threads.

#include "gptlite/core/parallel.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/throws.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace gptlite;

TEST_CASE("every job runs once for any number of threads") {
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    for (const Index count : {0, 1, 2, 3, 5, 100}) {
      std::vector<int> runs(static_cast<std::size_t>(count));
      parallel_for(count, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
      CHECK(runs == std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  }
  set_num_threads(0);
}

TEST_CASE("ranges cover everything in pieces of the grain whatever the number of threads") {
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    std::vector<std::pair<Index, Index>> ranges(4);
    parallel_for_ranges(10, 3, [&](Index begin, Index end) {
      ranges[static_cast<std::size_t>(begin / 3)] = {begin, end};
    });
    CHECK((ranges == std::vector<std::pair<Index, Index>>{{0, 3}, {3, 6}, {6, 9}, {9, 10}}));
    int calls = 0;
    parallel_for_ranges(0, 3, [&](Index, Index) { ++calls; });
    CHECK(calls == 0);
    parallel_for_ranges(3, 3, [&](Index begin, Index end) { calls += begin == 0 && end == 3 ? 1 : 100; });
    CHECK(calls == 1);
  }
  set_num_threads(0);
}

TEST_CASE("the exception of the lowest job that throws comes out") {
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      const auto run = [] {
        parallel_for(64, [](Index i) {
          if (i == 63 || i == 40 || i == 17) throw std::runtime_error("job " + std::to_string(i));
        });
      };
      REQUIRE(message_of<std::runtime_error>(run) == "job 17");
    }
  }
  set_num_threads(0);
}

#if GPTLITE_OPENMP
TEST_CASE("jobs are spread over the threads asked for") {
  set_num_threads(3);
  CHECK(num_threads() == 3);
  std::vector<std::thread::id> ids(3);
  parallel_for(3, [&](Index i) {
    ids[static_cast<std::size_t>(i)] = std::this_thread::get_id();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // else the first may do them all
  });
  CHECK(ids[0] != ids[1]);
  CHECK(ids[0] != ids[2]);
  CHECK(ids[1] != ids[2]);
  set_num_threads(0);
}

TEST_CASE("set_num_threads leaves the OpenMP settings of the host alone") {
  const int host = omp_get_max_threads();
  set_num_threads(host + 3);
  CHECK(num_threads() == host + 3);
  parallel_for(8, [](Index) {});
  CHECK(omp_get_max_threads() == host);
  set_num_threads(0);
  CHECK(num_threads() == host);
  omp_set_num_threads(host + 1);  // the host's own choice is the default
  CHECK(num_threads() == host + 1);
  omp_set_num_threads(host);
}

TEST_CASE("inside a parallel region of the host jobs run on the calling thread") {
  set_num_threads(2);
  const int levels = omp_get_max_active_levels();
  omp_set_max_active_levels(2);  // the host allows regions inside regions
  bool alone = true;
#pragma omp parallel num_threads(2) reduction(&& : alone)
  {
    const auto caller = std::this_thread::get_id();
    parallel_for(8, [&](Index) { alone = alone && std::this_thread::get_id() == caller; });
  }
  CHECK(alone);
  omp_set_max_active_levels(levels);
  set_num_threads(0);
}
#else
TEST_CASE("without OpenMP everything runs on the calling thread") {
  set_num_threads(4);
  CHECK(num_threads() == 1);
  parallel_for(8, [caller = std::this_thread::get_id()](Index) { CHECK(std::this_thread::get_id() == caller); });
  set_num_threads(0);
}
#endif

TEST_CASE("nested calls run their jobs in order on the thread of the outer job") {
  set_num_threads(4);
  std::vector<std::vector<Index>> order(4);
  std::vector<int> elsewhere(4);
  parallel_for(4, [&](Index i) {
    const auto at = static_cast<std::size_t>(i);
    const auto outer = std::this_thread::get_id();
    parallel_for(6, [&](Index j) {
      order[at].push_back(j);
      elsewhere[at] += std::this_thread::get_id() == outer ? 0 : 1;
    });
  });
  CHECK(order == std::vector<std::vector<Index>>(4, {0, 1, 2, 3, 4, 5}));
  CHECK(elsewhere == std::vector<int>(4, 0));
  set_num_threads(0);
}

#if GPTLITE_OPENMP
TEST_CASE("the caller does not wait for a helper that has begun nothing, and helpers finish what they began") {
  set_num_threads(4);
  for (int repeat = 0; repeat < 2000; ++repeat) {  // many short regions of changing size: no job is lost or done twice
    const Index count = 2 + repeat % 37;
    std::vector<int> runs(static_cast<std::size_t>(count));
    parallel_for(count, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
    REQUIRE(runs == std::vector<int>(static_cast<std::size_t>(count), 1));
  }
  set_num_threads(0);
}

TEST_CASE("two threads of the program may both run regions") {
  set_num_threads(3);
  const auto many = [](int& wrong) {
    for (int repeat = 0; repeat < 500; ++repeat) {
      std::vector<int> runs(20);
      parallel_for(20, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
      wrong += runs != std::vector<int>(20, 1);
    }
  };
  int first = 0, second = 0;
  std::thread other(many, std::ref(first));
  many(second);
  other.join();
  CHECK(first == 0);
  CHECK(second == 0);
  set_num_threads(0);
}

#if defined(__unix__)
TEST_CASE("a forked child runs regions as its parent does") {
  set_num_threads(3);
  // Threads that run jobs at the same time, of `count` jobs that last a while.
  const auto threads_at_work = [](Index count) {
    std::vector<std::thread::id> ids(static_cast<std::size_t>(count));
    parallel_for(count, [&](Index i) {
      ids[static_cast<std::size_t>(i)] = std::this_thread::get_id();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    });
    return std::set<std::thread::id>(ids.begin(), ids.end()).size();
  };
  const auto sum = [] {
    std::vector<Index> squares(50);
    parallel_for(50, [&](Index i) { squares[static_cast<std::size_t>(i)] = i * i; });
    return std::accumulate(squares.begin(), squares.end(), Index{0});
  };
  const Index expected = sum();
  // A sanitizer's locks are not safe across fork() while a thread starts: both helpers are at work before.
  for (int attempt = 0; attempt < 100 && threads_at_work(3) < 3; ++attempt) continue;
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    bool helped = false;  // on a busy machine a region may be over before a helper has its turn
    for (int attempt = 0; attempt < 50 && !helped; ++attempt) helped = threads_at_work(2) == 2;
    _exit(sum() == expected && helped ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  set_num_threads(0);
}
#endif
#endif

TEST_CASE("a number of threads that cannot be is refused and changes nothing") {
  const int before = num_threads();
  CHECK(message_of<ConfigError>([] { set_num_threads(-1); }) ==
        "[set_num_threads] needs 0 (default) to 1024 threads, got -1");
  CHECK(message_of<ConfigError>([] { set_num_threads(100000); }) ==
        "[set_num_threads] needs 0 (default) to 1024 threads, got 100000");
  CHECK(num_threads() == before);
}
