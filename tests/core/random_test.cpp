// Random numbers: Philox against its published vectors, and the addressing of streams.

#include "gptlite/core/random.hpp"

#include <doctest/doctest.h>

#include <cstdint>
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

}  // namespace

TEST_CASE("philox gives the known answers of Random123") {
  // kat_vectors of Random123, philox4x32 10. The counter is (block, stream), the key the seed, low words first.
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

TEST_CASE("no two uses of a seed and no two forks share a number") {
  std::set<std::uint64_t> streams, first_numbers;
  for (const RandomUse use :
       {RandomUse::weights, RandomUse::dropout, RandomUse::batches, RandomUse::sampling, RandomUse::other}) {
    Generator generator(11, use);
    first_numbers.insert(Generator(11, use).next());
    for (std::uint64_t i = 0; i < 100; ++i) {
      const RandomStream fork = generator.fork();
      REQUIRE(fork.seed == 11u);
      streams.insert(fork.stream);
      first_numbers.insert(Generator(fork).next());
    }
    CHECK(generator.position() == 100u);
  }
  CHECK(streams.size() == 500u);
  CHECK(first_numbers.size() == 505u);
  CHECK(Generator(11).next() == Generator(11, RandomUse::other).next());
}
