// Random numbers: the distributions drawn, one by one and filled in parallel.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "gptlite/core/random.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

struct Moments {
  double mean = 0, variance = 0, kurtosis = 0;
};
template <class T>
Moments moments(const std::vector<T>& values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (const T x : values) m.mean += static_cast<double>(x) / n;
  for (const T x : values) m.variance += std::pow(static_cast<double>(x) - m.mean, 2) / n;
  for (const T x : values) m.kurtosis += std::pow(static_cast<double>(x) - m.mean, 4) / n / (m.variance * m.variance);
  return m;
}

}  // namespace

TEST_CASE("uniform numbers of a generator fill the interval from 0 to 1 evenly") {
  Generator generator(9);
  std::vector<double> values(100000);
  for (double& x : values) x = generator.uniform();
  CHECK(*std::min_element(values.begin(), values.end()) >= 0);
  CHECK(*std::max_element(values.begin(), values.end()) < 1);
  const Moments m = moments(values);
  CHECK(m.mean == doctest::Approx(0.5).epsilon(0.01));
  CHECK(m.variance == doctest::Approx(1.0 / 12).epsilon(0.02));
}

TEST_CASE("below draws every number below the bound about equally often") {
  Generator generator(10);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts.at(static_cast<std::size_t>(generator.below(7)));
  for (const int count : counts) CHECK(count == doctest::Approx(10000).epsilon(0.05));
  CHECK(generator.below(1) == 0);
}

TEST_CASE("fill_normal has the mean and the deviation asked for") {
  std::vector<float> values(200001);
  fill_normal(values.data(), static_cast<Index>(values.size()), 2, 3, {.seed = 12, .stream = 0});
  const Moments m = moments(values);
  CHECK(m.mean == doctest::Approx(2).epsilon(0.015));
  CHECK(m.variance == doctest::Approx(9).epsilon(0.02));
  CHECK(m.kurtosis == doctest::Approx(3).epsilon(0.03));
}

TEST_CASE("fill_normal with the deviation 0 gives the mean everywhere") {
  std::vector<float> values(1001, -7);
  fill_normal(values.data(), 1001, 0.25, 0, {3, 4});
  CHECK(values == std::vector<float>(1001, 0.25f));
}

TEST_CASE("fill_uniform stays between its bounds and fills them evenly") {
  std::vector<double> values(200001);
  fill_uniform(values.data(), static_cast<Index>(values.size()), -1, 3, {.seed = 13, .stream = 0});
  CHECK(*std::min_element(values.begin(), values.end()) >= -1);
  CHECK(*std::max_element(values.begin(), values.end()) < 3);
  const Moments m = moments(values);
  CHECK(m.mean == doctest::Approx(1).epsilon(0.015));
  CHECK(m.variance == doctest::Approx(16.0 / 12).epsilon(0.02));
}

TEST_CASE("fill_uniform of floats never rounds up to the upper bound") {
  std::vector<float> values(335);
  fill_uniform(values.data(), 335, 0, 1, {.seed = 4696, .stream = 0});  // word 334 is 0xffffff8c
  CHECK(values.back() < 1);
  CHECK(values.back() > 0.9999999F);
}

TEST_CASE("fill_uniform between equal bounds gives the bound, and bounds in the wrong order are refused") {
  float value = 0;
  fill_uniform(&value, 1, 0.5, 0.5, {1, 1});
  CHECK(value == 0.5F);
  CHECK(message_of<ConfigError>([&] { fill_uniform(&value, 1, 1, -1, {1, 1}); }) == "[uniform] low 1 is above high -1");
}

TEST_CASE("fills are the same for any number of threads and for any size") {
  const auto fill = [](bool normal, int threads, std::size_t size) {
    set_num_threads(threads);
    std::vector<double> values(size + 1, 99);
    const auto n = static_cast<Index>(size);
    normal ? fill_normal(values.data(), n, 0, 1, {14, 2}) : fill_uniform(values.data(), n, 0, 1, {14, 2});
    CHECK(values.back() == 99);  // nothing beyond the end
    values.pop_back();
    return values;
  };
  for (const bool normal : {false, true}) {
    const std::vector<double> serial = fill(normal, 1, 40001);
    for (const int threads : {2, 3, 4}) CHECK(fill(normal, threads, 40001) == serial);
    for (const std::size_t size : {0u, 1u, 63u, 65u})
      CHECK(fill(normal, 1, size) == std::vector<double>(serial.begin(), serial.begin() + static_cast<Index>(size)));
  }
  set_num_threads(0);
}
