// GPT: parameter counts and names, modes, the context window, configurations and inputs that cannot work.

#include "gptlite/models/gpt.hpp"

#include <doctest/doctest.h>

#include "gptlite/autograd/gradcheck.hpp"
#include "gptlite/autograd/ops/softmax.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

GPTConfig small(NormOrder norm_order = NormOrder::post) {
  return {.vocab_size = 7, .block_size = 9, .n_layer = 2, .n_head = 2, .n_embd = 6, .norm_order = norm_order};
}
Tensor<TokenId> tokens(Shape shape) {
  Tensor<TokenId> t = Tensor<TokenId>::empty(std::move(shape));
  for (Index i = 0; i < t.numel(); ++i) t.data()[i] = static_cast<TokenId>((i * i + 3 * i) % 7);
  return t;
}

}  // namespace

TEST_CASE("the presets have exactly the published number of parameters") {
  GPT<float> gpt1(GPTConfig::gpt1());
  CHECK(parameter_count(gpt1) == 116534784);
  CHECK(GPTConfig::gpt1().parameter_count() == 116534784);
  GPT<float> gpt2(GPTConfig::gpt2());
  CHECK(parameter_count(gpt2) == 124439808);
  CHECK(GPTConfig::gpt2().parameter_count() == 124439808);
}

TEST_CASE("parameters carry the names of the published checkpoints") {
  GPT<float> model(small(NormOrder::pre));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named_parameters<float>(model)) names.push_back(name);
  REQUIRE(names.size() == 2 + 2 * 12 + 2);
  CHECK(names[0] == "wte.weight");
  CHECK(names[1] == "wpe.weight");
  CHECK(names[2] == "h.0.ln_1.weight");
  CHECK(names[4] == "h.0.attn.c_attn.weight");
  CHECK(names[25] == "h.1.mlp.c_proj.bias");
  CHECK(names[26] == "ln_f.weight");
  GPT<float> post(small(NormOrder::post));
  CHECK(named_parameters<float>(post).size() == 2 + 2 * 12);  // no norm after the last block
  CHECK(parameter_count(post) == post.config.parameter_count());
}

TEST_CASE("initial weights are N(0, 0.02), biases 0, norms 1 and 0, and a function of the seed") {
  GPTConfig config = small(NormOrder::pre);
  config.n_embd = 64;
  config.n_head = 4;
  GPT<double> model(config), same(config);
  config.seed = 2;
  GPT<double> other(config);
  CHECK(model.wte.weight.to_vector() == same.wte.weight.to_vector());
  CHECK(model.wte.weight.to_vector() != other.wte.weight.to_vector());
  const auto deviation = [](const Tensor<double>& x) {
    double squares = 0;
    for (Index i = 0; i < x.numel(); ++i) squares += x.data()[i] * x.data()[i];
    return std::sqrt(squares / static_cast<double>(x.numel()));
  };
  CHECK(deviation(model.h[0].mlp.c_fc.weight) / 0.02 == doctest::Approx(1).epsilon(0.03));
  CHECK(deviation(model.h[0].mlp.c_proj.weight) / 0.01 == doctest::Approx(1).epsilon(0.03));  // 1 / sqrt(2 * 2)
  CHECK(deviation(model.h[0].mlp.c_proj.bias) == 0);
  CHECK(deviation(model.ln_f.weight) == 1);
  CHECK(deviation(model.ln_f.bias) == 0);
}

TEST_CASE("the loss of a new model is that of guessing") {
  GPT<double> model(small());
  CHECK(model.loss(tokens({2, 9}), tokens({2, 9})).item() == doctest::Approx(std::log(7.0)).epsilon(0.05));
}

TEST_CASE("the gradient of the loss is right through the whole model, in both norm orders") {
  for (const NormOrder norm_order : {NormOrder::post, NormOrder::pre}) {
    GPTConfig config = small(norm_order);
    config.window = 3;
    if (norm_order == NormOrder::pre) {
      config.activation = Activation::silu;
      config.n_inner = 5;
      config.scale_attn_by_inverse_layer_idx = true;
      config.tie_word_embeddings = false;
    }
    config.initializer_range = 0.3;  // far enough from zero to feel every path
    GPT<double> model(config);
    std::vector<Tensor<double>> parameters;
    for (const auto& [name, tensor] : named_parameters<double>(model)) parameters.push_back(tensor);
    // The model reads the same numbers that gradcheck displaces.
    const auto loss = [&](const std::vector<Tensor<double>>&) { return model.loss(tokens({2, 5}), tokens({2, 5})); };
    const GradcheckResult result = gradcheck(loss, parameters);
    CHECK_MESSAGE(result, result.message);
  }
}

TEST_CASE("the loss is the cross-entropy of the logits, and bf16 by configuration is bf16 by Autocast") {
  GPTConfig config{.vocab_size = 11, .block_size = 7, .n_layer = 2, .n_head = 2, .n_embd = 16};
  const auto tokens = Tensor<TokenId>::from({1, 2, 3, 10, 0, 7, 7, 5}, {2, 4});
  const auto targets = Tensor<TokenId>::from({2, 3, 10, 0, 7, 7, 5, 9}, {2, 4});
  const GPT<float> fp32(config);
  const float exact = fp32.loss(tokens, targets).item();
  CHECK(cross_entropy(fp32.logits(tokens), targets).item() == doctest::Approx(exact).epsilon(1e-6));
  config.precision = Precision::bf16;
  const GPT<float> bf16(config);
  const float rounded = bf16.loss(tokens, targets).item();
  CHECK(rounded != exact);
  CHECK(rounded == doctest::Approx(exact).epsilon(1e-3));
  CHECK(autocast_precision() == Precision::fp32);
  const Autocast scope(Precision::bf16);
  CHECK(fp32.loss(tokens, targets).item() == rounded);
}

TEST_CASE("a position does not see what comes after it, nor what lies before its window") {
  GPTConfig config = small();
  config.window = 3;
  config.n_layer = 1;  // one layer: what a position sees is its window alone
  GPT<double> model(config);
  Tensor<TokenId> changed = tokens({1, 9});
  const std::vector<double> before = model.logits(changed).to_vector();
  changed.at({0, 4}) = (changed.at({0, 4}) + 1) % 7;
  const std::vector<double> after = model.logits(changed).to_vector();
  for (std::size_t position = 0; position < 9; ++position) {
    bool same = true;
    for (std::size_t v = 0; v < 7; ++v) same = same && before[position * 7 + v] == after[position * 7 + v];
    CHECK(same == (position < 4 || position > 6));
  }
}

TEST_CASE("dropout is active in training only") {
  GPTConfig config = small();
  config.dropout = 0.5;
  GPT<float> model(config);
  const Tensor<TokenId> x = tokens({2, 9});
  CHECK(model.logits(x).to_vector() != model.logits(x).to_vector());
  model.eval();
  CHECK(model.logits(x).to_vector() == model.logits(x).to_vector());
  model.train();
  CHECK(model.logits(x).to_vector() != model.logits(x).to_vector());
}

TEST_CASE("ignored targets do not count") {
  GPT<double> model(small());
  Tensor<TokenId> targets = tokens({1, 9});
  const Tensor<double> logits = model.logits(tokens({1, 9}));
  for (Index t = 0; t < 8; ++t) targets.at({0, t}) = ignore_index;
  const Tensor<double> log_probabilities = log_softmax(logits);
  CHECK(model.loss(tokens({1, 9}), targets).item() ==
        doctest::Approx(-log_probabilities.at({0, 8, targets.at({0, 8})})).epsilon(1e-12));
}

TEST_CASE("a configuration that no model can have names the field") {
  const auto message = [](auto change) {
    GPTConfig config = small();
    change(config);
    return message_of<ConfigError>([&] { GPT<float> model(config); });
  };
  CHECK(message([](GPTConfig& c) { c.n_embd = 130, c.n_head = 4; }) ==
        "[GPTConfig] n_embd 130 is not divisible by n_head 4");
  CHECK(message([](GPTConfig& c) { c.vocab_size = 0; }) == "[GPTConfig] vocab_size must be positive, got 0");
  CHECK(message([](GPTConfig& c) { c.n_layer = -1; }) == "[GPTConfig] n_layer must be positive, got -1");
  CHECK(message([](GPTConfig& c) { c.dropout = 1; }) == "[GPTConfig] dropout must be in 0..1 and below 1, got 1");
  CHECK(message([](GPTConfig& c) { c.n_inner = -1; }) ==
        "[GPTConfig] n_inner must be 0 (4 n_embd) or positive, got -1");
  CHECK(message([](GPTConfig& c) { c.unused_rows = 7; }) ==
        "[GPTConfig] unused_rows must be in 0..vocab_size 7 and below it, got 7");
  CHECK(message([](GPTConfig& c) { c.openai_exact = true, c.tie_word_embeddings = false; }) ==
        "[GPTConfig] openai_exact masks one matrix for tokens and head: it needs tie_word_embeddings");
  CHECK(message([](GPTConfig& c) { c.window = -2; }) == "[GPTConfig] window must be 0 (all) or positive, got -2");
}

TEST_CASE("inputs that do not fit the model") {
  const GPT<float> model(small());
  CHECK(message_of<ShapeError>([&] {
          model.logits(tokens({2, 10}));
        }) == "[GPT] sequences of 10 tokens exceed block_size 9: tokens (2, 10)");
  CHECK(message_of<ShapeError>([&] { model.logits(tokens({5})); }) == "[GPT] tokens must be (B, T), got (5)");
  CHECK(message_of<IndexError>([&] {
          model.logits(Tensor<TokenId>::from({1, 7}, {1, 2}));
        }) == "[embedding] token 7 at position 1 is outside the vocabulary of 7");
}

TEST_CASE("a model whose layers are not what its config says is refused where the config is taken for it") {
  const auto refusal = [](auto change, bool activation_too = true) {
    GPT<float> model(small());
    change(model);
    return message_of<ConfigError>([&] { model.check_blocks("there", activation_too); });
  };
  CHECK(refusal([](GPT<float>& model) { model.h[1].attn.causal = false; }) ==
        "[there] h.1.attn does not see what the config says: causal, window 0");
  CHECK(refusal([](GPT<float>& model) { model.h[0].attn.window = 2; }) ==
        "[there] h.0.attn does not see what the config says: causal, window 0");
  CHECK(refusal([](GPT<float>& model) { model.h[1].attn.scale = 1; }) ==
        "[there] h.1.attn has another scale than the config says");
  CHECK(refusal([](GPT<float>& model) { model.h[0].mlp.c_fc.bias = {}; }) ==
        "[there] h.0.mlp.c_fc has no bias, which every Linear of this GPT has");
  const auto relu = [](GPT<float>& model) { model.h[1].mlp.activation = Activation::relu; };
  CHECK(refusal(relu) == "[there] h.1.mlp has another activation than the config says, gelu_tanh");
  GPT<float> model(small());
  relu(model);
  CHECK_NOTHROW(model.check_blocks("there", false));
}

TEST_CASE("an output head of its own grows with the vocabulary") {
  GPTConfig config = small();
  config.tie_word_embeddings = false;
  GPT<float> model(config);
  const std::vector<float> before = model.lm_head.weight.to_vector();
  model.add_tokens(2, 1);
  CHECK(model.lm_head.weight.shape() == Shape{9, config.n_embd});
  const std::vector<float> after = model.lm_head.weight.to_vector();
  CHECK(std::equal(before.begin(), before.end(), after.begin()));
  CHECK(model.logits(tokens({1, 3})).shape() == Shape{1, 3, 9});
}

TEST_CASE("new tokens train if the token embedding does") {
  for (const bool trains : {true, false}) {
    GPT<float> model(small());
    model.wte.weight.set_requires_grad(trains);
    model.add_tokens(2, 1);
    CHECK(model.wte.weight.requires_grad() == trains);
  }
}
