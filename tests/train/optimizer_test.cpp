// Optimizer state: what visit names, that a fresh optimizer given it goes on bit for bit, and what it refuses.

#include "gptlite/train/optimizer.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/data/token_batches.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/nn/freeze.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/weight_snapshot.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

static_assert(train::Optimizer<train::AdamW<float>> && train::Optimizer<train::AdamW<double>>);
static_assert(!train::Optimizer<int>);

GPT<float> tiny_gpt(std::uint64_t seed) {
  return GPT<float>({.vocab_size = 11, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 8, .seed = seed});
}

// What a checkpoint would hold.
struct SavedState {
  std::map<std::string, Tensor<float>> tensors;
  std::map<std::string, std::int64_t> counts;

  template <class O>
  explicit SavedState(const O& optimizer) {
    optimizer.visit([&](const std::string& name, const auto& state) {
      if constexpr (requires { state.clone(); })
        tensors[name] = state.clone();
      else
        counts[name] = state;
    });
  }
  template <class O>
  void restore(O& optimizer) const {
    optimizer.visit([&](const std::string& name, auto& state) {
      if constexpr (requires { state.clone(); })
        state = tensors.at(name).clone();
      else
        state = counts.at(name);
    });
  }
};

template <class O>
void train_steps(GPT<float>& model, O& optimizer, data::TokenBatches& batches, int steps) {
  for (int i = 0; i < steps; ++i) {
    const auto [inputs, targets] = batches.next();
    model.loss(inputs, targets).backward();
    optimizer.step();
  }
}

data::TokenBatches tiny_batches() {
  std::vector<TokenId> tokens;
  for (int i = 0; i < 400; ++i) tokens.push_back((i * i + 7 * i) % 11);
  return data::TokenBatches(tokens, {.batch_size = 3, .block_size = 8, .seed = 1});
}

std::vector<float> weights_of(GPT<float>& model) {
  std::vector<float> all;
  visit_parameters(model, [&](const std::string&, const Tensor<float>& tensor) {
    all.insert(all.end(), tensor.data(), tensor.data() + tensor.numel());
  });
  return all;
}

}  // namespace

TEST_CASE("the state has the names and shapes of the parameters that train, zeros before the first step") {
  GPT<float> model = tiny_gpt(1);
  freeze(model, "wpe.*");
  train::AdamW optimizer(model);
  std::vector<std::string> expected{"step"}, names;
  std::map<std::string, Shape> shapes;
  visit_parameters(model, [&](const std::string& name, const Tensor<float>& tensor) {
    if (!tensor.requires_grad()) return;
    for (const char* moment : {"m.", "v."}) {
      expected.push_back(moment + name);
      shapes[moment + name] = tensor.shape();
    }
  });
  const auto check_state = [&](const std::string& name, auto& state) {
    names.push_back(name);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(state)>, std::int64_t>) {
      CHECK(name == "step");
      CHECK(state == 0);
    } else {
      CHECK(state.shape() == shapes.at(name));
      CHECK(state.to_vector() == std::vector<float>(static_cast<std::size_t>(state.numel())));
    }
  };
  optimizer.visit(check_state);
  CHECK(names == expected);
  CHECK(expected.size() > 20);
  names.clear();
  std::as_const(optimizer).visit(check_state);
  CHECK(names == expected);
}

TEST_CASE("a fresh optimizer with the state of another one goes on bit for bit") {
  GPT<float> model = tiny_gpt(1), resumed = tiny_gpt(2);
  data::TokenBatches batches = tiny_batches();
  train::AdamW optimizer(model, {.learning_rate = 1e-2});
  train_steps(model, optimizer, batches, 7);

  const SavedState state(optimizer);
  CHECK(state.counts == std::map<std::string, std::int64_t>{{"step", 7}});
  train::WeightSnapshot(model).restore(resumed);
  data::TokenBatches same_batches = tiny_batches();
  for (int i = 0; i < 7; ++i) same_batches.next();
  train_steps(model, optimizer, batches, 5);
  CHECK(state.counts.at("step") == 7);  // a copy

  SUBCASE("the state makes the rest of the run the same") {
    train::AdamW fresh(resumed, {.learning_rate = 1e-2});
    state.restore(fresh);
    CHECK(fresh.step_count() == 7);
    train_steps(resumed, fresh, same_batches, 5);
    CHECK(weights_of(resumed) == weights_of(model));
    CHECK(fresh.step_count() == 12);
  }
  SUBCASE("without it the run goes elsewhere") {
    train::AdamW fresh(resumed, {.learning_rate = 1e-2});
    train_steps(resumed, fresh, same_batches, 5);
    CHECK(weights_of(resumed) != weights_of(model));
  }
}

TEST_CASE("state that does not fit is refused and leaves the optimizer as it was") {
  GPT<float> model = tiny_gpt(1);
  train::AdamW optimizer(model);
  const auto visit_with = [&](const std::string& wanted, const Tensor<float>& tensor, std::int64_t count) {
    optimizer.visit([&](const std::string& name, auto& state) {
      if (name != wanted) return;
      if constexpr (requires { state.clone(); })
        state = tensor;
      else
        state = count;
    });
  };
  CHECK(message_of<ShapeError>([&] {
          visit_with("v.wte.weight", Tensor<float>::zeros({8, 11}), 0);
        }) == "[AdamW] v.wte.weight must have shape (11, 8), got (8, 11)");
  CHECK(message_of<ShapeError>([&] { visit_with("m.wpe.weight", {}, 0); }) ==
        "[AdamW] m.wpe.weight must have shape (8, 8), got an undefined tensor");
  CHECK(message_of<DataError>([&] { visit_with("step", {}, -3); }) == "[AdamW] step must be in 0..2^62, got -3");
  CHECK(optimizer.step_count() == 0);
  optimizer.visit([](const std::string& name, auto& state) {
    if constexpr (requires { state.clone(); })
      if (name == "v.wte.weight") CHECK(state.shape() == Shape{11, 8});
  });
}
