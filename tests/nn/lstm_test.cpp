// LSTM runs lstm for each layer: names, sizes and start of its parameters, residual, dropout, state, padding.

#include "gptlite/nn/lstm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gptlite/nn/visit.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

LSTM<double> lstm_layers(const LSTMOptions& options, double dropout = 0, bool training = true) {
  Generator generator(3);
  const auto mode = std::make_shared<TrainingMode>(TrainingMode{training, Generator(5, RandomUse::dropout)});
  return LSTM<double>(options, {dropout, mode}, generator);
}
Tensor<double> some_input(Shape shape) { return Tensor<double>::normal(std::move(shape), 0, 1, {1, 2}); }

}  // namespace

TEST_CASE("LSTM: names and shapes of the parameters, drawn from -1 / sqrt(H) to 1 / sqrt(H)") {
  LSTM<double> layers =
      lstm_layers({.input_size = 3, .hidden_size = 16, .num_layers = 2, .bidirectional = true, .proj_size = 2});
  std::vector<std::string> names;
  double largest = 0;
  visit_parameters(layers, [&](const std::string& name, const Tensor<double>& weight) {
    names.push_back(name);
    CHECK(weight.requires_grad());
    for (const double number : weight.to_vector()) largest = std::max(largest, std::abs(number));
  });
  CHECK(names == std::vector<std::string>{
                     "forward.0.weight_ih", "forward.0.weight_hh", "forward.0.bias", "forward.0.weight_hr",
                     "forward.1.weight_ih", "forward.1.weight_hh", "forward.1.bias", "forward.1.weight_hr",
                     "reverse.0.weight_ih", "reverse.0.weight_hh", "reverse.0.bias", "reverse.0.weight_hr",
                     "reverse.1.weight_ih", "reverse.1.weight_hh", "reverse.1.bias", "reverse.1.weight_hr"});
  CHECK(largest <= 0.25);
  CHECK(largest > 0.24);
  CHECK(layers.forward[0].weights.weight_ih.shape() == Shape{3, 64});
  CHECK(layers.forward[1].weights.weight_ih.shape() == Shape{4, 64});  // both directions of the first layer
  CHECK(layers(some_input({2, 5, 3})).y().shape() == Shape{2, 5, 4});
}

TEST_CASE("LSTM: a layer is lstm with its weights, and the next one reads its output") {
  const LSTM<double> layers = lstm_layers({.input_size = 3, .hidden_size = 4, .num_layers = 2, .bidirectional = true});
  const Tensor<double> x = some_input({2, 5, 3});
  Tensor<double> y = x;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto both =
        lstm<double>({{y, layers.forward[i].weights}, {y, layers.reverse[i].weights, TimeOrder::reverse}});
    y = concat<double>({both[0].y, both[1].y}, 2);
    CHECK(layers(x).layers[i].to_vector() == y.to_vector());
  }
  CHECK(layers(x).carry.size() == 4);
}

TEST_CASE("LSTM: with residual each later layer adds its input") {
  LSTMOptions options{.input_size = 4, .hidden_size = 4, .num_layers = 2};
  const Tensor<double> x = some_input({2, 5, 4});
  const auto plain = lstm_layers(options)(x);
  options.residual = true;
  const auto added = lstm_layers(options)(x);
  CHECK(added.layers[0].to_vector() == plain.layers[0].to_vector());
  CHECK(added.y().to_vector() == (plain.y() + plain.layers[0]).to_vector());
}

TEST_CASE("LSTM: dropout between layers, in training only") {
  const LSTMOptions options{.input_size = 3, .hidden_size = 4, .num_layers = 2};
  const Tensor<double> x = some_input({2, 5, 3});
  const auto exact = lstm_layers(options)(x);
  CHECK(lstm_layers(options, 0.5, false)(x).y().to_vector() == exact.y().to_vector());
  const auto dropped = lstm_layers(options, 0.5)(x);
  CHECK(dropped.layers[0].to_vector() == exact.layers[0].to_vector());  // the mask is on what the next layer reads
  CHECK(dropped.y().to_vector() != exact.y().to_vector());
}

TEST_CASE("LSTM: two calls with the carry give what one call gives") {
  const LSTM<double> layers = lstm_layers({.input_size = 3, .hidden_size = 5, .num_layers = 2, .proj_size = 2});
  const Tensor<double> x = some_input({2, 7, 3});
  const auto first = layers(slice(x, 1, 0, 3)), second = layers(slice(x, 1, 3, 7), {}, first.carry);
  CHECK(concat<double>({first.y(), second.y()}, 1).to_vector() == layers(x).y().to_vector());
}

TEST_CASE("LSTM: padding changes no token, gives zeros, and leaves the state") {
  const LSTM<double> layers = lstm_layers({.input_size = 3, .hidden_size = 4, .num_layers = 2, .bidirectional = true});
  const Tensor<double> x = some_input({1, 7, 3});
  const auto shorter = layers(slice(x, 1, 0, 4)), padded = layers(x, Tensor<std::int32_t>::from({4}));
  CHECK(slice(padded.y(), 1, 0, 4).to_vector() == shorter.y().to_vector());
  CHECK(slice(padded.y(), 1, 4, 7).to_vector() == std::vector<double>(3 * 8, 0));
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(padded.carry[i].h.to_vector() == shorter.carry[i].h.to_vector());
    CHECK(padded.carry[i].c.to_vector() == shorter.carry[i].c.to_vector());
  }
  const auto empty = layers(x, Tensor<std::int32_t>::from({0}));
  CHECK(empty.y().to_vector() == std::vector<double>(7 * 8, 0));
  CHECK(empty.carry[0].c.to_vector() == std::vector<double>(4, 0));
}

TEST_CASE("LSTM: options that cannot work") {
  const auto error = [](const LSTMOptions& options) { return message_of<ConfigError>([&] { lstm_layers(options); }); };
  CHECK(error({.hidden_size = 4}) == "[LSTM] input_size must be positive, got 0");
  CHECK(error({.input_size = 3, .hidden_size = -4}) == "[LSTM] hidden_size must be positive, got -4");
  CHECK(error({.input_size = 3, .hidden_size = 4, .num_layers = 0}) == "[LSTM] num_layers must be positive, got 0");
  CHECK(error({.input_size = 3, .hidden_size = 4, .proj_size = 4}) ==
        "[LSTM] proj_size must be 0 (none) or positive and below hidden_size 4, got 4");
  const LSTM<double> layers = lstm_layers({.input_size = 3, .hidden_size = 4, .num_layers = 2});
  CHECK(message_of<ConfigError>([&] {
          layers(some_input({1, 2, 3}), {}, {{}});
        }) == "[LSTM] carry has 1 states, 2 layers of 1 direction(s) need 2");
  LSTMOptions residual{.input_size = 3, .hidden_size = 4, .num_layers = 2, .residual = true};
  CHECK(lstm_layers(residual)(some_input({1, 2, 3})).y().shape() == Shape{1, 2, 4});
}
