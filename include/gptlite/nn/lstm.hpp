#pragma once
// LSTM: layers of long short-term memory, in one direction or both.

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/autograd/ops/lstm.hpp"
#include "gptlite/nn/dropout.hpp"
#include "gptlite/nn/init.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Sizes and options of an LSTM, by the names of PyTorch's nn.LSTM.
struct LSTMOptions {
  Index input_size = 0;   ///< K, features of x
  Index hidden_size = 0;  ///< H, units of each layer and direction
  Index num_layers = 1;
  bool bidirectional = false;
  Index proj_size = 0;    ///< P, features of h; 0: no projection, P = H
  bool residual = false;  ///< each layer after the first adds its input to its output (ELMo)

  /// Features of h of one direction.
  Index features() const { return proj_size > 0 ? proj_size : hidden_size; }
  /// Features of y: those of all directions.
  Index output_size() const { return features() * (bidirectional ? 2 : 1); }

  /// Throws ConfigError, naming the field and its value, if no LSTM can have these options.
  void validate() const {
    const auto positive = [](const char* field, Index value) {
      check<ConfigError>(value > 0, "LSTM", field, " must be positive, got ", value);
    };
    positive("input_size", input_size);
    positive("hidden_size", hidden_size);
    positive("num_layers", num_layers);
    check<ConfigError>(proj_size >= 0 && proj_size < hidden_size, "LSTM",
                       "proj_size must be 0 (none) or positive and below hidden_size ", hidden_size, ", got ",
                       proj_size);
  }
};

/// One direction of one layer.
template <class T>
struct LSTMDirection {
  LstmWeights<T> weights;

  void visit(auto&& f) {
    f("weight_ih", weights.weight_ih);
    f("weight_hh", weights.weight_hh);
    f("bias", weights.bias);
    f("weight_hr", weights.weight_hr);
  }
};

/// Layers of LSTMs. Each layer reads the output of the one before, with dropout; both directions of a layer run side by
/// side, and the next layer reads them joined.
template <class T>
struct LSTM {
  LSTMOptions options;
  Dropout<T> drop;
  std::vector<LSTMDirection<T>> forward;  // per layer
  std::vector<LSTMDirection<T>> reverse;  // per layer; empty unless bidirectional

  /// Makes layers with weights and biases drawn uniformly from [-1 / sqrt(H), 1 / sqrt(H)), as PyTorch does. Throws
  /// ConfigError as LSTMOptions::validate does.
  LSTM(const LSTMOptions& lstm_options, Dropout<T> dropout, Generator& generator)
      : options(lstm_options), drop(std::move(dropout)) {
    options.validate();
    const Init init = Init::uniform(1 / std::sqrt(static_cast<double>(options.hidden_size)));
    const Index H = options.hidden_size, P = options.features();
    const auto direction = [&](Index K) {
      LSTMDirection<T> one;
      one.weights.weight_ih = init.parameter<T>({K, 4 * H}, generator);
      one.weights.weight_hh = init.parameter<T>({P, 4 * H}, generator);
      one.weights.bias = init.parameter<T>({4 * H}, generator);
      if (options.proj_size > 0) one.weights.weight_hr = init.parameter<T>({H, P}, generator);
      return one;
    };
    for (Index layer = 0; layer < options.num_layers; ++layer) {
      const Index K = layer == 0 ? options.input_size : options.output_size();
      forward.push_back(direction(K));
      if (options.bidirectional) reverse.push_back(direction(K));
    }
  }

  void visit(auto&& f) {
    f("forward", forward);
    f("reverse", reverse);
  }

  /// Output of each layer, and the state after each sequence's last token.
  struct Output {
    std::vector<Tensor<T>> layers;    // per layer (B, T, output_size); zeros on padding
    std::vector<LstmCarry<T>> carry;  // per layer, with both directions forward, then reverse

    /// Output of the last layer (B, T, output_size).
    const Tensor<T>& y() const { return layers.back(); }
  };

  /// Runs all layers. x: (B, T, input_size). lengths: (B), the tokens before each sequence's padding; undefined: T.
  /// carry: state before the first token, as a call returns it; empty: zeros. Throws ShapeError for shapes that do not
  /// fit, ConfigError for a carry of another number of states, IndexError for a length outside 0..T.
  Output operator()(const Tensor<T>& x, const Tensor<std::int32_t>& lengths = {},
                    const std::vector<LstmCarry<T>>& carry = {}) const {
    const std::size_t directions = options.bidirectional ? 2 : 1;
    check<ConfigError>(carry.empty() || carry.size() == forward.size() * directions, "LSTM", "carry has ", carry.size(),
                       " states, ", forward.size(), " layers of ", directions, " direction(s) need ",
                       forward.size() * directions);
    Output output;
    Tensor<T> input = x;
    for (std::size_t layer = 0; layer < forward.size(); ++layer) {
      const auto carry_of = [&](std::size_t direction) {
        return carry.empty() ? LstmCarry<T>{} : carry[layer * directions + direction];
      };
      std::vector<LstmInput<T>> inputs{{input, forward[layer].weights, TimeOrder::forward, carry_of(0)}};
      if (options.bidirectional) inputs.push_back({input, reverse[layer].weights, TimeOrder::reverse, carry_of(1)});
      const std::vector<LstmOutput<T>> results = lstm(inputs, lengths);
      Tensor<T> y = options.bidirectional ? concat<T>({results[0].y, results[1].y}, 2) : results[0].y;
      if (options.residual && layer > 0) y = y + input;
      output.layers.push_back(y);
      for (const LstmOutput<T>& result : results) output.carry.push_back(result.carry);
      if (layer + 1 < forward.size()) input = drop(y);
    }
    return output;
  }
};

}  // namespace gptlite::inline GPTLITE_ABI
