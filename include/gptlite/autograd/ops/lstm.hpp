#pragma once
// lstm: long short-term memory over a batch of sequences, one or several side by side, such as two directions.

#include <utility>
#include <vector>

#include "gptlite/autograd/autocast.hpp"
#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/lstm/backward.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Weights of one LSTM, one layer in one direction. The four gates stand side by side, in the order i, f, g, o;
/// PyTorch's nn.LSTM stores the transposed matrices, and the bias in two parts that are only ever added.
template <class T>
struct LstmWeights {
  Tensor<T> weight_ih;  // (K, 4H)
  Tensor<T> weight_hh;  // (P, 4H)
  Tensor<T> bias;       // (4H)
  Tensor<T> weight_hr;  // (H, P), or undefined: no projection, P = H
};

/// State of an LSTM between two calls.
template <class T>
struct LstmCarry {
  Tensor<T> h;  // (B, P)
  Tensor<T> c;  // (B, H)
};

/// Order in which an LSTM reads a sequence. reverse: from its last token, before the padding, to its first.
enum class TimeOrder { forward, reverse };

/// What an LSTM reads.
template <class T>
struct LstmInput {
  Tensor<T> x;  // (B, T, K)
  LstmWeights<T> weights;
  TimeOrder order;
  LstmCarry<T> carry;  // state before the first step; undefined: zeros

  // Not an aggregate: g++ 12 cannot compile lists of these with default member initializers.
  LstmInput(Tensor<T> input, LstmWeights<T> lstm_weights, TimeOrder time_order = TimeOrder::forward,
            LstmCarry<T> before = LstmCarry<T>())
      : x(std::move(input)), weights(std::move(lstm_weights)), order(time_order), carry(std::move(before)) {}
};

/// What an LSTM returns.
template <class T>
struct LstmOutput {
  Tensor<T> y;         // (B, T, P): h of each step; zeros on padding
  LstmCarry<T> carry;  // after the last step of each sequence
};

namespace detail {

/// Checks what an LSTM reads and gives it to the kernels.
template <class T>
kernels::Lstm<T> checked_lstm(const LstmInput<T>& input, Index B, Index steps) {
  const LstmWeights<T>& w = input.weights;
  check<ShapeError>(input.x.rank() == 3, "lstm", "x must be (B, T, K), got ", input.x.shape());
  check<ShapeError>(input.x.shape()[0] == B && input.x.shape()[1] == steps, "lstm", "every x must be (", B, ", ", steps,
                    ", K) as the first is, got ", input.x.shape());
  check<ShapeError>(w.weight_ih.rank() == 2 && w.weight_hh.rank() == 2, "lstm", "weights must be matrices, got ",
                    w.weight_ih.shape(), " and ", w.weight_hh.shape());
  const Index K = input.x.shape()[2], H = w.weight_ih.shape()[1] / 4, P = w.weight_hh.shape()[0];
  check<ShapeError>(H > 0 && w.weight_ih.shape() == Shape{K, 4 * H}, "lstm", "weight_ih must be (", K, ", 4H) for x ",
                    input.x.shape(), ", got ", w.weight_ih.shape());
  const auto expect = [&](const char* name, const Tensor<T>& tensor, const Shape& shape) {
    check<ShapeError>(!tensor.defined() || tensor.shape() == shape, "lstm", name, " must be ", shape, " for weight_ih ",
                      w.weight_ih.shape(), " and weight_hh ", w.weight_hh.shape(), ", got ", tensor.shape());
  };
  check<ShapeError>(w.bias.defined(), "lstm", "needs a bias");
  expect("weight_hh", w.weight_hh, {w.weight_hr.defined() ? P : H, 4 * H});
  expect("bias", w.bias, {4 * H});
  expect("weight_hr", w.weight_hr, {H, P});
  expect("carry.h", input.carry.h, {B, P});
  expect("carry.c", input.carry.c, {B, H});
  const auto data = [](const Tensor<T>& tensor) { return tensor.defined() ? tensor.data() : nullptr; };
  return {.K = K,
          .H = H,
          .P = P,
          .reverse = input.order == TimeOrder::reverse,
          .x = input.x.data(),
          .weight_ih = w.weight_ih.data(),
          .weight_hh = w.weight_hh.data(),
          .bias = w.bias.data(),
          .weight_hr = data(w.weight_hr),
          .h_0 = data(input.carry.h),
          .c_0 = data(input.carry.c)};
}

/// What lstm() saves for backward besides its inputs.
template <class T>
struct SavedLstm {
  TimeOrder order;
  Tensor<T> y;
  Storage<T> gates, cells;
};

// Tensors of each LSTM among the inputs and the outputs of the recorded operation.
inline constexpr std::size_t lstm_inputs = 7, lstm_outputs = 3;

template <class T>
void lstm_backward(Inputs<T> in, std::span<const Tensor<T>> dy, const std::vector<SavedLstm<T>>& saved,
                   const Tensor<std::int32_t>& lengths, Precision precision) {
  std::vector<kernels::Lstm<T>> lstms;
  std::vector<kernels::LstmResult<T>> results;
  std::vector<kernels::LstmOutputGradients<T>> outputs;
  std::vector<kernels::LstmGradients<T>> gradients;
  const Index B = saved[0].y.shape()[0], steps = saved[0].y.shape()[1];
  const auto data = [](const Tensor<T>& tensor) { return tensor.defined() ? tensor.data() : nullptr; };
  for (std::size_t i = 0; i < saved.size(); ++i) {
    const auto input = [&](std::size_t n) { return in[i * lstm_inputs + n]; };
    const auto tensor = [&](std::size_t n) { return input(n).tensor(); };
    const LstmInput<T> read{
        tensor(0), {tensor(1), tensor(2), tensor(3), tensor(4)}, saved[i].order, {tensor(5), tensor(6)}};
    lstms.push_back(checked_lstm(read, B, steps));
    Tensor<T> y = saved[i].y;
    results.push_back({y.data(), nullptr, nullptr, saved[i].gates.data(), saved[i].cells.data()});
    const std::size_t out = i * lstm_outputs;
    outputs.push_back({data(dy[out]), data(dy[out + 1]), data(dy[out + 2])});
    // In the order in which the kernel writes them.
    kernels::LstmGradients<T> d;
    d.x = input(0).grad_target();
    d.weight_ih = input(1).grad_target();
    d.bias = input(3).grad_target();
    d.weight_hh = input(2).grad_target();
    d.weight_hr = input(4).grad_target();
    d.h_0 = input(5).grad_target();
    d.c_0 = input(6).grad_target();
    gradients.push_back(d);
  }
  kernels::lstm_backward(
      lstms, results, outputs, gradients,
      {.B = B, .T = steps, .lengths = lengths.defined() ? lengths.data() : nullptr, .precision = precision});
}

}  // namespace detail

/// Runs LSTMs side by side over the same sequences, such as the two directions of a layer,
/// `lstm<T>({{x, forward}, {x, backward, TimeOrder::reverse}})`:
///   i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of  x_t weight_ih + h_(t-1) weight_hh + bias,
///   c_t = f c_(t-1) + i g,    h_t = o tanh(c_t), or o tanh(c_t) weight_hr     (Hochreiter and Schmidhuber 1997, with
/// the forget gate of Gers et al. 2000 and the projection of Sak et al. 2014; the same as PyTorch's nn.LSTM).
/// x: (B, T, K). lengths: (B), the steps before each sequence's padding; undefined: T. Returns, for each LSTM, h of all
/// steps (B, T, P) and the state after each sequence's last step. A sequence of length 0 returns its first state.
/// Throws ShapeError if shapes do not fit, IndexError for a length outside 0..T. Saves x, weights, the first
/// state, y, the gates and c. Padding of x must be finite: backward multiplies it by zeros.
template <class T>
std::vector<LstmOutput<T>> lstm(const std::vector<LstmInput<T>>& inputs, const Tensor<std::int32_t>& lengths = {}) {
  check<ShapeError>(!inputs.empty(), "lstm", "needs an x of (B, T, K)");
  check<ShapeError>(inputs[0].x.rank() == 3, "lstm", "x must be (B, T, K), got ", inputs[0].x.shape());
  const Index B = inputs[0].x.shape()[0], steps = inputs[0].x.shape()[1];
  if (lengths.defined()) {
    check<ShapeError>(lengths.shape() == Shape{B}, "lstm", "lengths must be (", B, ") for x ", inputs[0].x.shape(),
                      ", got ", lengths.shape());
    for (Index b = 0; b < B; ++b)
      check<IndexError>(lengths.data()[b] >= 0 && lengths.data()[b] <= steps, "lstm", "length ", lengths.data()[b],
                        " of sequence ", b, " is outside 0..", steps);
  }
  const Tensor<std::int32_t> kept = lengths.defined() ? lengths.clone() : lengths;
  const Precision precision = autocast_precision();
  std::vector<kernels::Lstm<T>> lstms;
  std::vector<kernels::LstmResult<T>> results;
  std::vector<detail::SavedLstm<T>> saved;
  std::vector<Tensor<T>> outputs, graph_inputs;
  for (const LstmInput<T>& input : inputs) {
    const kernels::Lstm<T> one = detail::checked_lstm(input, B, steps);
    Tensor<T> y = Tensor<T>::empty({B, steps, one.P}), h = Tensor<T>::empty({B, one.P}),
              c = Tensor<T>::empty({B, one.H});
    saved.push_back({input.order, y.detach(), Storage<T>(B * steps * 4 * one.H), Storage<T>(B * steps * one.H)});
    results.push_back({y.data(), h.data(), c.data(), saved.back().gates.data(), saved.back().cells.data()});
    lstms.push_back(one);
    outputs.insert(outputs.end(), {y, h, c});
    const LstmWeights<T>& w = input.weights;
    graph_inputs.insert(graph_inputs.end(),
                        {input.x, w.weight_ih, w.weight_hh, w.bias, w.weight_hr, input.carry.h, input.carry.c});
  }
  kernels::lstm_forward(
      lstms, results, {.B = B, .T = steps, .lengths = kept.defined() ? kept.data() : nullptr, .precision = precision});
  outputs = record("lstm", std::move(outputs), std::move(graph_inputs),
                   [saved = std::move(saved), kept, precision](Inputs<T> in, std::span<const Tensor<T>> dy) {
                     detail::lstm_backward(in, dy, saved, kept, precision);
                   });
  std::vector<LstmOutput<T>> result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::size_t at = i * detail::lstm_outputs;
    result.push_back({outputs[at], {outputs[at + 1], outputs[at + 2]}});
  }
  return result;
}

GPTLITE_COMPILED_FUNCTION(lstm)

}  // namespace gptlite::inline GPTLITE_ABI
