// Random numbers: Philox against its published vectors, addressing of streams, and the distributions drawn.

#include "gptlite/core/random.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <vector>

using namespace gptlite;

namespace {

using Words = std::vector<std::uint32_t>;

Words words(RandomStream id, Index first, Index count) {
  Words out(static_cast<std::size_t>(count));
  random_bits(id, first, count, out.data());
  return out;
}

Words philox_block(RandomStream id, std::uint64_t block, std::size_t lane = 0) {
  const auto x = gptlite::detail::philox(id, block - lane);
  return {x[0][lane], x[1][lane], x[2][lane], x[3][lane]};
}

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

TEST_CASE("philox gives the known answers of Random123") {
  // kat_vectors of Random123, philox4x32 10: counter words are (block, stream), key words are the seed, low words
  // first.
  CHECK(philox_block({0, 0}, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox_block({~0ULL, ~0ULL}, ~0ULL) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  const RandomStream pi{.seed = 0x299f31d0a4093822, .stream = 0x0370734413198a2e};
  for (std::size_t lane = 0; lane < 16; ++lane)
    CHECK(philox_block(pi, 0x85a308d3243f6a88, lane) == Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("word n is word n div 16 mod 4 of block n div 64 times 16 plus n mod 16") {
  const RandomStream id{.seed = 3, .stream = 4};
  const Words drawn = words(id, 0, 300);
  for (std::size_t n = 0; n < drawn.size(); ++n)
    REQUIRE(drawn[n] == philox_block(id, n / 64 * 16 + n % 16)[n / 16 % 4]);
}

TEST_CASE("words are the same wherever reading starts") {
  const RandomStream id{.seed = 5, .stream = 6};
  const Words all = words(id, 0, 400);
  for (Index first = 0; first < 130; ++first)
    for (const Index count : {0, 1, 2, 63, 64, 65, 200})
      REQUIRE(words(id, first, count) == Words(all.begin() + first, all.begin() + first + count));
}

TEST_CASE("different seeds and streams give different words") {
  std::set<Words> seen;
  for (std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32})
    for (std::uint64_t stream : {0ULL, 1ULL, 1ULL << 32}) seen.insert(words({seed, stream}, 0, 64));
  CHECK(seen.size() == 9u);
}

TEST_CASE("a generator resumes from its position and counts numbers drawn") {
  Generator generator(RandomStream{.seed = 7, .stream = 8});
  CHECK(generator.position() == 0u);
  const Words expected = words({7, 8}, 0, 4);
  CHECK(generator.next() == ((std::uint64_t{expected[1]} << 32) | expected[0]));
  CHECK(generator.position() == 1u);
  const std::uint64_t second = generator.next();
  CHECK(second == ((std::uint64_t{expected[3]} << 32) | expected[2]));
  generator.set_position(1);
  CHECK(generator.next() == second);
}

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

TEST_CASE("no two uses of a seed and no two forks share a number") {
  std::set<std::uint64_t> streams, first_numbers;
  for (const RandomUse use :
       {RandomUse::weights, RandomUse::dropout, RandomUse::batches, RandomUse::sampling, RandomUse::other}) {
    Generator generator(11, use);
    first_numbers.insert(generator.next());
    for (std::uint64_t i = 0; i < 100; ++i) {
      const RandomStream fork = generator.fork();
      REQUIRE(fork.seed == 11u);
      streams.insert(fork.stream);
      first_numbers.insert(Generator(fork).next());
    }
    CHECK(generator.position() == 101u);
  }
  CHECK(streams.size() == 500u);
  CHECK(first_numbers.size() == 505u);
  CHECK(Generator(11).next() == Generator(11, RandomUse::other).next());
}

TEST_CASE("fill_normal has the mean and the deviation asked for") {
  std::vector<float> values(200001);
  fill_normal(values.data(), static_cast<Index>(values.size()), 2, 3, {.seed = 12, .stream = 0});
  const Moments m = moments(values);
  CHECK(m.mean == doctest::Approx(2).epsilon(0.015));
  CHECK(m.variance == doctest::Approx(9).epsilon(0.02));
  CHECK(m.kurtosis == doctest::Approx(3).epsilon(0.03));
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

// Known: a float rounds the largest of 2^32 values up to the bound itself.
TEST_CASE("fill_uniform of floats never reaches the upper bound" * doctest::should_fail()) {
  std::vector<float> values(335);
  fill_uniform(values.data(), 335, 0, 1, {.seed = 4696, .stream = 0});  // word 334 is 0xffffff8c
  CHECK(values.back() < 1);
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
