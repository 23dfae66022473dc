// freeze and unfreeze: what they choose, that frozen parameters get no gradient and keep their bits, errors.

#include "gptlite/nn/freeze.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/adamw.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

GPTConfig small(NormOrder norm_order = NormOrder::pre) {
  return {.vocab_size = 7, .block_size = 5, .n_layer = 2, .n_head = 2, .n_embd = 4, .norm_order = norm_order};
}
const Tensor<TokenId> tokens = Tensor<TokenId>::from({1, 2, 3, 4, 5, 6, 0, 1}, {2, 4});
const Tensor<TokenId> targets = Tensor<TokenId>::from({2, 3, 4, 5, 6, 0, 1, 2}, {2, 4});

std::map<std::string, std::vector<float>> numbers(GPT<float>& model) {
  std::map<std::string, std::vector<float>> all;
  visit_parameters(model, [&](const std::string& name, auto& tensor) { all[name] = tensor.to_vector(); });
  return all;
}
bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("parameters are chosen by name, and counted") {
  GPT<float> model(small());
  const Index all = parameter_count(model);
  CHECK(trainable_count(model) == all);
  CHECK(freeze(model, "h.0.*") == 12);
  CHECK(trainable_count(model) == all - (12 * 16 + 9 * 4 + 4 * 4));
  CHECK_FALSE(model.h[0].mlp.c_fc.bias.requires_grad());
  CHECK(model.h[1].mlp.c_fc.bias.requires_grad());
  CHECK(freeze(model, std::vector<std::string>{"wte.weight", "w?e.weight", "*.ln_1.*"}) == 2 + 4);  // once each
  CHECK(freeze(model, {"wte.weight", "wpe.weight"}) == 2);
  CHECK(unfreeze(model, {"*.ln_?.weight"}) == 4);
  CHECK(model.h[0].ln_1.weight.requires_grad());
  CHECK_FALSE(model.h[0].ln_1.bias.requires_grad());
  CHECK(unfreeze(model, std::string("*")) == 28);
  CHECK(trainable_count(model) == all);
  CHECK(parameter_count(model) == all);
  CHECK(freeze(model.h[1], "mlp.*") == 4);  // any struct with visit
  CHECK_FALSE(model.h[1].mlp.c_proj.weight.requires_grad());
}

TEST_CASE("frozen parameters get no gradient, the others the same as without freezing") {
  for (const NormOrder norm_order : {NormOrder::pre, NormOrder::post}) {
    for (const char* pattern : {"w?e.weight", "*attn*", "*.ln_*", "*bias", "*weight", "h.0.*", "h.1.*", "wte.weight"}) {
      CAPTURE(pattern);
      GPT<double> model(small(norm_order)), reference(small(norm_order));
      freeze(model, pattern);
      model.loss(tokens, targets).backward();
      reference.loss(tokens, targets).backward();
      std::map<std::string, std::vector<double>> expected;
      visit_parameters(reference,
                       [&](const std::string& name, auto& tensor) { expected[name] = tensor.grad().to_vector(); });
      visit_parameters(model, [&](const std::string& name, auto& tensor) {
        CAPTURE(name);
        CHECK(tensor.has_grad() == !glob_match(name, pattern));
        if (tensor.has_grad()) CHECK(tensor.grad().to_vector() == expected[name]);
      });
    }
  }
}

TEST_CASE("nothing is recorded below the first parameter that trains") {
  GPT<float> model(small());
  freeze(model, "*");
  CHECK_FALSE(model.loss(tokens, targets).requires_grad());
  unfreeze(model, "ln_f.bias");
  CHECK(model.loss(tokens, targets).requires_grad());
  CHECK_FALSE(model.h[1](model.h[0](model.wte(tokens))).requires_grad());
}

TEST_CASE("the optimizer keeps the bits of frozen parameters and moves the others") {
  GPT<float> model(small());
  freeze(model, "h.0.*");
  const auto before = numbers(model);
  train::AdamW optimizer(model, {.learning_rate = 0.01, .weight_decay = 0.1});
  for (int step = 0; step < 3; ++step) {
    model.loss(tokens, targets).backward();
    optimizer.step();
  }
  for (const auto& each : numbers(model)) {
    const std::string& name = each.first;
    const auto& after = each.second;
    CAPTURE(name);
    CHECK(same_bits(before.at(name), after) == name.starts_with("h.0."));
  }
}

TEST_CASE("an optimizer that was made before does not move what is frozen later, though it had a gradient") {
  GPT<float> model(small());
  train::AdamW optimizer(model, {.learning_rate = 0.01, .weight_decay = 0.1});
  model.loss(tokens, targets).backward();
  optimizer.step();  // it has moments now
  model.loss(tokens, targets).backward();
  freeze(model, "*attn*");
  const auto before = numbers(model);
  optimizer.step();
  model.loss(tokens, targets).backward();
  optimizer.step();
  for (const auto& each : numbers(model)) {
    const std::string& name = each.first;
    const auto& after = each.second;
    CAPTURE(name);
    CHECK(same_bits(before.at(name), after) == glob_match(name, "*attn*"));
  }
  unfreeze(model, "*attn*");
  train::AdamW anew(model, {.learning_rate = 0.01});
  model.loss(tokens, targets).backward();
  anew.step();
  for (const auto& [name, after] : numbers(model)) CHECK_FALSE(same_bits(before.at(name), after));
}

TEST_CASE("unfreezing what trains keeps its gradient") {
  GPT<float> model(small());
  model.loss(tokens, targets).backward();
  unfreeze(model, "*");
  CHECK(model.wte.weight.has_grad());
}

TEST_CASE("copies made before are not frozen") {
  GPT<float> model(small());
  const GPT<float> copy = model;
  freeze(model, "*");
  CHECK(copy.wte.weight.requires_grad());
}

TEST_CASE("a pattern that matches nothing is refused with all names, and nothing changes") {
  GPT<float> model(small());
  const std::string known =
      "; there are wte.weight, wpe.weight, h.*.ln_1.weight, h.*.ln_1.bias, h.*.attn.c_attn.weight, "
      "h.*.attn.c_attn.bias, h.*.attn.c_proj.weight, h.*.attn.c_proj.bias, h.*.ln_2.weight, h.*.ln_2.bias, "
      "h.*.mlp.c_fc.weight, h.*.mlp.c_fc.bias, h.*.mlp.c_proj.weight, h.*.mlp.c_proj.bias, ln_f.weight, ln_f.bias";
  CHECK(message_of<ConfigError>([&] { freeze(model, "attn"); }) == "[freeze] no parameter matches \"attn\"" + known);
  CHECK(message_of<ConfigError>([&] { unfreeze(model, "h.2.*"); }) ==
        "[unfreeze] no parameter matches \"h.2.*\"" + known);
  CHECK(message_of<ConfigError>([&] {
          freeze(model, {"wte.*", "lm_head.*"});
        }) == "[freeze] no parameter matches \"lm_head.*\"" + known);
  CHECK(model.wte.weight.requires_grad());
  CHECK(message_of<ConfigError>([&] { freeze(model, std::vector<std::string>{}); }) == "[freeze] no pattern is given");
  CHECK(message_of<ConfigError>([&] { freeze(model.wte, ""); }) ==
        "[freeze] no parameter matches \"\"; there is weight");
  CHECK(message_of<ConfigError>([&] { freeze(model.drop, "*"); }) ==
        "[freeze] no parameter matches \"*\"; there are none");
}
