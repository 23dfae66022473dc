// Fused attention against three plain loops in double, in every form of its products and with every visibility, across
// blocks of keys and queries; and its memory, which grows with T, not with its square.

#include "gptlite/autograd/ops/attention.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/kernels/attention/backward.hpp"
#include "gptlite/kernels/attention/forward.hpp"
#include "support/free_memory.hpp"

using namespace gptlite;

namespace {

using kernels::AttentionParams;

// The definition, and its gradient, one query at a time.
struct Reference {
  std::vector<double> y, dqkv;

  Reference(const std::vector<float>& qkv, const std::vector<float>& dy, const AttentionParams& s)
      : y(dy.size()), dqkv(qkv.size()) {
    const auto size = static_cast<std::size_t>(s.HS);
    std::vector<double> p(static_cast<std::size_t>(s.T)), dp(p.size());
    std::vector<float> factors(p.size(), 1);
    for (Index b = 0; b < s.B; ++b)
      for (Index h = 0; h < s.NH; ++h)
        for (Index i = 0; i < s.T; ++i) {
          const auto at = [&](Index position, Index part) {  // of q, k, v
            return static_cast<std::size_t>(((b * s.T + position) * 3 + part) * s.C() + h * s.HS);
          };
          const auto out = static_cast<std::size_t>((b * s.T + i) * s.C() + h * s.HS);
          const Index window = s.window == 0 ? s.T : s.window, length = s.lengths == nullptr ? s.T : s.lengths[b];
          const Index first = std::max<Index>(0, i - window + 1);
          const Index end = std::min(length, s.causal ? i + 1 : i + window);
          if (s.dropout) s.dropout.factors(factors.data(), ((b * s.NH + h) * s.T + i) * s.T, s.T);
          double sum = 0, mean = 0;
          for (Index j = first; j < end; ++j) {
            const auto key = static_cast<std::size_t>(j);
            double score = 0, d = 0;
            for (std::size_t e = 0; e < size; ++e) {
              score += static_cast<double>(qkv[at(i, 0) + e]) * static_cast<double>(qkv[at(j, 1) + e]);
              d += static_cast<double>(dy[out + e]) * static_cast<double>(qkv[at(j, 2) + e]);
            }
            sum += p[key] = std::exp(score * s.score_scale());
            dp[key] = d * static_cast<double>(factors[key]);
          }
          for (Index j = first; j < end; ++j) {
            const auto key = static_cast<std::size_t>(j);
            p[key] /= sum;
            mean += p[key] * dp[key];
          }
          for (Index j = first; j < end; ++j) {
            const auto key = static_cast<std::size_t>(j);
            const double dropped = p[key] * static_cast<double>(factors[key]);
            const double ds = p[key] * (dp[key] - mean) * s.score_scale();
            for (std::size_t e = 0; e < size; ++e) {
              y[out + e] += dropped * static_cast<double>(qkv[at(j, 2) + e]);
              dqkv[at(j, 2) + e] += dropped * static_cast<double>(dy[out + e]);
              dqkv[at(i, 0) + e] += ds * static_cast<double>(qkv[at(j, 1) + e]);
              dqkv[at(j, 1) + e] += ds * static_cast<double>(qkv[at(i, 0) + e]);
            }
          }
        }
  }
};

double largest_error(const std::vector<float>& got, const std::vector<double>& expected, double added = 0) {
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    const double difference = std::abs(static_cast<double>(got[i]) - added - expected[i]);
    if (std::isnan(difference)) return difference;  // std::max would pass over it
    error = std::max(error, difference);
  }
  return error / largest;
}

}  // namespace

TEST_CASE_TEMPLATE("attention and its gradient are those of plain loops", Format, kernels::PlainFormat<float>,
                   kernels::RoundedFormat, kernels::PairFormat, kernels::AmxFormat, kernels::Bf16x3Format) {
  constexpr bool needs_amx = kernels::AmxTiled<Format>;
  if constexpr ((std::is_same_v<Format, kernels::PairFormat> && !kernels::simd::has_bf16_pairs) ||
                (std::is_same_v<Format, kernels::RoundedFormat> && !kernels::bf16_is_rounded) ||
                (needs_amx && !kernels::simd::has_amx)) {
    MESSAGE("skipped: the compiler's target has no such products, or none that it needs");
  } else {
    if (needs_amx && !kernels::simd::amx_is_usable()) {
      MESSAGE("skipped: AMX is not for this process");
      return;
    }
    constexpr bool fp32 = std::is_same_v<Format, kernels::PlainFormat<float>> || kernels::MultiPart<Format>;
    const double tolerance = fp32 ? 2e-6 : 1.5e-2;
    const std::vector<std::int32_t> lengths{130, 300, 1, 0, 257};
    const kernels::DropoutMask dropout{0.3, {7, 1}};
    for (const AttentionParams& s :
         {AttentionParams{2, 65, 3, 5},
          {1, 300, 2, 20},
          {1, 1100, 1, 8},
          {.B = 1, .T = 600, .NH = 1, .HS = 16, .window = 40},
          {.B = 1, .T = 700, .NH = 2, .HS = 6, .window = 270},
          {.B = 1, .T = 1500, .NH = 1, .HS = 4, .window = 1030},
          {.B = 1, .T = 310, .NH = 1, .HS = 17, .dropout = dropout},
          {.B = 1, .T = 225, .NH = 1, .HS = 8, .dropout = dropout},
          {.B = 8, .T = 1, .NH = 1, .HS = 8, .dropout = dropout},
          {.B = 1, .T = 600, .NH = 2, .HS = 8, .causal = false},
          {.B = 1, .T = 700, .NH = 1, .HS = 6, .causal = false, .window = 40},
          {.B = 1, .T = 1500, .NH = 1, .HS = 4, .causal = false, .window = 301},
          {.B = 5, .T = 300, .NH = 2, .HS = 8, .causal = false, .lengths = lengths.data()},
          {.B = 5, .T = 300, .NH = 1, .HS = 8, .causal = false, .window = 20, .lengths = lengths.data()},
          {.B = 5, .T = 300, .NH = 1, .HS = 5, .lengths = lengths.data(), .dropout = dropout},
          {.B = 5, .T = 300, .NH = 1, .HS = 8, .window = 70, .lengths = lengths.data()}}) {
      INFO("T ", s.T, ", HS ", s.HS, ", causal ", s.causal, ", window ", s.window, ", padded ", s.lengths != nullptr);
      std::vector<float> qkv(static_cast<std::size_t>(s.B * s.T * 3 * s.C())), dy(qkv.size() / 3), y(dy.size());
      std::vector<float> sums(static_cast<std::size_t>(2 * s.rows())), dqkv(qkv.size());
      fill_normal(qkv.data(), static_cast<Index>(qkv.size()), 0, 1, {1, 1});
      fill_normal(dy.data(), static_cast<Index>(dy.size()), 0, 1, {1, 2});
      const Reference expected(qkv, dy, s);
      fill_free_memory_with_nan();
      const kernels::OperandFormat<float>& format = kernels::format_of<Format>;
      const auto view = [&](const std::vector<float>& matrix) {
        return kernels::MatrixView<float>{matrix.data(), 3 * s.C()};
      };
      kernels::detail::attention_forward<float>(format, y.data(), sums.data(), view(qkv), s);
      CHECK(largest_error(y, expected.y) < tolerance);
      for (const bool accumulate : {false, true}) {
        std::fill(dqkv.begin(), dqkv.end(), accumulate ? 3.0f : std::nanf(""));
        fill_free_memory_with_nan();
        kernels::detail::attention_backward<float>(format, view(dqkv), accumulate, dy.data(), view(qkv), y.data(),
                                                   sums.data(), s);
        CHECK(largest_error(dqkv, expected.dqkv, accumulate ? 3 : 0) < tolerance);
      }
    }
  }
}

#if GPTLITE_RECYCLE
namespace {

// Bytes that forward and backward need, the qkv and its gradient aside: all that is in the cache afterwards. Emptied
// between, so that it does not matter whether a block of forward's is large enough for backward.
std::size_t memory_of(Index positions, int threads) {
  set_num_threads(threads);
  Tensor<float> qkv = Tensor<float>::normal({1, positions, 3 * 8}, 0, 1, {1, 1}).set_requires_grad();
  const Tensor<float> dy = Tensor<float>::ones({1, positions, 8});
  release_cached_memory();
  std::size_t forward = 0;
  {
    Tensor<float> y = attention(qkv, {.n_head = 1});
    forward = cached_memory();
    release_cached_memory();
    y.backward(dy);
  }
  set_num_threads(0);
  return forward + cached_memory();
}

}  // namespace

TEST_CASE("no matrix of scores is stored whole") {
  const std::size_t half = memory_of(1024, 1), whole = memory_of(2048, 1);
  // On AMX a head of 8 numbers is filled up to 32, in three planes.
  const std::size_t share = kernels::simd::amx_is_usable() ? 4 : 8;
  CHECK(whole < 2048 * 2048 * sizeof(float) / share);
  CHECK(static_cast<double>(whole) < 2.3 * static_cast<double>(half));  // blocks are rounded up by 12.5% at most
}
#endif
