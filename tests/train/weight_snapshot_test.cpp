// WeightSnapshot: the same bits come back, into the same model or its twin, and nothing into another.

#include "gptlite/train/weight_snapshot.hpp"

#include <doctest/doctest.h>

#include "gptlite/models/gpt.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {
GPT<float> tiny(std::uint64_t seed, Index n_embd = 8, Index n_layer = 1) {
  return GPT<float>(
      {.vocab_size = 11, .block_size = 4, .n_layer = n_layer, .n_head = 2, .n_embd = n_embd, .seed = seed});
}
std::vector<float> weights(GPT<float>& model) {
  std::vector<float> all;
  visit_parameters(model, [&](const std::string&, const Tensor<float>& tensor) {
    all.insert(all.end(), tensor.data(), tensor.data() + tensor.numel());
  });
  return all;
}
}  // namespace

TEST_CASE("weights come back with the same bits") {
  GPT<float> model = tiny(1), twin = tiny(2);
  const std::vector<float> before = weights(model);
  const train::WeightSnapshot snapshot(std::as_const(model));
  model.wte.weight.data()[3] = 7;
  model.h[0].mlp.c_fc.bias.data()[0] = 7;
  CHECK(weights(model) != before);
  snapshot.restore(model);
  CHECK(weights(model) == before);
  CHECK(model.wte.weight.requires_grad());
  snapshot.restore(twin);
  CHECK(weights(twin) == before);
}

TEST_CASE("a model of other parameters is refused and left as it was") {
  GPT<float> model = tiny(1), wide = tiny(1, 16), deep = tiny(1, 8, 2);
  const train::WeightSnapshot snapshot(model);
  const train::WeightSnapshot deep_snapshot(deep);
  const std::vector<float> before = weights(wide);
  GPT<float> pre(
      {.vocab_size = 11, .block_size = 4, .n_layer = 1, .n_head = 2, .n_embd = 8, .norm_order = NormOrder::pre});
  CHECK(message_of<ConfigError>([&] { deep_snapshot.restore(pre); }) ==
        "[WeightSnapshot] the model has \"ln_f.weight\" where the snapshot has \"h.1.ln_1.weight\"");
  CHECK(message_of<ShapeError>([&] { snapshot.restore(wide); }) ==
        "[WeightSnapshot] wte.weight: the model has (11, 16), the snapshot (11, 8)");
  CHECK(weights(wide) == before);
  CHECK(message_of<ConfigError>([&] { snapshot.restore(deep); }) ==
        "[WeightSnapshot] the model has \"h.1.ln_1.weight\" where the snapshot has nothing");
  CHECK(message_of<ConfigError>([&] { deep_snapshot.restore(model); }) ==
        "[WeightSnapshot] the model has 14 parameters, the snapshot 26");
}
