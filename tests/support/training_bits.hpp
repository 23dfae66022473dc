#pragma once
// losses_and_weights: trains a model, and returns every number that must have the same bits in an equal run.

#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/data/token_batches.hpp"
#include "gptlite/models/gpt.hpp"
#include "gptlite/train/adamw.hpp"

/// The losses of n_steps steps, and the weights after them.
template <class Optimizer>
std::vector<float> losses_and_weights(gptlite::GPT<float>& model, Optimizer& optimizer,
                                      gptlite::data::TokenBatches& batches, int n_steps) {
  std::vector<float> bits;
  for (int step = 0; step < n_steps; ++step) {
    const auto [inputs, targets] = batches.next();
    const gptlite::Tensor<float> loss = model.loss(inputs, targets);
    loss.backward();
    optimizer.step();
    bits.push_back(loss.item());
  }
  gptlite::visit_parameters(model, [&](const std::string&, const gptlite::Tensor<float>& weight) {
    bits.insert(bits.end(), weight.data(), weight.data() + weight.numel());
  });
  return bits;
}
