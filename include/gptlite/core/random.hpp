#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
// The i-th number of a stream is a pure function of (seed, stream, i), so the numbers do not depend on the number of
// threads.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>

#include "gptlite/core/parallel.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Identifies one sequence of random numbers.
struct RandomStream {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
};

namespace detail {

/// Number of blocks computed side by side, so the compiler vectorizes the loops over them.
inline constexpr int philox_lanes = 16;
using PhiloxLanes = std::array<std::uint32_t, philox_lanes>;

/// Philox blocks first, first + 1, ..., first + 15 of a stream: word w of block first + i is result[w][i].
inline std::array<PhiloxLanes, 4> philox(RandomStream id, std::uint64_t first) {
  std::array<PhiloxLanes, 4> x;
  for (int i = 0; i < philox_lanes; ++i) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(i);
    const auto at = static_cast<std::size_t>(i);
    x[0][at] = static_cast<std::uint32_t>(block);
    x[1][at] = static_cast<std::uint32_t>(block >> 32);
    x[2][at] = static_cast<std::uint32_t>(id.stream);
    x[3][at] = static_cast<std::uint32_t>(id.stream >> 32);
  }
  auto key0 = static_cast<std::uint32_t>(id.seed), key1 = static_cast<std::uint32_t>(id.seed >> 32);
  for (int round = 0; round < 10; ++round) {
#if GPTLITE_OPENMP
#pragma omp simd  // otherwise g++ unrolls the loop before it vectorizes
#endif
    for (std::size_t i = 0; i < philox_lanes; ++i) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53} * x[0][i],
                          product1 = std::uint64_t{0xCD9E8D57} * x[2][i];
      const auto high0 = static_cast<std::uint32_t>(product0 >> 32), high1 = static_cast<std::uint32_t>(product1 >> 32);
      x[0][i] = high1 ^ x[1][i] ^ key0;
      x[1][i] = static_cast<std::uint32_t>(product1);
      x[2][i] = high0 ^ x[3][i] ^ key1;
      x[3][i] = static_cast<std::uint32_t>(product0);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return x;
}

}  // namespace detail

/// Writes the words first, ..., first + count - 1 of a stream, uniform over all 32-bit values. Word n is word n / 16 %
/// 4 of Philox block n / 64 * 16 + n % 16: blocks are computed sixteen at a time and stored word by word.
inline void random_bits(RandomStream id, Index first, Index count, std::uint32_t* out) {
  constexpr Index group = 4 * detail::philox_lanes;  // words that one call of philox() makes
  const Index end = first + count;
  for (Index begin = first / group * group; begin < end; begin += group) {
    const auto words = detail::philox(id, static_cast<std::uint64_t>(begin / 4));
    for (Index word = 0; word < 4; ++word) {
      const Index at = begin + word * detail::philox_lanes;
      const Index from = std::max(first, at), to = std::min(end, at + detail::philox_lanes);
      if (from < to)
        std::copy_n(words[static_cast<std::size_t>(word)].data() + (from - at), to - from, out + (from - first));
    }
  }
}

/// The uses of random numbers. Each has its own streams, so two uses share no numbers even with the same seed.
enum class RandomUse : std::uint64_t { weights, dropout, batches, sampling, other, head, adapters };

/// Draws numbers one after the other. Its state is three integers, so a saved generator resumes exactly.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0, RandomUse use = RandomUse::other)
      : id_{seed, static_cast<std::uint64_t>(use) << 48} {}
  explicit Generator(RandomStream id) : id_(id) {}

  std::uint64_t position() const { return position_; }
  void set_position(std::uint64_t position) { position_ = position; }
  /// Calls f(name, state) for the state that a checkpoint keeps: "position" (std::int64_t&).
  template <class F>
  void visit(F&& f) {
    auto position = static_cast<std::int64_t>(position_);
    f(std::string("position"), position);
    position_ = static_cast<std::uint64_t>(position);
  }

  std::uint64_t next() {
    std::array<std::uint32_t, 2> words{};
    random_bits(id_, static_cast<Index>(2 * position_++), 2, words.data());
    return (std::uint64_t{words[1]} << 32) | words[0];
  }
  /// A number uniform in [0, 1), with 53 random bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// An integer uniform in 0, ..., bound - 1. The bias is below bound / 2^53.
  Index below(Index bound) { return static_cast<Index>(uniform() * static_cast<double>(bound)); }
  /// A fresh stream of the same seed, for an operation that draws many numbers in parallel.
  RandomStream fork() { return {id_.seed, id_.stream + 1 + position_++}; }

 private:
  RandomStream id_;
  std::uint64_t position_ = 0;
};

/// Fills out[size] with N(mean, std^2) (Box-Muller on pairs of words), with the same values for any number of threads.
template <class T>
void fill_normal(T* out, Index size, double mean, double std, RandomStream id) {
  parallel_for_ranges(size, 1 << 14, [&](Index begin, Index end) {
    std::array<std::uint32_t, 64> bits;
    std::array<double, 64> values;
    for (Index i = begin; i < end; i += 64) {
      random_bits(id, i, 64, bits.data());
      for (std::size_t j = 0; j < 64; j += 2) {
        const double u = (bits[j] + 0.5) * 0x1p-32, v = (bits[j + 1] + 0.5) * 0x1p-32;
        const double radius = std * std::sqrt(-2.0 * std::log(u)), angle = 2.0 * std::numbers::pi * v;
        values[j] = mean + radius * std::cos(angle);
        values[j + 1] = mean + radius * std::sin(angle);
      }
      std::transform(values.begin(), values.begin() + std::min<Index>(64, end - i), out + i,
                     [](double value) { return static_cast<T>(value); });
    }
  });
}

/// Fills out[size] with uniform values in [low, high), with the same values for any number of threads. Throws
/// ConfigError if low is above high.
template <class T>
void fill_uniform(T* out, Index size, double low, double high, RandomStream id) {
  check<ConfigError>(low <= high, "uniform", "low ", low, " is above high ", high);
  const T largest = low < high ? std::nextafter(static_cast<T>(high), static_cast<T>(low))
                               : static_cast<T>(low);  // rounding must not reach high
  parallel_for_ranges(size, 1 << 14, [&](Index begin, Index end) {
    std::array<std::uint32_t, 64> bits;
    for (Index i = begin; i < end; i += 64) {
      const Index count = std::min<Index>(64, end - i);
      random_bits(id, i, count, bits.data());
      for (Index j = 0; j < count; ++j)
        out[i + j] =
            std::min(largest, static_cast<T>(low + (high - low) * bits[static_cast<std::size_t>(j)] * 0x1p-32));
    }
  });
}

GPTLITE_COMPILED_FUNCTION(fill_normal)
GPTLITE_COMPILED_FUNCTION(fill_uniform)

}  // namespace gptlite::inline GPTLITE_ABI
