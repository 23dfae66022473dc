// SelfAttention as a GPT and as a BERT use it: padding changes nothing for what is before it.

#include "gptlite/nn/self_attention.hpp"

#include <doctest/doctest.h>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/layout.hpp"

using namespace gptlite;

namespace {

SelfAttention<double> layer(bool causal) {
  Generator init(1);
  const Dropout<double> dropout{0, std::make_shared<TrainingMode>()};
  return {.n_head = 2,
          .causal = causal,
          .c_attn = Linear<double>(6, 18, Init::normal(0.5), init),
          .c_proj = Linear<double>(6, 6, Init::normal(0.5), init),
          .attn_dropout = dropout,
          .resid_dropout = dropout};
}

}  // namespace

TEST_CASE("a padded sequence has the attention of the sequence alone, in both directions and causal") {
  for (const bool causal : {false, true}) {
    CAPTURE(causal);
    const SelfAttention<double> attn = layer(causal);
    const Tensor<double> alone = Tensor<double>::normal({1, 5, 6}, 0, 1, {1, 1});
    const Tensor<double> padded = concat<double>({alone, Tensor<double>::full({1, 3, 6}, 9)}, 1);
    const Tensor<double> other = Tensor<double>::normal({1, 8, 6}, 0, 1, {1, 2});
    const Tensor<double> y = attn(concat<double>({padded, other}, 0), Tensor<std::int32_t>::from({5, 8}, {2}));
    const auto expected = attn(alone).to_vector(), got = slice(slice(y, 0, 0, 1), 1, 0, 5).to_vector();
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-12));
  }
}

TEST_CASE("without causal the first position sees the last") {
  const Tensor<double> x = Tensor<double>::normal({1, 4, 6}, 0, 1, {1, 1});
  const Tensor<double> last_changed = concat<double>({slice(x, 1, 0, 3), Tensor<double>::ones({1, 1, 6})}, 1);
  const auto first = [](const Tensor<double>& y) { return slice(y, 1, 0, 1).to_vector(); };
  CHECK(first(layer(false)(x)) != first(layer(false)(last_changed)));
  CHECK(first(layer(true)(x)) == first(layer(true)(last_changed)));
}
