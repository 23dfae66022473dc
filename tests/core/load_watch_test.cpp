// LoadWatch: which number of threads it keeps, and when it believes that others are gone.

#include "gptlite/core/load_watch.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <thread>

using namespace gptlite;
using detail::LoadWatch;

namespace {

constexpr LoadWatch::Nanoseconds window = 30'000'000;  // what one record must fill to count

// How often each number of threads is chosen in so many windows, if it does rate(threads) seconds of work a second.
template <class Rate>
std::map<int, int> choices(LoadWatch& watch, int wanted, int windows, Rate rate) {
  std::map<int, int> chosen;
  for (int i = 0; i < windows; ++i) {
    const int threads = watch.threads(wanted);
    ++chosen[threads];
    watch.record(static_cast<LoadWatch::Nanoseconds>(rate(threads) * static_cast<double>(window)), window, 3);
  }
  return chosen;
}

}  // namespace

TEST_CASE("the number of threads that does most work is kept, and follows the load") {
  LoadWatch watch;
  CHECK(watch.calm());
  watch.disturb();
  CHECK_FALSE(watch.calm());
  std::map<int, int> chosen = choices(watch, 8, 100, [](int threads) { return threads == 4 ? 2.0 : 1.0; });
  CHECK(chosen.size() == 3);  // a half, three quarters and all: one thread could not do as much as four do
  CHECK(chosen[4] > 75);
  CHECK(chosen[8] > 3);
  chosen = choices(watch, 8, 100, [](int threads) { return 1.0 / threads; });
  CHECK(chosen[1] > 55);
  CHECK_FALSE(watch.calm());
}

TEST_CASE("one or two threads have no numbers between") {
  LoadWatch watch;
  watch.disturb();
  std::map<int, int> chosen = choices(watch, 2, 60, [](int threads) { return threads == 1 ? 0.9 : 0.8; });
  CHECK(chosen.size() == 2);
  CHECK(chosen[1] > 40);
  CHECK(choices(watch, 1, 10, [](int) { return 1.0; }) == std::map<int, int>{{1, 10}});
}

TEST_CASE("numbers of threads that could not do more work are not tried") {
  LoadWatch watch;
  watch.disturb();
  CHECK(choices(watch, 2, 60, [](int threads) { return 0.7 * threads; }) == std::map<int, int>{{2, 60}});
  LoadWatch of_eight;
  of_eight.disturb();
  const std::map<int, int> chosen = choices(of_eight, 8, 60, [](int threads) { return 0.6 * threads; });
  CHECK_FALSE(chosen.contains(1));
  CHECK_FALSE(chosen.contains(4));
  CHECK(chosen.contains(6));
}

TEST_CASE("it is calm again when all threads were left alone for a while") {
  LoadWatch watch;
  watch.disturb();
  choices(watch, 2, 20, [](int threads) { return 1.0 * threads; });
  CHECK_FALSE(watch.calm());  // they were put aside
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  for (int i = 0; i < 20 && !watch.calm(); ++i) {
    const int threads = watch.threads(2);
    watch.record(threads * window, window, 0);
  }
  CHECK(watch.calm());
  CHECK(watch.spin_time() > 1'000'000);
  watch.disturb();
  CHECK(watch.spin_time() < 10'000);
}
