#pragma once
// What the programs that time whole models share: their sizes, one training step on random tokens, medians.

#include <algorithm>
#include <chrono>
#include <gptlite/gptlite.hpp>
#include <map>
#include <string>
#include <vector>

namespace bench {

using gptlite::Index;

struct ModelSizes {
  Index n_layer, n_head, n_embd, block_size, batch_size, vocab_size;

  gptlite::GPTConfig config(gptlite::Precision precision = gptlite::Precision::fp32, double dropout = 0) const {
    return {.vocab_size = vocab_size,
            .block_size = block_size,
            .n_layer = n_layer,
            .n_head = n_head,
            .n_embd = n_embd,
            .dropout = dropout,
            .norm_order = gptlite::NormOrder::pre,
            .precision = precision};
  }
};

inline const std::map<std::string, ModelSizes> models = {{"tiny", {4, 4, 128, 64, 12, 65}},
                                                         {"small", {6, 6, 384, 256, 16, 65}},
                                                         {"gpt2", {12, 12, 768, 64, 4, 50257}},
                                                         {"gpt2-long", {12, 12, 768, 1024, 1, 50257}}};

template <class Optimizer = gptlite::train::AdamW<float>>
class TrainStep {
 public:
  TrainStep(const ModelSizes& sizes, gptlite::Precision precision, double dropout = 0)
      : sizes_(sizes), model_(sizes.config(precision, dropout)), optimizer_(optimizer_of(model_)) {
    gptlite::Generator random(1);
    std::vector<gptlite::TokenId> ids(static_cast<std::size_t>(sizes.batch_size * sizes.block_size + 1));
    for (gptlite::TokenId& id : ids) id = static_cast<gptlite::TokenId>(random.below(sizes.vocab_size));
    const gptlite::Shape shape{sizes.batch_size, sizes.block_size};
    inputs_ = gptlite::Tensor<gptlite::TokenId>::from({ids.begin(), ids.end() - 1}, shape);
    targets_ = gptlite::Tensor<gptlite::TokenId>::from({ids.begin() + 1, ids.end()}, shape);
  }

  /// Forward, backward, clipping and the update. Returns the seconds it took.
  double run() {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    model_.loss(inputs_, targets_).backward();
    optimizer_.step();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
  double tokens() const { return static_cast<double>(sizes_.batch_size * sizes_.block_size); }
  /// Of a step, as PyTorch's side counts: two products backward for one forward, half of attention's square.
  double flops() const {
    const Index weights = model_.config.parameter_count() - sizes_.block_size * sizes_.n_embd;
    return 6 * tokens() * static_cast<double>(weights + sizes_.n_layer * sizes_.block_size * sizes_.n_embd);
  }

 private:
  static Optimizer optimizer_of(gptlite::GPT<float>& model) {
    if constexpr (std::is_same_v<Optimizer, gptlite::train::Muon<float>>)
      return Optimizer(model, {.head_size = model.config.head_size()});
    else
      return Optimizer(model, {.learning_rate = 3e-4});
  }

  ModelSizes sizes_;
  gptlite::GPT<float> model_;
  Optimizer optimizer_;
  gptlite::Tensor<gptlite::TokenId> inputs_, targets_;
};

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace bench
