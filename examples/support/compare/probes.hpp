#pragma once
// Probes of compare.cpp: a masked token in the middle of a text, and a key's value at a distance. Each returns its
// results.

#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "support/compare/training.hpp"

namespace gptlite::compare {

// -log P and hits of tokens in the middle of windows: GPT reads what is left of them, BERT what is on both sides.
inline JsonObject middle(const Options& o) {
  const Vocabulary vocabulary(o.folder);
  const ComparedSizes sizes = vocabulary.sizes(o);
  GPT<float> gpt(gpt_config(sizes));
  load_weights(o.folder + "/gpt.safetensors", gpt);
  BertPreTraining<float> bert(Bert<float>(bert_config(sizes, vocabulary.tokenizer.tokens.delimiter)));
  load_weights(o.folder + "/bert.safetensors", bert);
  gpt.eval();
  bert.eval();
  const std::vector<TokenId> stream = data::split(tokens_of(o, vocabulary), 0.99).second;
  const Index T = o.block_size - 2;
  check<DataError>(static_cast<Index>(stream.size()) > T, "compare", "the text held out has ", stream.size(),
                   " tokens, a window ", T);
  const NoGrad no_grad;
  Generator random(o.seed);
  double gpt_loss = 0, bert_loss = 0, gpt_hits = 0, bert_hits = 0;
  const auto score = [&](const Tensor<float>& logits, TokenId target, double& loss, double& hits) {
    const Tensor<float> log_probabilities = log_softmax(logits);
    const float* const row = std::as_const(log_probabilities).data();
    loss -= static_cast<double>(row[target]);
    hits += std::max_element(row, row + logits.numel()) - row == target;
  };
  for (Index n = 0; n < o.windows; ++n) {
    const TokenId* const window = stream.data() + random.below(static_cast<Index>(stream.size()) - T);
    const Index at = T / 4 + random.below(T / 2);  // with a quarter or more on both sides
    const TokenId target = window[at];
    const Tensor<TokenId> left = Tensor<TokenId>::from({window, window + at}, {1, at});
    score(gpt.head(slice(gpt.hidden(left), 1, at - 1, at)), target, gpt_loss, gpt_hits);
    std::vector<TokenId> both{vocabulary.tokenizer.tokens.start};
    both.insert(both.end(), window, window + T);
    both.push_back(vocabulary.tokenizer.tokens.delimiter);
    both[static_cast<std::size_t>(at + 1)] = vocabulary.mask;
    const Tensor<float> hidden = bert.bert.pass(Tensor<TokenId>::from(both, {1, T + 2}));
    score(bert.logits(slice(hidden, 1, at + 1, at + 2)), target, bert_loss, bert_hits);
  }
  const double count = static_cast<double>(o.windows);
  return JsonObject()
      .add("windows", o.windows)
      .add("gpt_loss", gpt_loss / count)
      .add("bert_loss", bert_loss / count)
      .add("gpt_accuracy", gpt_hits / count)
      .add("bert_accuracy", bert_hits / count);
}

// Four keys with a value each, then noise, then the keys again, in another order: what were their values? Keys, values
// and noise are tokens 0..15, 16..31 and 32..63; 64 is BERT's mask.
struct RecallTask {
  static constexpr Index pairs = 4, mask = 64, vocab_size = 65;

  Tensor<TokenId> tokens;          // (B, T), keys and values last
  Tensor<std::int32_t> questions;  // (4B), rows of (B T) with a key that is asked; its value is behind it
  Tensor<std::int32_t> targets;    // (4B), the values

  RecallTask(Index B, Index distance, Generator& random) {
    const Index T = 2 * pairs + distance + 2 * pairs;
    tokens = Tensor<TokenId>::empty({B, T});
    questions = Tensor<std::int32_t>::empty({pairs * B});
    targets = Tensor<std::int32_t>::empty({pairs * B});
    for (Index b = 0; b < B; ++b) {
      TokenId* const row = tokens.data() + b * T;
      std::array<TokenId, 16> keys;
      std::iota(keys.begin(), keys.end(), 0);
      shuffle(keys, 16, random);
      for (Index p = 0; p < pairs; ++p) {
        row[2 * p] = keys[static_cast<std::size_t>(p)];
        row[2 * p + 1] = static_cast<TokenId>(16 + random.below(16));
      }
      for (Index t = 2 * pairs; t < 2 * pairs + distance; ++t) row[t] = static_cast<TokenId>(32 + random.below(32));
      std::array<Index, pairs> order{0, 1, 2, 3};
      shuffle(order, pairs, random);
      for (Index i = 0; i < pairs; ++i) {
        const Index at = 2 * pairs + distance + 2 * i, p = order[static_cast<std::size_t>(i)];
        row[at] = row[2 * p];
        row[at + 1] = row[2 * p + 1];
        questions.data()[b * pairs + i] = static_cast<std::int32_t>(b * T + at);
        targets.data()[b * pairs + i] = row[2 * p + 1];
      }
    }
  }

 private:
  template <class Values>
  static void shuffle(Values& values, Index n, Generator& random) {
    for (Index i = n; i > 1; --i)
      std::swap(values[static_cast<std::size_t>(i - 1)], values[static_cast<std::size_t>(random.below(i))]);
  }
};

inline JsonObject recall(const Options& o) {
  const std::vector<Index> distances{16, 32, 64, 128, 256, 512, 1024};
  ComparedSizes sizes{.vocab_size = RecallTask::vocab_size,
                      .n_layer = o.n_layer,
                      .n_head = o.n_head,
                      .n_embd = o.n_embd,
                      .block_size = 4 * RecallTask::pairs + o.block_size,
                      .dropout = 0,
                      .initializer_range = o.initializer_range.value_or(1 / std::sqrt(static_cast<double>(o.n_embd))),
                      .precision = parse<Precision>(o.precision),
                      .seed = o.seed};
  JsonObject result;
  with_language_model(o, sizes, RecallTask::mask, [&](auto model) {
    using Model = decltype(model);
    // Logits of the values: of the token after each key, and in BERT's case of the masked one there.
    const auto logits = [&](const RecallTask& task) {
      const auto states = [&](const Tensor<float>& hidden, const Tensor<std::int32_t>& rows) {
        return gather_rows(reshape(hidden, {task.tokens.numel(), o.n_embd}), rows);
      };
      if constexpr (std::is_same_v<Model, BertPreTraining<float>>) {
        Tensor<TokenId> tokens = task.tokens.clone();
        Tensor<std::int32_t> values = task.questions.clone();
        for (Index i = 0; i < values.numel(); ++i) tokens.data()[++values.data()[i]] = RecallTask::mask;
        return model.logits(states(model.bert.pass(tokens, {}, Tensor<std::int32_t>::zeros(tokens.shape())), values));
      } else if constexpr (std::is_same_v<Model, GPT<float>>) {
        return model.head(states(model.hidden(task.tokens), task.questions));
      } else if constexpr (std::is_same_v<Model, LstmLm<float>>) {
        return matmul(states(model.pass(task.tokens), task.questions), model.wte.weight, {.transpose_b = true});
      } else {
        raise<ConfigError>("compare", "recall knows gpt, lstm and bert");
        return Tensor<float>();
      }
    };
    Generator random(o.seed, RandomUse::batches);
    const double begin = cpu_seconds();
    double taken = 0;
    const Index steps = train_until(
        o, model,
        [&] {
          // Distances from 1 to the longest, evenly on a logarithmic scale; the longest grows from 16 to block_size
          // over the first half, for what is learned at short distances costs a fraction there.
          const double shortest = std::log(static_cast<double>(std::min<Index>(16, o.block_size))),
                       grown = std::min(1.0, 2 * taken++ / static_cast<double>(o.max_steps)),
                       longest = shortest + grown * (std::log(static_cast<double>(o.block_size)) - shortest);
          const RecallTask task(o.batch_size, static_cast<Index>(std::exp(random.uniform() * longest)), random);
          return cross_entropy(logits(task), task.targets);
        },
        [&](Index step, double loss) {
          std::cerr << o.model << " recall step " << step << ": loss " << loss << ", " << cpu_seconds() - begin
                    << " CPU seconds\n";
        });
    const double used = cpu_seconds() - begin;
    model.eval();
    const NoGrad no_grad;
    std::vector<double> accuracies, tried;
    for (const Index distance : distances) {
      if (distance > o.block_size) break;
      double hits = 0;
      constexpr Index rounds = 8, batch = 64;
      for (Index round = 0; round < rounds; ++round) {
        const RecallTask task(batch, distance, random);
        const Tensor<float> answers = logits(task);
        for (Index i = 0; i < task.targets.numel(); ++i) {
          const float* const row = std::as_const(answers).data() + i * RecallTask::vocab_size;
          hits += std::max_element(row, row + RecallTask::vocab_size) - row == task.targets.data()[i];
        }
      }
      tried.push_back(static_cast<double>(distance));
      accuracies.push_back(hits / (rounds * batch * RecallTask::pairs));
    }
    result.add("model", o.model)
        .add("seed", o.seed)
        .add("learning_rate", o.learning_rate)
        .add("steps", steps)
        .add("distances", std::span<const double>(tried))
        .add("accuracies", std::span<const double>(accuracies))
        .add("inner_parameters", inner_parameters(model))
        .add("cpu_seconds", used);
  });
  return result;
}

}  // namespace gptlite::compare
