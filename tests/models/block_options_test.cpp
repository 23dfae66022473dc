// The options of GPTConfig that GPT-1 and GPT-2 do not have: parameters, gradients, generation, threads, refusals.

#include "support/block_options.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "gptlite/autograd/gradcheck.hpp"
#include "gptlite/data/token_batches.hpp"
#include "gptlite/generate/decoder.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/muon.hpp"
#include "support/sanitizers.hpp"
#include "support/throws.hpp"
#include "support/training_bits.hpp"

using namespace gptlite;

namespace {

Tensor<TokenId> tokens_of_options(Index batch, Index positions) {
  Tensor<TokenId> tokens = Tensor<TokenId>::empty({batch, positions});
  for (Index i = 0; i < tokens.numel(); ++i) tokens.data()[i] = static_cast<TokenId>((i * i + 3 * i) % 23);
  return tokens;
}

}  // namespace

TEST_CASE("a configuration counts the parameters of each option") {
  for (const auto& option : block_options::configs()) {
    CAPTURE(option.first);
    const auto& [name, config] = option;
    const GPT<float> model(config);
    CHECK(parameter_count(model) == config.parameter_count());
    CHECK(model.wpe.weight.defined() == !config.rotary);
  }
}

TEST_CASE("the gradient of the loss is right with each option") {
  for (const auto& option : block_options::configs()) {
    CAPTURE(option.first);
    auto [name, config] = option;
    config.n_layer = 1;
    config.n_embd = 8;
    config.n_inner = config.n_inner == 0 ? 0 : 5;
    config.zero_projections = false;  // no gradients beyond them
    if (config.activation == Activation::relu_squared) config.activation = Activation::gelu_tanh;  // no kink
    GPT<double> model(config);
    std::vector<Tensor<double>> parameters;
    for (const auto& [parameter, tensor] : named_parameters<double>(model)) parameters.push_back(tensor);
    const auto loss = [&](const std::vector<Tensor<double>>&) {
      return model.loss(tokens_of_options(2, 5), tokens_of_options(2, 5));
    };
    const GradcheckResult result = gradcheck(loss, parameters);
    CHECK_MESSAGE(result, result.message);
  }
}

TEST_CASE("the loss is the cross-entropy of the logits with each option") {
  for (const auto& option : block_options::configs()) {
    CAPTURE(option.first);
    const auto& [name, config] = option;
    const GPT<double> model(config);
    const Tensor<TokenId> tokens = tokens_of_options(2, 7);
    CHECK(model.loss(tokens, tokens).item() ==
          doctest::Approx(cross_entropy(model.logits(tokens), tokens).item()).epsilon(1e-12));
  }
}

TEST_CASE("a Decoder computes the logits of the full pass with each option") {
  for (const auto& option : block_options::configs()) {
    CAPTURE(option.first);
    auto [name, config] = option;
    config.zero_projections = false;  // attention must count
    const GPT<double> model(config);
    const NoGrad no_grad;
    const Tensor<TokenId> all = tokens_of_options(1, config.block_size);
    const std::vector<double> expected = model.logits(all).to_vector();
    Decoder<double> decoder(model, {.batch = 2});
    decoder.next_logits({{1, 2, 3, 4}, {}});  // the other sequence is at another position
    double largest = 0;
    Index at = 0;
    for (const Index count : {5, 1, 1, 20, 1, 5}) {
      const std::vector<TokenId> part(all.data() + at, all.data() + at + count);
      const std::vector<double> got = decoder.all_logits({{}, part}).to_vector();
      for (std::size_t i = 0; i < got.size(); ++i)
        largest = std::max(largest, std::abs(got[i] - expected[static_cast<std::size_t>(at * 23) + i]));
      at += count;
    }
    REQUIRE(at == config.block_size);
    CHECK(largest < 1e-12);
  }
}

TEST_CASE("positions turn q and k: a model with rotary positions tells orders apart, and shifts do not matter") {
  GPTConfig config = block_options::configs().front().second;
  REQUIRE(config.rotary);
  const GPT<double> model(config);
  const auto last = [&](const std::vector<TokenId>& tokens) {
    const std::vector<double> logits =
        model.logits(Tensor<TokenId>::from(tokens, {1, static_cast<Index>(tokens.size())})).to_vector();
    return std::vector<double>(logits.end() - 23, logits.end());
  };
  CHECK(last({1, 2, 3}) != last({2, 1, 3}));
  // Scores depend on distances alone.
  const Tensor<double> table = rotary_table(9, 4), q = Tensor<double>::from({0.3, -1, 0.2, 0.7}, {4}),
                       k = Tensor<double>::from({1, 0.5, -0.4, 0.1}, {4});
  const auto score = [&](Index at_q, Index at_k) {
    const auto turned = [&](const Tensor<double>& x, Index at) {
      std::vector<double> y(4);
      for (Index i = 0; i < 2; ++i) {
        const double c = table.at({at, i}), s = table.at({at, i + 2}), a = x.at({i}), b = x.at({i + 2});
        y[static_cast<std::size_t>(i)] = a * c - b * s;
        y[static_cast<std::size_t>(i) + 2] = b * c + a * s;
      }
      return y;
    };
    const std::vector<double> a = turned(q, at_q), b = turned(k, at_k);
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
  };
  CHECK(score(3, 1) == doctest::Approx(score(8, 6)).epsilon(1e-12));
}

TEST_CASE("projections that start as zeros leave the residual stream alone") {
  for (auto [name, config] : block_options::configs()) {
    if (name != "zero_projections") continue;
    const GPT<float> model(config);
    for (const Block<float>& block : model.h)
      for (const Tensor<float>& weight : {block.attn.c_proj.weight, block.mlp.c_proj.weight})
        CHECK(weight.to_vector() == std::vector<float>(static_cast<std::size_t>(weight.numel()), 0));
    // The rest of the weights are those of the model without the option.
    config.zero_projections = false;
    CHECK(model.h[1].mlp.c_fc.weight.to_vector() == GPT<float>(config).h[1].mlp.c_fc.weight.to_vector());
  }
}

TEST_CASE("all options together train with the same bits for 1, 2, 3 and 8 threads, in both precisions") {
  constexpr int steps = sanitized ? 5 : 40;
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const auto train_with = [&](int threads) {
      set_num_threads(threads);
      GPTConfig config = block_options::configs().back().second;
      config.norm_order = NormOrder::pre;
      config.initializer_range = 0.02;
      config.dropout = 0.1;
      config.precision = precision;
      GPT<float> model(config);
      train::Muon optimizer(model, {.head_size = config.head_size()});
      std::vector<TokenId> tokens;
      for (int i = 0; i < 2000; ++i) tokens.push_back((i * i + 7 * i) % 23);
      data::TokenBatches batches(tokens, {.batch_size = 5, .block_size = 33, .seed = 1});
      const std::vector<float> bits = losses_and_weights(model, optimizer, batches, steps);
      set_num_threads(0);
      return bits;
    };
    const std::vector<float> one = train_with(1);
    CHECK(one[steps - 1] < one[0]);
    for (const int threads : {2, 3, 8}) {
      const std::vector<float> many = train_with(threads);
      CHECK_MESSAGE(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)) == 0, threads << " threads");
    }
  }
}

TEST_CASE("options that no model can have name the field") {
  const auto message = [](auto change) {
    GPTConfig config{.vocab_size = 7, .n_layer = 1, .n_head = 4, .n_embd = 12};
    change(config);
    return message_of<ConfigError>([&] { GPT<float> model(config); });
  };
  CHECK(message([](GPTConfig& c) { c.n_kv_head = 3; }) == "[GPTConfig] n_kv_head must divide n_head 4, got 3");
  CHECK(message([](GPTConfig& c) { c.n_kv_head = -1; }) == "[GPTConfig] n_kv_head must divide n_head 4, got -1");
  CHECK(message([](GPTConfig& c) { c.rotary = true; }) ==
        "[GPTConfig] rotary turns pairs of channels: n_embd / n_head must be even, got 3");
  CHECK(message([](GPTConfig& c) { c.rope_theta = 0; }) == "[GPTConfig] rope_theta must be positive, got 0");
  CHECK(message([](GPTConfig& c) { c.logit_softcap = -1; }) ==
        "[GPTConfig] logit_softcap must be 0 (off) or positive, got -1");
  CHECK(message([](GPTConfig& c) { c.openai_exact = true, c.qk_norm = true, c.bias = false; }) ==
        "[GPTConfig] openai_exact is GPT-1 as released, without qk_norm, no bias");
}
