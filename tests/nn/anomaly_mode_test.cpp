// AnomalyMode: the first number that is not finite is found, with its operation and the parameters behind it; what is
// finite passes and keeps its bits.

#include "gptlite/nn/anomaly_mode.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gptlite/gptlite.hpp"
#include "support/operations.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity_value = std::numeric_limits<float>::infinity();

// One linear and what a test computes from its output.
struct OneLinear {
  using value_type = float;
  Tensor<float> weight = Tensor<float>::from({1, 2, 3, 4}, {2, 2}).set_requires_grad();
  Tensor<float> bias = Tensor<float>::zeros({2}).set_requires_grad();
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
  Tensor<float> operator()(float x) const { return linear(Tensor<float>::full({1, 2}, x), weight, bias); }
};

GPT<float> gpt_of_two_blocks(NormOrder norm_order = NormOrder::pre, bool openai_exact = false) {
  return GPT<float>({.vocab_size = 7,
                     .block_size = 4,
                     .n_layer = 2,
                     .n_head = 2,
                     .n_embd = 8,
                     .dropout = 0.1,
                     .norm_order = norm_order,
                     .openai_exact = openai_exact});
}
const Tensor<TokenId>& two_texts() {
  static const Tensor<TokenId> ids = Tensor<TokenId>::from({0, 1, 2, 3, 4, 5, 6, 0}, {2, 4});
  return ids;
}
bool has_text(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

template <class T>
void pass_all_cases() {
  for (auto& c : operations::cases<T>()) {
    CAPTURE(c.label);
    std::vector<std::vector<T>> grads;
    for (const bool anomaly : {false, true}) {
      std::optional<AnomalyMode> scope;
      if (anomaly) scope.emplace();
      for (Tensor<T>& input : c.inputs) input.zero_grad();
      const Tensor<T> y = c.f(c.inputs);
      if (y.requires_grad()) y.backward(operations::wave<T>(y.shape(), 5).detach());
      std::vector<std::vector<T>> all{y.to_vector()};
      for (const Tensor<T>& input : c.inputs)
        if (input.has_grad()) all.push_back(input.grad().to_vector());
      CHECK((!anomaly || all == grads));
      grads = all;
    }
  }
}

}  // namespace

TEST_CASE("under AnomalyMode every operation on finite numbers passes, with the same bits") {
  pass_all_cases<float>();
  pass_all_cases<double>();
}

TEST_CASE("a NaN in any parameter of a model is named, with a graph, without one, and frozen") {
  for (const auto& [norm_order, exact] : {std::pair{NormOrder::pre, false}, {NormOrder::post, true}}) {
    GPT<float> model = gpt_of_two_blocks(norm_order, exact);
    add_lora(model, {.rank = 2, .trainable = {"h.1.*"}});  // h.0's weights are frozen, its adapters train
    const AnomalyMode anomaly(model);
    std::size_t count = 0;
    visit_parameters(model, [&](const std::string& name, Tensor<float>& parameter) {
      const std::vector<float> before = parameter.to_vector();
      std::fill_n(parameter.data(), parameter.numel(), nan_value);
      const auto check_message = [&] {
        const std::string message = message_of<AnomalyError>([&] { model.loss(two_texts(), two_texts()); });
        CHECK_MESSAGE(has_text(message, "; parameter " + name + " is not finite: "), name << ": " << message);
        CHECK(has_text(message, "[AnomalyMode] forward, operation "));
      };
      check_message();
      {
        const NoGrad no_grad;
        check_message();
      }
      std::copy(before.begin(), before.end(), parameter.data());
      ++count;
    });
    CHECK(count >= 30);
    model.loss(two_texts(), two_texts()).backward();
  }
}

TEST_CASE("an operation with parameters is named with them, with the place of the first bad number") {
  GPT<float> model = gpt_of_two_blocks();
  const AnomalyMode anomaly(model);
  model.h[1].ln_1.weight.data()[3] = nan_value;
  CHECK(message_of<AnomalyError>([&] { model.loss(two_texts(), two_texts()); }) ==
        "[AnomalyMode] forward, operation 13: output 0 of layer_norm with h.1.ln_1.weight and h.1.ln_1.bias is not "
        "finite: 8 of 64 numbers, the first nan at (0, 0, 3) of shape (2, 4, 8); parameter h.1.ln_1.weight is not "
        "finite: 1 of 8 numbers, the first nan at (3) of shape (8)");
}

TEST_CASE("an operation without parameters is named with the nearest ones upstream") {
  OneLinear layer;
  const AnomalyMode anomaly(layer);
  const std::string expected =
      "[AnomalyMode] forward, operation 3: output 0 of exp, computed from linear(weight, bias), is not finite: 1 of 2 "
      "numbers, the first inf at (0, 1) of shape (1, 2); its inputs are finite";
  SUBCASE("with a graph") {
    CHECK(message_of<AnomalyError>([&] { exp(-(-layer(14.7F))); }) != expected);  // one operation more
    AnomalyMode inner;
    CHECK(message_of<AnomalyError>([&] { exp(layer(14.9F) + 0.0F); }) == expected);
  }
  SUBCASE("without a graph") {
    const NoGrad no_grad;
    CHECK(message_of<AnomalyError>([&] { exp(layer(14.9F) + 0.0F); }) == expected);
  }
  SUBCASE("of two, the nearer; and each output of its own") {
    const Tensor<float> far = -(-layer(1)), near = layer.weight * 2.0F;
    CHECK(has_text(message_of<AnomalyError>([&] {
                     (far + near) / Tensor<float>::zeros({2, 2});
                   }),
                   "output 0 of div, computed from mul(weight), is not finite: 4 of 4 numbers, the first inf"));
  }
}

TEST_CASE("inputs that are not finite are told, whether the graph keeps their numbers or not") {
  OneLinear layer;
  const AnomalyMode anomaly(layer);
  const Tensor<float> bad = Tensor<float>::from({1, -infinity_value}, {2});
  CHECK(message_of<AnomalyError>([&] { layer(1) + bad; }) ==
        "[AnomalyMode] forward, operation 2: output 0 of add, computed from linear(weight, bias), is not finite: 1 of "
        "2 numbers, the first -inf at (0, 1) of shape (1, 2); input 1 is not finite: 1 of 2 numbers, the first -inf at "
        "(1) of shape (2)");
  CHECK(has_text(message_of<AnomalyError>([&] { sum(bad); }), "; input 0 is not finite: 1 of 2 numbers"));
}

TEST_CASE("a tensor that no operation made has no origin, even in the memory of one that had") {
  OneLinear layer;
  const AnomalyMode anomaly(layer);
  const float* address = nullptr;
  {
    const NoGrad no_grad;
    const Tensor<float> y = layer(1);
    address = y.data();
  }
  std::vector<Tensor<float>> made;  // until one gets the block of y
  for (int i = 0; i < 64 && (made.empty() || made.back().data() != address); ++i)
    made.push_back(Tensor<float>::full({1, 2}, 1000));
  CHECK(has_text(message_of<AnomalyError>([&] { exp(made.back()); }), "output 0 of exp is not finite"));
}

TEST_CASE("tensors of integers pass") {
  const AnomalyMode anomaly;
  CHECK(slice(two_texts(), 1, 1, 2).to_vector() == std::vector<TokenId>{1, 5});
}

TEST_CASE("of several outputs the bad one is named") {
  const Tensor<float> x = Tensor<float>::ones({2}).set_requires_grad();
  const AnomalyMode anomaly;
  const auto two = [&](float second) {
    return record("two", std::vector<Tensor<float>>{x.clone(), Tensor<float>::full({2}, second)}, {x},
                  [](Inputs<float>, std::span<const Tensor<float>>) {});
  };
  CHECK(two(1).size() == 2);
  CHECK(message_of<AnomalyError>([&] { two(nan_value); }) ==
        "[AnomalyMode] forward, operation 2: output 1 of two is not finite: 2 of 2 numbers, the first nan at (0) of "
        "shape (2); its inputs are finite");
}

TEST_CASE("a gradient that is not finite is named with the operation that wrote it") {
  OneLinear layer;
  const auto loss = [&] { return sum(log(layer(1) * 0.0F + 1e-39F)); };  // finite; 1 / 1e-39 is no float
  SUBCASE("without parameters") {
    const AnomalyMode anomaly(layer);
    CHECK(message_of<AnomalyError>([&] { loss().backward(); }) ==
          "[AnomalyMode] backward, operation 2: the gradient of input 0, of log, computed from linear(weight, bias), "
          "is not finite: 2 of 2 numbers, the first inf at (0, 0) of shape (1, 2); the gradients of its outputs are "
          "finite; its inputs are finite");
  }
  SUBCASE("of a graph recorded before, of which less is known") {
    const auto infinite = [](Inputs<float> in, const Tensor<float>&) { in[0].grad()[0] = infinity_value; };
    const auto f = [&] { return record("f", Tensor<float>::ones({}), {layer.weight.without_data()}, infinite); };
    const Tensor<float> before = loss(), without_numbers = f();
    const AnomalyMode anomaly(layer);
    CHECK(has_text(message_of<AnomalyError>([&] { before.backward(); }),
                   "of input 0, of log is not finite: 2 of 2 numbers"));
    CHECK(has_text(message_of<AnomalyError>([&] { without_numbers.backward(); }),
                   "; its inputs that were kept are finite (all are if AnomalyMode begins before the forward pass)"));
    layer.weight.zero_grad();
    CHECK(has_text(message_of<AnomalyError>([&] { f().backward(); }), "; its inputs are finite"));
  }
  SUBCASE("of a parameter") {
    const AnomalyMode anomaly(layer);
    CHECK(message_of<AnomalyError>([&] {
            layer(1e30F).backward(Tensor<float>::full({1, 2}, -1e30F));
          }) ==
          "[AnomalyMode] backward, operation 1: the gradient of input 1, weight, of linear with weight and bias is not "
          "finite: 4 of 4 numbers, the first -inf at (0, 0) of shape (2, 2); the gradients of its outputs are finite; "
          "its inputs are finite");
  }
  SUBCASE("that operations inside a backward compute") {
    const AnomalyMode anomaly;
    const Tensor<float> a = Tensor<float>::full({2}, 1e-30F), b = a.clone().set_requires_grad();
    CHECK(has_text(message_of<AnomalyError>([&] { (a / b).backward(Tensor<float>::full({2}, 1e10F)); }),
                   "backward, operation 1: the gradient of input 1, of div is not finite: 2 of 2 numbers, the first "
                   "-inf at (0)"));
  }
}

TEST_CASE("gradients that were not finite before a backward are told apart from those it writes") {
  OneLinear layer;
  const AnomalyMode anomaly(layer);
  CHECK(message_of<AnomalyError>([&] {
          layer(1).backward(Tensor<float>::full({1, 2}, nan_value));
        }) ==
        "[AnomalyMode] the gradient that backward() begins with is not finite: 2 of 2 numbers, the first nan at (0, 0) "
        "of shape (1, 2)");
  layer(1).backward(Tensor<float>::ones({1, 2}));
  layer.bias.grad().data()[1] = infinity_value;
  CHECK(message_of<AnomalyError>([&] {
          layer(1).backward(Tensor<float>::ones({1, 2}));
        }) ==
        "[AnomalyMode] the gradient of input 2, bias, of linear was not finite before this backward(): 1 of 2 numbers, "
        "the first inf at (1) of shape (2); zero_grad() clears it");
  layer.bias.zero_grad();
  layer(1).backward(Tensor<float>::ones({1, 2}));  // goes on after an error
  CHECK(layer.bias.grad().to_vector() == std::vector<float>{1, 1});
}

TEST_CASE("scopes nest, end with their block, and hold for their thread") {
  OneLinear layer, other;
  const Tensor<float> bad = Tensor<float>::full({2}, nan_value);
  const auto message = [&](const OneLinear& l) { return message_of<AnomalyError>([&] { l.bias + bad; }); };
  {
    const AnomalyMode outer(layer);
    {
      const AnomalyMode inner(other);
      CHECK(has_text(message(layer), "output 0 of add with bias is not finite"));  // named by the outer scope
      CHECK(has_text(message(other), "output 0 of add with bias is not finite"));
    }
    CHECK(has_text(message(layer), "output 0 of add with bias is not finite"));
    CHECK(has_text(message(other), "output 0 of add is not finite"));
    std::string elsewhere;
    std::thread([&] { elsewhere = message(layer); }).join();
    CHECK(elsewhere == "no exception");
  }
  CHECK(message(layer) == "no exception");
  CHECK_FALSE(layer.bias.without_data().defined());  // as it was
}
