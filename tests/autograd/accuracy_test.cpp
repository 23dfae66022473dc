// The fused and rounded kernels are at most twice as far from double as PyTorch's own in the same precision.

#include <doctest/doctest.h>

#include "support/fixture.hpp"
#include "support/operations.hpp"

using namespace gptlite;

namespace {

// PyTorch's figures are of a machine that multiplies and adds in one rounding. Without that a sum has twice as many.
#ifdef __FMA__
constexpr double factor = 2;
#else
constexpr double factor = 4;
#endif

// The result and the gradient of every input; inputs as in tests/fixtures/make_accuracy.py.
template <class T, class F>
std::vector<std::vector<double>> results(const std::vector<Shape>& shapes, F f) {
  std::vector<Tensor<T>> inputs;
  for (std::size_t n = 0; n < shapes.size(); ++n) {
    inputs.push_back(operations::wave<float>(shapes[n], static_cast<int>(n)).template cast<T>());
    inputs.back().set_requires_grad();
  }
  const Tensor<T> y = f(inputs);
  y.backward(operations::wave<float>(y.shape(), 5).template cast<T>());
  std::vector<std::vector<double>> all{y.template cast<double>().to_vector()};
  for (const Tensor<T>& input : inputs) all.push_back(input.grad().template cast<double>().to_vector());
  return all;
}

template <class F>
void compare(const std::string& name, const std::vector<Shape>& shapes, F f) {
  const nlohmann::json fixture = read_fixture("accuracy.json");
  const auto exact = results<double>(shapes, f);
  for (const std::string precision : {"fp32", "bf16"}) {
    const Autocast scope(precision == "bf16" ? Precision::bf16 : Precision::fp32);
    const auto got = results<float>(shapes, f);
    const std::vector<double> peer = fixture[name + "/" + precision];
    REQUIRE(peer.size() == got.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      double largest = 0, error = 0;
      for (std::size_t j = 0; j < got[i].size(); ++j) {
        largest = std::max(largest, std::abs(exact[i][j]));
        REQUIRE(!std::isnan(got[i][j]));  // std::max would pass over it
        error = std::max(error, std::abs(got[i][j] - exact[i][j]));
      }
      // Below one rounding of float the ratio says nothing.
      CHECK_MESSAGE(error / largest <= factor * std::max(peer[i], 0x1p-24),
                    name << "/" << precision << " result " << i << ": " << error / largest << ", PyTorch " << peer[i]);
    }
  }
}

}  // namespace

TEST_CASE("errors against double are at most twice PyTorch's") {
  const auto targets = [] {
    Tensor<TokenId> t = Tensor<TokenId>::empty({64});
    for (Index i = 0; i < 64; ++i) t.data()[i] = static_cast<TokenId>(i * 5 % 331);
    return t;
  }();
  compare("attention", {{2, 130, 3 * 128}}, [](const auto& in) { return attention(in[0], {.n_head = 2}); });
  compare("attention_of_large_scores", {{2, 130, 3 * 128}},
          [](const auto& in) { return attention(in[0] * 12, {.n_head = 2}); });
  compare("attention_long", {{1, 521, 3 * 64}}, [](const auto& in) { return attention(in[0], {.n_head = 1}); });
  compare("linear", {{300, 384}, {384, 200}, {200}}, [](const auto& in) { return linear(in[0], in[1], in[2]); });
  compare("linear_gelu", {{300, 384}, {384, 200}, {200}},
          [](const auto& in) { return linear(in[0], in[1], in[2], Activation::gelu_tanh); });
  compare("mlp", {{130, 12}, {12, 70}, {70}, {70, 12}, {12}},
          [](const auto& in) { return mlp(in[0], in[1], in[2], in[3], in[4]); });
  compare("linear_cross_entropy", {{64, 96}, {331, 96}},
          [&](const auto& in) { return linear_cross_entropy(in[0], in[1], targets); });
  compare("lstm", {{16, 33, 96}, {96, 4 * 128}, {128, 4 * 128}, {4 * 128}}, [](const auto& in) {
    using T = typename std::remove_cvref_t<decltype(in[0])>::value_type;
    return lstm<T>({{in[0], {in[1] * T(0.1), in[2] * T(0.1), in[3], {}}}})[0].y;
  });
  compare("layer_norm", {{64, 384}, {384}, {384}}, [](const auto& in) { return layer_norm(in[0], in[1], in[2]); });
  compare("rms_norm", {{64, 384}, {384}}, [](const auto& in) { return rms_norm(in[0], in[1]); });
}
