// Attention over cached keys and values against plain loops over all positions.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gptlite/core/random.hpp"
#include "gptlite/kernels/attention/cached.hpp"

using namespace gptlite;
using namespace gptlite::kernels;

namespace {

struct Sizes {
  Index heads, head_size, positions, window;
  double scale = 0;
  double score_scale() const { return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(head_size)); }
};

std::vector<float> random_qkv(const Sizes& s) {
  std::vector<float> qkv(static_cast<std::size_t>(s.positions * 3 * s.heads * s.head_size));
  fill_normal(qkv.data(), static_cast<Index>(qkv.size()), 0, 1, {.seed = 1, .stream = 1});
  return qkv;
}

// y (positions, C) in double.
std::vector<double> plain_attention(const std::vector<float>& qkv, const Sizes& s) {
  const Index C = s.heads * s.head_size;
  std::vector<double> y(static_cast<std::size_t>(s.positions * C));
  const auto number = [&](Index position, Index part, Index head, Index i) {
    return static_cast<double>(qkv[static_cast<std::size_t>(position * 3 * C + part * C + head * s.head_size + i)]);
  };
  for (Index head = 0; head < s.heads; ++head)
    for (Index t = 0; t < s.positions; ++t) {
      const Index from = std::max<Index>(0, t - s.window + 1);
      std::vector<double> p;
      double sum = 0;
      for (Index j = from; j <= t; ++j) {
        double score = 0;
        for (Index i = 0; i < s.head_size; ++i) score += number(t, 0, head, i) * number(j, 1, head, i);
        p.push_back(std::exp(score * s.score_scale()));
        sum += p.back();
      }
      for (Index j = from; j <= t; ++j)
        for (Index i = 0; i < s.head_size; ++i)
          y[static_cast<std::size_t>(t * C + head * s.head_size + i)] +=
              p[static_cast<std::size_t>(j - from)] / sum * number(j, 2, head, i);
    }
  return y;
}

// Reads the positions in pieces of the given lengths, as the second of two sequences.
std::vector<float> read_in_pieces(const std::vector<float>& qkv, const Sizes& s, const KVCache<float>& cache,
                                  const std::vector<Index>& pieces) {
  const Index C = s.heads * s.head_size;
  std::vector<float> y(static_cast<std::size_t>(s.positions * C));
  Index at = 0;
  for (std::size_t i = 0; at < s.positions; ++i) {
    const Index rows = std::min(pieces[i % pieces.size()], s.positions - at);
    cached_attention(y.data() + at * C, qkv.data() + at * 3 * C, s.heads, cache, 1, at, rows, s.window,
                     s.score_scale());
    at += rows;
  }
  return y;
}

double largest_difference(const std::vector<float>& got, const std::vector<double>& expected) {
  double largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    REQUIRE(!std::isnan(got[i]));
    largest = std::max(largest, std::abs(static_cast<double>(got[i]) - expected[i]));
  }
  return largest;
}

KVCache<float> cache_for(const Sizes& s, Precision precision) {
  return {2, s.heads, s.head_size, s.positions, precision};
}

}  // namespace

TEST_CASE("cached attention is that of plain loops, however many positions are read at once") {
  for (const Sizes& s : {Sizes{1, 1, 3, 3}, Sizes{2, 5, 50, 50}, Sizes{3, 64, 131, 131}, Sizes{2, 40, 131, 37},
                         Sizes{1, 33, 70, 1}, Sizes{2, 16, 100, 18}, Sizes{2, 16, 50, 50, 0.4}})
    for (const std::vector<Index>& pieces : std::vector<std::vector<Index>>{{1}, {1000}, {16, 1}, {7, 1, 40, 1, 1}}) {
      INFO("HS ", s.head_size, ", positions ", s.positions, ", window ", s.window, ", first piece ", pieces[0]);
      const std::vector<float> qkv = random_qkv(s);
      const std::vector<double> expected = plain_attention(qkv, s);
      const auto error = [&](Precision precision) {
        return largest_difference(read_in_pieces(qkv, s, cache_for(s, precision), pieces), expected);
      };
      CHECK(error(Precision::fp32) < 3e-6);
      CHECK(error(Precision::bf16) < 0.02);
    }
}

TEST_CASE("keys and values in bf16 are rounded where bfloat16 is faster, and take half the room") {
  const Sizes s{2, 64, 256, 256};
  const KVCache<float> exact = cache_for(s, Precision::fp32), rounded = cache_for(s, Precision::bf16);
  const Index part = bf16_products_are_fast() ? 2 : 1;
  CHECK(rounded.key_stride() * part == exact.key_stride());
  CHECK(rounded.value_stride() * part == exact.value_stride());
  const std::vector<float> qkv = random_qkv(s);
  CHECK((read_in_pieces(qkv, s, exact, {9}) == read_in_pieces(qkv, s, rounded, {9})) == (part == 1));
}

TEST_CASE("what was read before a sequence begins anew leaves no trace") {
  for (const Precision precision : {Precision::fp32, Precision::bf16})
    for (const std::vector<Index>& pieces : std::vector<std::vector<Index>>{{1}, {33}, {50, 1}}) {
      const Sizes s{2, 24, 90, 90};
      const std::vector<float> qkv = random_qkv(s);
      const KVCache<float> used = cache_for(s, precision);
      read_in_pieces(std::vector<float>(qkv.size(), std::numeric_limits<float>::quiet_NaN()), s, used, {s.positions});
      CHECK(read_in_pieces(qkv, s, used, pieces) == read_in_pieces(qkv, s, cache_for(s, precision), pieces));
    }
}

TEST_CASE("a position read beside few others has the bits that it has alone") {
  for (const Sizes& s : {Sizes{2, 24, 90, 90}, Sizes{1, 16, 600, 600}, Sizes{1, 16, 600, 300}, Sizes{1, 7, 300, 1}})
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      INFO("positions ", s.positions, ", window ", s.window);
      const std::vector<float> qkv = random_qkv(s);
      CHECK(read_in_pieces(qkv, s, cache_for(s, precision), {8, 3, 1, 5}) ==
            read_in_pieces(qkv, s, cache_for(s, precision), {1}));
    }
}

TEST_CASE("cached attention has the same bits for any number of threads") {
  const Sizes s{5, 48, 100, 100};
  const std::vector<float> qkv = random_qkv(s);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    set_num_threads(1);
    const std::vector<float> serial = read_in_pieces(qkv, s, cache_for(s, precision), {60, 1});
    set_num_threads(3);
    CHECK((read_in_pieces(qkv, s, cache_for(s, precision), {60, 1}) == serial));
    set_num_threads(0);
  }
}
