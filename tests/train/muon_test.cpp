// Muon: the steps of torch.optim.Muon, joint projections a part at a time, which weights it takes, threads, and its
// state.

#include "gptlite/train/muon.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/core/parallel.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/optimizer.hpp"
#include "support/fixture.hpp"
#include "support/throws.hpp"

using namespace gptlite;
using train::Muon;
using train::MuonOptions;

namespace {

// The generator of make_muon.py.
template <class T>
void fill_numbers(T* to, Index count, std::int64_t state) {
  for (Index i = 0; i < count; ++i) {
    state = (1103515245 * state + 12345) % (std::int64_t{1} << 31);
    to[i] = static_cast<T>(static_cast<double>(state) / (1 << 30) - 1);
  }
}

// Weights "h.0", "h.1" ..., each of which is a matrix inside a block.
template <class T>
struct Matrices {
  using value_type = T;
  std::vector<Tensor<T>> h;

  explicit Matrices(const std::vector<Shape>& shapes) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      h.push_back(Tensor<T>::zeros(shapes[i]).set_requires_grad());
      fill_numbers(h[i].data(), h[i].numel(), static_cast<std::int64_t>(i) + 1);
    }
  }
  void visit(auto&& f) { f("h", h); }
  void set_grads(int step) {
    for (std::size_t i = 0; i < h.size(); ++i) {
      h[i].grad_state()->grad = Storage<T>(h[i].numel());
      fill_numbers(h[i].grad().data(), h[i].numel(), 100 * step + static_cast<std::int64_t>(i));
    }
  }
};

template <class T>
double largest_difference(const nlohmann::json& a, const nlohmann::json& torch, Precision precision) {
  std::vector<Shape> shapes;
  for (const auto& shape : torch["shapes"]) shapes.push_back(Shape{shape[0].get<Index>(), shape[1].get<Index>()});
  Matrices<T> model(shapes);
  MuonOptions options{.learning_rate = a["lr"].get<double>(),
                      .momentum = a.value("momentum", 0.95),
                      .nesterov = a.value("nesterov", true),
                      .weight_decay = a["weight_decay"].get<double>(),
                      .precision = precision,
                      .max_grad_norm = 0};
  options.newton_schulz = kernels::NewtonSchulz::jordan(a.value("ns_steps", 5));
  if (a.contains("adjust_lr_fn")) options.scale = parse<train::MuonScale>(a["adjust_lr_fn"].get<std::string>());
  Muon<T> optimizer(model, options);
  const int steps = torch["steps"].get<int>();
  for (int step = 1; step <= steps; ++step) {
    model.set_grads(step);
    CHECK_FALSE(optimizer.step().skipped);
  }
  CHECK(optimizer.step_count() == steps);
  double largest = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::vector<double> expected = a["weights"][i].get<std::vector<double>>();
    for (std::size_t j = 0; j < expected.size(); ++j)
      largest = std::max(largest, std::abs(static_cast<double>(model.h[i].data()[j]) - expected[j]));
  }
  return largest;
}

}  // namespace

TEST_CASE("ten steps are those of torch.optim.Muon") {
  const nlohmann::json torch = read_fixture("muon.json");
  for (const nlohmann::json& one : torch["cases"]) {
    CAPTURE(one.dump().substr(0, 100));
    CHECK(largest_difference<double>(one, torch, Precision::fp32) < 1e-11);
    CHECK(largest_difference<float>(one, torch, Precision::fp32) < 1e-4);
    CHECK(largest_difference<float>(one, torch, Precision::bf16) < 0.05);
  }
}

TEST_CASE("a matrix becomes about orthogonal; zeros stay zeros") {
  Matrices<double> model({{12, 30}, {30, 12}});
  const kernels::NewtonSchulz method = kernels::NewtonSchulz::polar_express(9, 1e-3, 1);
  for (Tensor<double>& x : model.h) {
    const Index R = x.shape()[0], C = x.shape()[1], n = std::min(R, C);
    kernels::orthogonalize(Precision::fp32, x.data(), R, C, method);
    for (Index i = 0; i < n; ++i) {
      double dot = 0;
      for (Index k = 0; k < std::max(R, C); ++k) {
        const double v = R < C ? x.data()[i * C + k] : x.data()[k * C + i];
        dot += v * v;
      }
      CHECK(dot == doctest::Approx(1).epsilon(1e-6));
    }
  }
  Tensor<double> zeros = Tensor<double>::zeros({4, 4});
  kernels::orthogonalize(Precision::fp32, zeros.data(), 4, 4, {});
  for (Index i = 0; i < 16; ++i) CHECK(zeros.data()[i] == 0);
}

TEST_CASE("the steps of the Polar Express are those of the paper") {
  // Amsel et al. 2025, algorithm 1, for singular values from 1e-3 on; without the safety factor of its code.
  const kernels::NewtonSchulz method = kernels::NewtonSchulz::polar_express(6, 1e-3, 1);
  CHECK(method.steps.size() == 6);
  const std::vector<std::array<double, 3>> expected{{8.47033, -25.10807, 18.62928}, {4.18283, -3.10870, 0.58061},
                                                    {3.96186, -2.95406, 0.56298},   {3.28659, -2.46472, 0.50736},
                                                    {2.27375, -1.64466, 0.41619},   {1.88872, -1.26516, 0.37652}};
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t j = 0; j < 3; ++j) CHECK(method.steps[i][j] == doctest::Approx(expected[i][j]).epsilon(1e-5));
}

TEST_CASE("joint projections are orthogonalized a part at a time") {
  static_assert(train::Optimizer<Muon<float>>);
  CHECK(train::joined_columns("h.0.attn.c_attn.weight", {8, 24}) == std::vector<Index>{8, 8, 8});
  CHECK(train::joined_columns("h.0.attn.c_attn.weight", {8, 12}) == std::vector<Index>{8, 2, 2});
  CHECK(train::joined_columns("h.0.mlp.c_fc.weight", {8, 24}) == std::vector<Index>{24});
  CHECK(train::joined_columns("h.0.attn.c_attn.weight", {8, 24}, 4) == std::vector<Index>(6, 4));
  CHECK(train::joined_columns("h.0.attn.c_attn.weight", {8, 16}, 4) == std::vector<Index>(4, 4));
  CHECK(train::joined_columns("h.0.attn.c_proj.weight", {8, 8}, 4) == std::vector<Index>{8});
  // As one matrix of three parts, and as three matrices.
  Matrices<double> joined({{5, 15}}), apart({{5, 5}, {5, 5}, {5, 5}});
  const auto copy = [&](auto from_joined, auto from_apart) {
    for (Index i = 0; i < 5; ++i)
      for (Index j = 0; j < 15; ++j)
        from_apart(static_cast<std::size_t>(j / 5))[i * 5 + j % 5] = from_joined()[i * 15 + j];
  };
  copy([&] { return joined.h[0].data(); }, [&](std::size_t part) { return apart.h[part].data(); });
  Muon<double> one(joined, {.parts = [](const std::string&, const Shape&) { return std::vector<Index>{5, 5, 5}; }});
  Muon<double> three(apart);
  for (int step = 1; step <= 3; ++step) {
    joined.set_grads(step);
    apart.set_grads(step);
    copy([&] { return joined.h[0].grad().data(); }, [&](std::size_t part) { return apart.h[part].grad().data(); });
    one.step();
    three.step();
  }
  for (Index i = 0; i < 75; ++i)
    CHECK(joined.h[0].data()[i] ==
          doctest::Approx(apart.h[static_cast<std::size_t>(i % 15 / 5)].data()[i / 15 * 5 + i % 5]).epsilon(1e-12));
}

namespace {

GPT<float> small_gpt(std::uint64_t seed) {
  return GPT<float>({.vocab_size = 11, .block_size = 8, .n_layer = 2, .n_head = 2, .n_embd = 16, .seed = seed});
}

std::vector<float> trained(GPT<float>& model, Muon<float>& optimizer, int steps) {
  const Tensor<TokenId> tokens = Tensor<TokenId>::from({1, 2, 3, 4, 5, 6, 7, 8, 3, 1, 4, 1, 5, 9, 2, 6}, {2, 8});
  for (int i = 0; i < steps; ++i) {
    model.loss(tokens, tokens).backward();
    optimizer.step();
  }
  std::vector<float> all;
  visit_parameters(model, [&](const std::string&, const Tensor<float>& tensor) {
    all.insert(all.end(), tensor.data(), tensor.data() + tensor.numel());
  });
  return all;
}

}  // namespace

TEST_CASE(
    "Muon takes the matrices inside blocks, AdamW the rest; a fresh optimizer with its state goes on bit for bit") {
  CHECK(train::is_inside_block("h.0.mlp.c_fc.weight"));
  CHECK(train::is_inside_block("backbone.h.11.attn.c_proj.weight"));
  for (const char* name : {"wte.weight", "lm_head.weight", "ln_1.weight", "h", "", ".", "h0.weight"})
    CHECK_FALSE(train::is_inside_block(name));
  GPT<float> model = small_gpt(1), same = small_gpt(1);
  Muon<float> optimizer(model), from_start(same);
  trained(model, optimizer, 3);
  std::map<std::string, Tensor<float>> state;
  std::int64_t count = 0;
  std::as_const(optimizer).visit([&](const std::string& name, const auto& value) {
    if constexpr (requires { value.clone(); })
      state[name] = value.clone();
    else
      count = value;
  });
  CHECK(count == 3);
  CHECK(state.count("momentum.h.1.attn.c_attn.weight") == 1);
  CHECK(state.count("m.wte.weight") == 1);
  CHECK(state.count("v.h.1.attn.c_attn.bias") == 1);
  CHECK(state.count("m.h.1.attn.c_attn.weight") == 0);
  Muon<float> fresh(model);
  fresh.visit([&](const std::string& name, auto& value) {
    if constexpr (requires { value.clone(); })
      value = state.at(name).clone();
    else
      value = count;
  });
  CHECK(trained(model, fresh, 2) == trained(same, from_start, 5));
  CHECK(message_of<ShapeError>([&] {
          fresh.visit([](const std::string& name, auto& value) {
            if constexpr (requires { value.clone(); })
              if (name == "momentum.h.0.mlp.c_fc.weight") value = Tensor<float>::zeros({2, 3});
          });
        }) == "[Muon] momentum.h.0.mlp.c_fc.weight must have shape (16, 64), got (2, 3)");
}

TEST_CASE("Muon computes the same bits for any number of threads") {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3, 7, 64}) {
    set_num_threads(threads);
    GPT<float> model = small_gpt(1);
    Muon<float> optimizer(model);
    results.push_back(trained(model, optimizer, 3));
  }
  set_num_threads(0);
  for (const std::vector<float>& result : results) CHECK(result == results[0]);
}

TEST_CASE("both learning rates follow set_learning_rate; bad options and gradients are refused") {
  GPT<float> model = small_gpt(1);
  Muon<float> optimizer(model, {.learning_rate = 0.1});
  const std::vector<float> before = trained(model, optimizer, 0);
  optimizer.set_learning_rate(0);
  CHECK(trained(model, optimizer, 2) == before);
  CHECK(optimizer.step_count() == 2);
  model.h[0].mlp.c_fc.weight.grad_state()->grad = Storage<float>::zeros(16 * 64);
  model.h[0].mlp.c_fc.weight.grad().data()[5] = std::nanf("");
  CHECK(optimizer.step().skipped);
  CHECK(optimizer.step_count() == 2);
  const auto refused = [&](const MuonOptions& options) {
    return message_of<ConfigError>([&] { Muon<float>(model, options); });
  };
  CHECK(refused({.learning_rate = -1}) == "[Muon] learning_rate must be 0 or positive and finite, got -1");
  CHECK(refused({.momentum = 1}) == "[Muon] momentum must be in 0..1 and below 1, got 1");
  CHECK(refused({.newton_schulz = {.steps = {}}}) == "[Muon] newton_schulz needs a step or more, got none");
  CHECK(refused({.head_size = -4}) == "[Muon] head_size must be 0 (q, k and v whole) or positive, got -4");
  CHECK(refused({.adamw_betas = {0.9, 1}}) == "[Muon] betas must be in 0..1 and below 1, got 0.9 and 1");
  CHECK(refused({.parts = [](const std::string&, const Shape&) { return std::vector<Index>{5}; }}) ==
        "[Muon] parts of h.0.attn.c_attn.weight must be positive and sum to its 48 columns");
}
