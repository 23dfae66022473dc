// LoRA: what adapters compute and leave as it was, what trains, merging, errors.

#include "gptlite/nn/lora.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "gptlite/autograd/gradcheck.hpp"
#include "gptlite/generate/decoder.hpp"
#include "gptlite/models/heads.hpp"
#include "gptlite/train/adamw.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

template <class T>
GPT<T> small(NormOrder norm_order = NormOrder::pre) {
  return GPT<T>({.vocab_size = 7,
                 .block_size = 5,
                 .n_layer = 2,
                 .n_head = 2,
                 .n_embd = 8,
                 .norm_order = norm_order,
                 .initializer_range = 0.3});
}
const Tensor<TokenId> tokens = Tensor<TokenId>::from({1, 2, 3, 4, 5, 6, 0, 1}, {2, 4});
const Tensor<TokenId> targets = Tensor<TokenId>::from({2, 3, 4, 5, 6, 0, 1, 2}, {2, 4});

// Adapters that add something: B is 0 at first.
template <class Module>
void fill_B(Module& module) {
  using T = typename Module::value_type;
  Generator random(11);
  visit_parameters(module, [&](const std::string& name, Tensor<T>& tensor) {
    if (!name.ends_with("lora_B")) return;
    const Tensor<T> values = Tensor<T>::normal(tensor.shape(), 0, 0.3, random.fork());
    std::copy_n(values.data(), values.size(), tensor.data());
  });
}
template <class T>
std::map<std::string, std::vector<T>> numbers(GPT<T>& model) {
  std::map<std::string, std::vector<T>> all;
  visit_parameters(model, [&](const std::string& name, auto& tensor) { all[name] = tensor.to_vector(); });
  return all;
}

}  // namespace

TEST_CASE("new adapters change no bit of what a model computes") {
  GPT<float> model = small<float>();
  const std::vector<float> before = model.logits(tokens).to_vector();
  // Per layer rank 3 in c_attn: 3 * 8 + 3 * 24 numbers.
  CHECK(add_lora(model, {.rank = 3}) == 2 * (3 * 8 + 3 * 24));
  CHECK(has_lora(model));
  CHECK(model.logits(tokens).to_vector() == before);
  CHECK(model.h[1].attn.c_attn.lora_A.shape() == Shape{8, 3});
  CHECK(model.h[1].attn.c_attn.lora_B.shape() == Shape{3, 24});
  CHECK(model.h[1].attn.c_attn.lora_scale == doctest::Approx(16.0 / 3));
  CHECK_FALSE(model.h[1].mlp.c_fc.has_lora());
  for (const float a : model.h[0].attn.c_attn.lora_A.to_vector()) CHECK(std::abs(a) <= 1 / std::sqrt(8.0f));
  fill_B(model);
  CHECK(model.logits(tokens).to_vector() != before);
}

TEST_CASE("a Linear with adapters computes x W + b + (alpha / r) (x A) B, and its gradients are right") {
  for (const Activation activation : {Activation::none, Activation::gelu}) {
    Generator init(3);
    Linear<double> layer(4, 6, 0.5, init);
    layer.bias = Tensor<double>::normal({6}, 0, 1, init.fork());
    layer.lora_A = Tensor<double>::normal({4, 2}, 0, 1, init.fork());
    layer.lora_B = Tensor<double>::normal({2, 6}, 0, 1, init.fork());
    layer.lora_scale = 1.5;
    const Tensor<double> x = Tensor<double>::normal({3, 4}, 0, 1, init.fork());
    const Tensor<double> y = layer(x, activation);
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 6; ++j) {
        double z = layer.bias.at({j});
        for (Index k = 0; k < 4; ++k) {
          z += x.at({i, k}) * layer.weight.at({k, j});
          for (Index r = 0; r < 2; ++r) z += 1.5 * x.at({i, k}) * layer.lora_A.at({k, r}) * layer.lora_B.at({r, j});
        }
        const double gelu = 0.5 * z * (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
        CHECK(y.at({i, j}) == doctest::Approx(activation == Activation::gelu ? gelu : z).epsilon(1e-12));
      }
    const auto f = [&](const std::vector<Tensor<double>>& in) {
      Linear<double> inside = layer;
      inside.weight = in[1];
      inside.bias = in[2];
      inside.lora_A = in[3];
      inside.lora_B = in[4];
      return sum(inside(in[0], activation) * Tensor<double>::from({1, -2, 3, 0.5, 1, -1}));
    };
    const GradcheckResult result = gradcheck(f, {x, layer.weight, layer.bias, layer.lora_A, layer.lora_B});
    CHECK_MESSAGE(result, result.message);
  }
}

TEST_CASE("training moves the adapters alone, and what was unfrozen") {
  for (const NormOrder norm_order : {NormOrder::pre, NormOrder::post}) {
    GPT<float> model = small<float>(norm_order);
    add_lora(model, {.rank = 2, .targets = {"*attn*", "*mlp.c_fc"}});
    unfreeze(model, "wpe.weight");
    const auto before = numbers(model);
    train::AdamW optimizer(model, {.learning_rate = 1e-2});
    float first = 0, last = 0;
    for (int step = 0; step < 20; ++step) {
      const Tensor<float> loss = model.loss(tokens, targets);
      loss.backward();
      optimizer.step();
      (step == 0 ? first : last) = loss.item();
    }
    CHECK(last < 0.9f * first);
    for (const auto& [name, values] : numbers(model)) {
      const bool trains = name.find("lora_") != name.npos || name == "wpe.weight";
      CHECK_MESSAGE((values != before.at(name)) == trains, name);
    }
  }
}

TEST_CASE("merged weights compute what the adapters did, and train") {
  GPT<float> model = small<float>();
  add_lora(model, {.rank = 2, .alpha = 3, .targets = {"*c_proj", "h.0.attn.c_attn"}});
  fill_B(model);
  GPT<float> copy = model;
  const std::vector<float> with = model.logits(tokens).to_vector();
  CHECK(merge_lora(model) == 5);
  CHECK_FALSE(has_lora(model));
  CHECK(has_lora(copy));  // and computes with them still
  CHECK(copy.logits(tokens).to_vector() == with);
  const std::vector<float> merged = model.logits(tokens).to_vector();
  for (std::size_t i = 0; i < with.size(); ++i) CHECK(merged[i] == doctest::Approx(with[i]).epsilon(1e-5));
  CHECK(model.h[0].attn.c_attn.weight.requires_grad());
  CHECK_FALSE(model.h[0].mlp.c_fc.weight.requires_grad());
  CHECK(merge_lora(model) == 0);
  add_lora(model);  // again
  CHECK(has_lora(model));
}

TEST_CASE("a Decoder has the adapters in its weights") {
  GPT<float> model = small<float>();
  add_lora(model, {.rank = 2, .targets = {"*"}});
  fill_B(model);
  model.eval();
  Decoder<float> decoder(model, {});
  const Tensor<float> scores = decoder.read({{1, 2, 3, 4}});
  const Tensor<float> logits = model.logits(tokens);
  for (Index k = 0; k < 7; ++k) CHECK(scores.at({0, k}) == doctest::Approx(logits.at({0, 3, k})).epsilon(1e-5));
}

TEST_CASE("a TaskModel's layers are found under their names, its head too") {
  TaskModel<float> model(small<float>(), {.task = Task::classification, .n_class = 3, .dropout = 0});
  add_lora(model, {.rank = 1, .targets = {"transformer.h.1.mlp.c_fc", "score"}});
  CHECK(model.score.has_lora());
  CHECK(model.transformer.h[1].mlp.c_fc.has_lora());
  CHECK_FALSE(model.transformer.h[0].mlp.c_fc.has_lora());
  fill_B(model);
  TaskBatch<float> batch;
  batch.tokens = tokens;
  batch.lengths = Tensor<std::int32_t>::from({4, 3});
  const std::vector<float> with = model.logits(batch).to_vector();
  CHECK(merge_lora(model) == 2);
  const std::vector<float> merged = model.logits(batch).to_vector();
  for (std::size_t i = 0; i < with.size(); ++i) CHECK(merged[i] == doctest::Approx(with[i]).epsilon(1e-5));
}

TEST_CASE("adapters are a function of the seed") {
  const auto A = [](std::uint64_t seed) {
    GPT<float> model = small<float>();
    add_lora(model, {.seed = seed});
    CHECK(model.h[0].attn.c_attn.lora_A.to_vector() != model.h[1].attn.c_attn.lora_A.to_vector());
    return model.h[1].attn.c_attn.lora_A.to_vector();
  };
  CHECK(A(1) == A(1));
  CHECK(A(1) != A(2));
}

TEST_CASE("what add_lora refuses leaves the model as it was") {
  GPT<float> model = small<float>();
  const auto refusal = [&](const LoraOptions& options) {
    return message_of<ConfigError>([&] { add_lora(model, options); });
  };
  CHECK(refusal({.rank = 0}) == "[add_lora] rank must be positive, got 0");
  CHECK(refusal({.alpha = -1}) == "[add_lora] alpha must be positive and finite, got -1");
  CHECK(refusal({.targets = {}}) == "[add_lora] no pattern is given");
  CHECK(refusal({.targets = {"*c_attn", "q_proj"}}) ==
        "[add_lora] no Linear layer matches \"q_proj\"; there are h.0.attn.c_attn, h.0.attn.c_proj, h.0.mlp.c_fc, "
        "h.0.mlp.c_proj, h.1.attn.c_attn, h.1.attn.c_proj, h.1.mlp.c_fc, h.1.mlp.c_proj");
  CHECK_FALSE(has_lora(model));
  CHECK(trainable_count(model) == parameter_count(model));
  add_lora(model, {.targets = {"h.1.mlp.c_fc"}});
  CHECK(refusal({}) == "[add_lora] h.1.mlp.c_fc has adapters already: call merge_lora(model) first, or train those");
  CHECK_FALSE(model.h[0].attn.c_attn.has_lora());
}
