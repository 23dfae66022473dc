// layer_decay: the factor of every parameter of a GPT and of a TaskModel, other names, and training with it.

#include "gptlite/train/layer_decay.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/models/task_model.hpp"
#include "gptlite/nn/visit.hpp"
#include "gptlite/train/adamw.hpp"
#include "support/throws.hpp"

using namespace gptlite;
using train::layer_decay;

namespace {

GPT<double> small_gpt(NormOrder norm_order) {
  return GPT<double>(
      {.vocab_size = 7, .block_size = 4, .n_layer = 3, .n_head = 2, .n_embd = 4, .norm_order = norm_order});
}

// The factor of 0.5 for three blocks, from the first letters of a name.
double expected_factor(const std::string& name) {
  const std::vector<std::pair<std::string, double>> factors{
      {"score.", 1}, {"ln_f.", 1}, {"h.2.", 0.5}, {"h.1.", 0.25}, {"h.0.", 0.125}, {"wte.", 0.0625}, {"wpe.", 0.0625}};
  for (const auto& [prefix, factor] : factors)
    if (name.starts_with(prefix)) return factor;
  return -1;
}

}  // namespace

TEST_CASE("every parameter of a GPT and of a TaskModel has the factor of its layer") {
  const auto factor = layer_decay(3, 0.5);
  const std::string backbone = "transformer.";
  for (const NormOrder norm_order : {NormOrder::post, NormOrder::pre}) {
    GPT<double> gpt = small_gpt(norm_order);
    int count = 0;
    visit_parameters(gpt, [&](const std::string& name, Tensor<double>&) {
      CHECK_MESSAGE(factor(name) == expected_factor(name), name);
      ++count;
    });
    CHECK(count == (norm_order == NormOrder::pre ? 40 : 38));
    TaskModel<GPT<double>> classifier(gpt, {.task = Task::classification});
    visit_parameters(classifier, [&](const std::string& name, Tensor<double>&) {
      const bool in_gpt = name.starts_with(backbone);
      CHECK_MESSAGE(factor(name) == expected_factor(in_gpt ? name.substr(backbone.size()) : name), name);
      --count;
    });
    CHECK(count == -1);  // the head's weight
  }
}

TEST_CASE("blocks are told by their whole number") {
  const auto factor = layer_decay(12, 0.5);
  CHECK(factor("h.1.ln_1.weight") == std::pow(0.5, 11));
  CHECK(factor("h.11.ln_1.weight") == 0.5);
  CHECK(factor("transformer.h.10.attn.c_attn.bias") == 0.25);
  CHECK(factor("h.0.attn.c_attn.lora_A") == std::pow(0.5, 12));  // whatever is in a block
  CHECK(factor("wte.weight") == std::pow(0.5, 13));
  CHECK(layer_decay(1, 0.75)("h.0.ln_1.weight") == 0.75);
}

TEST_CASE("a name it does not know has the factor 1") {
  const auto factor = layer_decay(2, 0.5);
  for (const char* name : {"",
                           "score.weight",
                           "score",
                           "transformer.ln_f.weight",
                           "head.wte.weight",
                           "wteish.weight",
                           "wtf",
                           "h",
                           "h.",
                           "h..weight",
                           "h.x.weight",
                           "h.1x.weight",
                           "h.-1.weight",
                           "h. 1.weight",
                           "hidden.0.weight",
                           "H.0.weight",
                           "transformer",
                           "transformer.",
                           "transformer.transformer.wte",
                           "my_transformer.h.0.weight"})
    CHECK_MESSAGE(factor(name) == 1, name);
}

TEST_CASE("a decay of 1 is the factor 1 exactly") {
  const auto factor = layer_decay(48, 1);
  for (const char* name : {"wte.weight", "wpe.weight", "h.0.ln_1.weight", "h.47.ln_1.weight", "score.weight"})
    CHECK(factor(name) == 1);
}

TEST_CASE("options that cannot work and blocks that are not there are refused") {
  const auto refusal = [](Index n_layer, double decay) {
    return message_of<ConfigError>([&] { layer_decay(n_layer, decay); });
  };
  CHECK(refusal(0, 0.5) == "[layer_decay] n_layer must be 1 or more, got 0");
  CHECK(refusal(-3, 0.5) == "[layer_decay] n_layer must be 1 or more, got -3");
  CHECK(refusal(2, 0) == "[layer_decay] decay must be above 0 and at most 1, got 0");
  CHECK(refusal(2, -0.5) == "[layer_decay] decay must be above 0 and at most 1, got -0.5");
  CHECK(refusal(2, 1.25) == "[layer_decay] decay must be above 0 and at most 1, got 1.25");
  CHECK(refusal(2, std::nan("")) == "[layer_decay] decay must be above 0 and at most 1, got nan");
  CHECK(refusal(2, std::numeric_limits<double>::infinity()) ==
        "[layer_decay] decay must be above 0 and at most 1, got inf");
  CHECK(refusal(1, 1) == "no exception");

  const auto factor = layer_decay(2, 0.5);
  CHECK(message_of<ConfigError>([&] { factor("transformer.h.2.ln_1.weight"); }) ==
        "[layer_decay] transformer.h.2.ln_1.weight is outside the 2 blocks given as n_layer: pass the n_layer of the "
        "model's config");
  CHECK(message_of<ConfigError>([&] {
          factor("h.99999999999999999999.weight");
        }).starts_with("[layer_decay] h.99999999999999999999.weight is outside the 2 blocks"));
  GPT<double> gpt = small_gpt(NormOrder::post);
  CHECK(message_of<ConfigError>([&] {
          train::AdamW(gpt, {.learning_rate_scale = factor});
        }).starts_with("[layer_decay] h.2.ln_1.weight is outside the 2 blocks"));
}

TEST_CASE("an optimizer with it moves each layer by its factor") {
  TaskModel<GPT<double>> classifier(small_gpt(NormOrder::pre), {.task = Task::classification});
  train::AdamW optimizer(classifier,
                         {.learning_rate = 0.01, .weight_decay = 0, .learning_rate_scale = layer_decay(3, 0.5)});
  std::vector<double> before;
  visit_parameters(classifier, [&](const std::string&, Tensor<double>& tensor) {
    before.push_back(tensor.data()[0]);
    tensor.grad_state()->grad = Storage<double>::zeros(tensor.numel());
    tensor.grad().data()[0] = 0.001;
  });
  optimizer.step();
  std::size_t i = 0;
  visit_parameters(classifier, [&](const std::string& name, Tensor<double>& tensor) {
    const double factor = expected_factor(name.substr(name.starts_with("transformer.") ? 12 : 0));
    // The first step is the learning rate long, but for eps.
    CHECK_MESSAGE(before[i++] - tensor.data()[0] == doctest::Approx(0.01 * factor).epsilon(1e-4), name);
  });
}
