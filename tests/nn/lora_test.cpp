// LoRA adapters: gradients, B = 0, what trains, merging, what has no place for them, errors.

#include "gptlite/nn/lora.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "gptlite/autograd/gradcheck.hpp"
#include "gptlite/generate/decoder.hpp"
#include "gptlite/io/gguf.hpp"
#include "gptlite/io/task_folder.hpp"
#include "gptlite/models/task_model.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/weight_snapshot.hpp"
#include "support/lora.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

GPTConfig small(NormOrder norm_order = NormOrder::pre) {
  return {.vocab_size = 11, .block_size = 6, .n_layer = 2, .n_head = 2, .n_embd = 8, .norm_order = norm_order};
}
const Tensor<TokenId> tokens = Tensor<TokenId>::from({1, 2, 3, 4, 5, 6, 0, 10}, {2, 4});
const Tensor<TokenId> targets = Tensor<TokenId>::from({2, 3, 4, 5, 6, 0, 1, 2}, {2, 4});

TaskBatch<float> task_batch() {
  TaskBatch<float> batch;
  batch.tokens = tokens;
  batch.lengths = Tensor<std::int32_t>::from({4, 3});
  batch.labels = Tensor<std::int32_t>::from({0, 2});
  return batch;
}

float largest_difference(const Tensor<float>& a, const Tensor<float>& b) {
  REQUIRE(a.shape() == b.shape());
  float worst = 0;
  for (Index i = 0; i < a.numel(); ++i) worst = std::max(worst, std::abs(a.data()[i] - b.data()[i]));
  return worst;
}

struct OneLayer {
  using value_type = double;
  Linear<double> layer;
  void visit(auto&& f) { f("layer", layer); }
};
OneLayer adapted_layer(Index in, Index out, Index rank) {
  Generator init(3);
  OneLayer module{Linear<double>(in, out, Init::normal(0.5), init)};
  fill_normal(module.layer.bias.data(), out, 0, 1, init.fork());
  add_lora(module, {.rank = rank, .alpha = 3, .targets = {"layer"}});
  fill_B(module);
  return module;
}

}  // namespace

TEST_CASE("a Linear with adapters computes x W + b + (alpha / r) (x A) B, and has its gradients") {
  OneLayer module = adapted_layer(3, 4, 2);
  const Linear<double>& layer = module.layer;
  const Tensor<double> x = Tensor<double>::normal({5, 3}, 0, 1, Generator(5).fork());
  const Tensor<double> y = layer(x);
  CHECK(layer.lora.scale == 1.5);
  for (Index row = 0; row < 5; ++row) {
    for (Index column = 0; column < 4; ++column) {
      double expected = layer.bias.at({column});
      for (Index k = 0; k < 3; ++k) expected += x.at({row, k}) * layer.weight.at({k, column});
      for (Index r = 0; r < 2; ++r)
        for (Index k = 0; k < 3; ++k)
          expected += 1.5 * x.at({row, k}) * layer.lora.A.at({k, r}) * layer.lora.B.at({r, column});
      CHECK(y.at({row, column}) == doctest::Approx(expected).epsilon(1e-13));
    }
  }
  for (const Activation activation : {Activation::none, Activation::gelu_tanh}) {
    for (const bool frozen : {true, false}) {
      std::vector<Tensor<double>> inputs{x.clone(), layer.lora.A.clone(), layer.lora.B.clone(), layer.weight.clone(),
                                         layer.bias.clone()};
      for (std::size_t i = 0; i < (frozen ? 3 : 5); ++i) inputs[i].set_requires_grad();
      const auto f = [&](const std::vector<Tensor<double>>& in) {
        Linear<double> own = layer;
        own.lora.A = in[1];
        own.lora.B = in[2];
        own.weight = in[3];
        own.bias = in[4];
        return own(in[0], activation);
      };
      const GradcheckResult result = gradcheck(f, inputs);
      CHECK_MESSAGE(result.ok, result.message);
      for (std::size_t i = 0; i < 5; ++i) CHECK(inputs[i].has_grad() == (i < (frozen ? 3 : 5)));
    }
  }
}

TEST_CASE("without a bias, as a TaskModel's head, a Linear takes adapters too") {
  OneLayer module = adapted_layer(3, 2, 1);
  const Tensor<double> x = Tensor<double>::normal({4, 3}, 0, 1, Generator(5).fork());
  const std::vector<double> bias = module.layer.bias.to_vector(), with = module.layer(x).to_vector();
  module.layer.bias = {};
  const std::vector<double> without = module.layer(x).to_vector();
  for (std::size_t i = 0; i < with.size(); ++i) CHECK(without[i] + bias[i % 2] == doctest::Approx(with[i]));
  merge_lora(module);
  CHECK_FALSE(module.layer.bias.defined());
}

TEST_CASE("B = 0 leaves the outputs bit for bit") {
  for (const NormOrder norm_order : {NormOrder::pre, NormOrder::post}) {
    GPT<float> model(small(norm_order));
    model.eval();
    const GPT<float> before = model;
    CHECK_FALSE(has_lora(model));
    add_lora(model, {.rank = 3, .targets = {"*"}});
    CHECK(has_lora(model));
    CHECK(model.logits(tokens).to_vector() == before.logits(tokens).to_vector());
    CHECK(model.loss(tokens, targets).item() == before.loss(tokens, targets).item());
    CHECK_FALSE(before.h[0].attn.c_attn.lora.defined());  // a copy made before
    CHECK(before.wte.weight.requires_grad());
  }
}

TEST_CASE("A is uniform in 1 / sqrt(in), of its own for every layer, a function of the seed") {
  GPT<float> one(small()), same(small()), other(small());
  add_lora(one, {.rank = 64, .targets = {"*"}, .seed = 5});
  add_lora(same, {.rank = 64, .targets = {"*"}, .seed = 5});
  add_lora(other, {.rank = 64, .targets = {"*"}, .seed = 6});
  const auto a = numbers(one);
  CHECK(a == numbers(same));
  CHECK(a.at("h.0.attn.c_attn.lora_A") != numbers(other).at("h.0.attn.c_attn.lora_A"));
  CHECK(a.at("h.0.attn.c_attn.lora_A") != a.at("h.1.attn.c_attn.lora_A"));
  for (const auto& each : detail::linear_layers(one)) {
    const std::string& name = each.first;
    const auto& layer = each.second;
    CAPTURE(name);
    const auto in = static_cast<double>(layer->weight.shape()[0]);
    CHECK(layer->lora.A.shape() == Shape{layer->weight.shape()[0], 64});
    CHECK(layer->lora.B.shape() == Shape{64, layer->weight.shape()[1]});
    double squares = 0, most = 0;
    for (const float value : layer->lora.A.to_vector()) {
      squares += double(value) * double(value);
      most = std::max(most, std::abs(double(value)));
    }
    CHECK(most <= 1 / std::sqrt(in));
    CHECK(most > 0.98 / std::sqrt(in));
    CHECK(squares / static_cast<double>(layer->lora.A.numel()) == doctest::Approx(1 / (3 * in)).epsilon(0.15));
    for (const float value : layer->lora.B.to_vector()) CHECK(value == 0);
  }
}

TEST_CASE("only the adapters train, and what is asked for besides") {
  GPT<float> model(small());
  CHECK(add_lora(model) == 2 * (8 * 8 + 8 * 24));  // rank 8 on every c_attn
  CHECK(trainable_names(model) ==
        Names{"h.0.attn.c_attn.lora_A", "h.0.attn.c_attn.lora_B", "h.1.attn.c_attn.lora_A", "h.1.attn.c_attn.lora_B"});
  CHECK(model.h[0].attn.c_attn.lora.scale == 2);
  TaskModel<GPT<float>> task(GPT<float>(small()), {.task = Task::classification, .n_class = 3});
  CHECK(add_lora(task, {.rank = 1, .targets = {"*.1.mlp.c_proj"}, .trainable = {"score.*", "*wte.weight"}}) ==
        32 + 8 + 8 * 3 + 11 * 8);
  CHECK(trainable_names(task) == Names{"transformer.wte.weight", "transformer.h.1.mlp.c_proj.lora_A",
                                       "transformer.h.1.mlp.c_proj.lora_B", "score.weight"});
}

TEST_CASE("training changes the adapters and nothing else, and lowers the loss") {
  TaskModel<GPT<float>> model(GPT<float>(small()), {.task = Task::classification, .n_class = 3, .dropout = 0});
  model.eval();
  add_lora(model, {.rank = 2, .targets = {"*c_attn", "*mlp.c_*"}, .trainable = {"score.*"}});
  const auto before = numbers(model);
  const float first = model.loss(task_batch(), 0.5).item();
  train::AdamW optimizer(model, {.learning_rate = 0.02, .weight_decay = 0.1});
  for (int step = 0; step < 20; ++step) {
    model.loss(task_batch(), 0.5).backward();
    visit_parameters(model, [&](const std::string& name, auto& tensor) {
      CAPTURE(name);
      CHECK(tensor.has_grad() == (name.find("lora_") != name.npos || name == "score.weight"));
    });
    optimizer.step();
  }
  CHECK(model.loss(task_batch(), 0.5).item() < 0.8F * first);
  for (const auto& each : numbers(model)) {
    const std::string& name = each.first;
    const auto& after = each.second;
    CAPTURE(name);
    CHECK((after != before.at(name)) == (name.find("lora_") != name.npos || name == "score.weight"));
  }
}

TEST_CASE("a snapshot of the weights has the adapters") {
  GPT<float> model(small());
  add_lora(model);
  const train::WeightSnapshot<float> snapshot(model);
  const auto before = numbers(model);
  fill_B(model);
  CHECK(numbers(model) != before);
  snapshot.restore(model);
  CHECK(numbers(model) == before);
}

TEST_CASE("a merged model computes the same without adapters") {
  for (const NormOrder norm_order : {NormOrder::pre, NormOrder::post}) {
    TaskModel<GPT<float>> model(GPT<float>(small(norm_order)), {.task = Task::classification, .n_class = 3});
    model.eval();
    add_lora(model, {.rank = 3, .alpha = 5, .targets = {"*"}});
    const Tensor<float> untrained = model.logits(task_batch());
    fill_B(model);
    TaskModel<GPT<float>> copy = model;
    const Tensor<float> adapted = model.logits(task_batch()), texts = model.backbone.logits(tokens);
    CHECK(largest_difference(untrained, adapted) > 1e-3F);
    CHECK(merge_lora(model) == 9);
    CHECK_FALSE(has_lora(model));
    CHECK(largest_difference(adapted, model.logits(task_batch())) < 1e-5F);
    CHECK(largest_difference(texts, model.backbone.logits(tokens)) < 1e-5F);
    CHECK(trainable_names(model).size() == 9);  // the merged weights
    CHECK(model.score.weight.requires_grad());
    CHECK_FALSE(model.backbone.wte.weight.requires_grad());
    CHECK(merge_lora(model) == 0);
    CHECK(copy.logits(task_batch()).to_vector() == adapted.to_vector());  // with its own weights and adapters
    CHECK(has_lora(copy));
    add_lora(model);  // again, on top
    CHECK(has_lora(model));
  }
}

TEST_CASE("merged weights train, and nothing is rounded to bf16") {
  GPT<float> model(small());
  add_lora(model);
  fill_B(model);
  const Linear<float> before = model.h[0].attn.c_attn;
  {
    const Autocast bf16(Precision::bf16);
    merge_lora(model);
  }
  CHECK(trainable_names(model) == Names{"h.0.attn.c_attn.weight", "h.1.attn.c_attn.weight"});
  for (Index i = 0; i < 8; ++i)
    for (Index j = 0; j < 24; ++j) {
      double expected = before.weight.at({i, j});
      for (Index r = 0; r < 8; ++r)
        expected += 2.0 * double(before.lora.A.at({i, r})) * double(before.lora.B.at({r, j}));
      CHECK(std::abs(model.h[0].attn.c_attn.weight.at({i, j}) - expected) < 1e-6);
    }
}

TEST_CASE("a Decoder merges the adapters it finds") {
  GPT<float> model(small());
  model.eval();
  add_lora(model, {.targets = {"*"}});
  fill_B(model);
  const Tensor<float> expected = model.logits(tokens);
  Decoder<float> decoder(model, {.batch = 2});
  const Tensor<float> last = decoder.next_logits({{1, 2, 3, 4}, {5, 6, 0, 10}});
  REQUIRE(last.shape() == Shape{2, 11});
  for (Index b = 0; b < 2; ++b)
    for (Index v = 0; v < 11; ++v) CHECK(last.at({b, v}) == doctest::Approx(expected.at({b, 3, v})).epsilon(1e-4));
  CHECK(has_lora(model));
}

TEST_CASE("files of models have no place for adapters: refused before anything is written") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string() + "/model";
  const std::string why = "the model has adapters: call save_lora(folder, model), or merge_lora(model) first";
  GPT<float> model(small());
  add_lora(model);
  CHECK(message_of<ConfigError>([&] { io::save_gpt(path, model); }) == "[save_gpt] " + why);
  CHECK(message_of<ConfigError>([&] { io::save_gguf(path, model); }) == "[save_gguf] " + why);
  const text::CharTokenizer characters("abcdefghijk");
  CHECK(message_of<ConfigError>([&] { io::save_model(path, model, characters); }) == "[save_gpt] " + why);
  TaskModel<GPT<float>> task(GPT<float>(small()), {.task = Task::classification, .n_class = 3});
  add_lora(task, {.targets = {"score"}});
  CHECK(message_of<ConfigError>([&] {
          io::save_task_model<float>(path, {task, {characters, {0, 1, 2}}, {}});
        }) == "[save_task_model] " + why);
  CHECK_FALSE(std::filesystem::exists(path));
  merge_lora(model);
  CHECK_NOTHROW(io::save_gpt(path, model));
}

TEST_CASE("options that cannot work are refused, and nothing changes") {
  GPT<float> model(small());
  const auto message = [&](const LoraOptions& options) {
    return message_of<ConfigError>([&] { add_lora(model, options); });
  };
  CHECK(message({.rank = 0}) == "[add_lora] rank must be positive, got 0");
  CHECK(message({.alpha = -1}) == "[add_lora] alpha must be positive and finite, got -1");
  CHECK(message({.alpha = INFINITY}) == "[add_lora] alpha must be positive and finite, got inf");
  CHECK(message({.alpha = NAN}) == "[add_lora] alpha must be positive and finite, got nan");
  const std::string layers = "; there are h.*.attn.c_attn, h.*.attn.c_proj, h.*.mlp.c_fc, h.*.mlp.c_proj";
  CHECK(message({.targets = {"*c_attn", "*q_proj"}}) == "[add_lora] no Linear layer matches \"*q_proj\"" + layers);
  CHECK(message({.targets = {"wte"}}) == "[add_lora] no Linear layer matches \"wte\"" + layers);
  CHECK(message({.targets = {}}) == "[add_lora] no pattern is given");
  CHECK(message({.trainable = {"score.*"}}).starts_with("[add_lora] no parameter matches \"score.*\"; there are wte."));
  CHECK_FALSE(has_lora(model));
  CHECK(trainable_names(model).size() == 28);
  add_lora(model, {.targets = {"h.1.attn.c_attn"}});
  CHECK(message({}) == "[add_lora] h.1.attn.c_attn has adapters already: call merge_lora(model) first, or train those");
}
