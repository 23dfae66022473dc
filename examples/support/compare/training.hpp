#pragma once
// What all stages of compare.cpp share: its options, the tokenizer of all models, the model that is chosen, and its
// training.

#include <cmath>
#include <ctime>
#include <functional>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/compare/models.hpp"

namespace gptlite::compare {

struct Options {
  std::string stage, model = "gpt", folder = "runs/compare", task, train, dev, test, weights, precision = "fp32";
  std::vector<std::string> texts;
  Index vocab_size = 5000, n_layer = 4, n_head = 4, n_embd = 128, block_size = 128, batch_size = 32, epochs = 2,
        evaluations = 4, max_steps = 1000, windows = 1000;
  std::optional<double> initializer_range;
  double max_cpu_seconds = 0, learning_rate = 1e-3, lambda = 0, dropout = 0.1;
  bool frozen = false, random_weights = false;
  int threads = 0;
  std::uint64_t seed = 1;
};

inline double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// The tokenizer with start, delimiter, extract and, last, a mask.
struct Vocabulary {
  text::TaskTokenizer tokenizer;
  TokenId mask;

  explicit Vocabulary(const std::string& folder)
      : tokenizer(text::with_task_tokens(io::load_tokenizer(folder), io::load_tokenizer(folder).vocab_size())),
        mask(static_cast<TokenId>(tokenizer.tokenizer.vocab_size())) {}
  ComparedSizes sizes(const Options& o) const {
    return {.vocab_size = mask + 1,
            .n_layer = o.n_layer,
            .n_head = o.n_head,
            .n_embd = o.n_embd,
            .block_size = o.block_size,
            .dropout = o.dropout,
            .initializer_range = o.initializer_range.value_or(0.02),
            .precision = parse<Precision>(o.precision),
            .seed = o.seed};
  }
  // BERT's sequences end with the delimiter, as its segments do.
  text::TaskLayout layout(const Options& o) const {
    text::TaskTokens tokens = tokenizer.tokens;
    if (o.model == "bert") tokens.extract = tokens.delimiter;
    return {tokens, o.block_size};
  }
  data::MaskedBatchesOptions masked(const Options& o) const {
    return {.batch_size = o.batch_size,
            .block_size = o.block_size,
            .cls = tokenizer.tokens.start,
            .sep = tokenizer.tokens.delimiter,
            .mask = mask,
            .vocab_size = tokenizer.tokens.start,
            .seed = o.seed};
  }
};

// Calls f(model) with the language model that --model names.
template <class F>
void with_language_model(const Options& o, const ComparedSizes& sizes, TokenId separator, F&& f) {
  if (o.model == "gpt") return f(GPT<float>(gpt_config(sizes)));
  if (o.model == "lstm") return f(LstmLm<float>(lstm_config(sizes)));
  if (o.model == "elmo") return f(Elmo<float>(elmo_config(sizes)));
  f(BertPreTraining<float>(Bert<float>(bert_config(sizes, separator))));
}

// Trains until the steps or the CPU seconds are used up: warm-up over a tenth, then a cosine to a tenth of the rate.
// Returns the number of steps. log(step, loss) is called now and then.
template <class Model>
Index train_until(const Options& o, Model& model, const std::function<Tensor<float>()>& next_loss,
                  const std::function<void(Index, double)>& log) {
  train::AdamW optimizer(model, {.learning_rate = o.learning_rate, .betas = {0.9, 0.99}});
  const double begin = cpu_seconds();
  Index step = 0;
  double sum = 0;
  for (Index since = 0;; ++step) {
    const double done = o.max_cpu_seconds > 0 ? (cpu_seconds() - begin) / o.max_cpu_seconds
                                              : static_cast<double>(step) / static_cast<double>(o.max_steps);
    if (done >= 1) break;
    const double pi = 3.14159265358979;
    const double shape = done < 0.1 ? std::max(done, 1e-3) / 0.1 : 0.55 + 0.45 * std::cos(pi * (done - 0.1) / 0.9);
    optimizer.set_learning_rate(o.learning_rate * shape);
    Tensor<float> loss = next_loss();
    sum += loss.item();
    ++since;
    check<DataError>(std::isfinite(loss.item()), "compare", "the loss is not finite at step ", step,
                     ": try a smaller --learning-rate");
    loss.backward();
    optimizer.step();
    if (since == 100) {
      log(step + 1, sum / static_cast<double>(since));
      since = 0;
      sum = 0;
    }
  }
  return step;
}

inline std::vector<TokenId> tokens_of(const Options& o, const Vocabulary& vocabulary) {
  std::vector<TokenId> all;
  for (const std::string& path : o.texts) {
    const std::vector<TokenId> tokens = vocabulary.tokenizer.tokenizer.encode(io::read_text(path));
    all.insert(all.end(), tokens.begin(), tokens.end());
  }
  return all;
}

}  // namespace gptlite::compare
