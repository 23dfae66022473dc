#pragma once
// Stages of compare.cpp: the tokenizer, pre-training, and a task. Each returns its results.

#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/compare/training.hpp"

namespace gptlite::compare {

inline JsonObject learn_tokenizer(const Options& o) {
  std::string all;
  for (const std::string& path : o.texts) all += io::read_text(path);
  const text::ByteBpe bpe = text::train_byte_bpe(all, {.vocab_size = o.vocab_size});
  io::save_tokenizer(o.folder, bpe);
  return JsonObject().add("vocab_size", bpe.vocab_size()).add("bytes", all.size());
}

inline JsonObject pretrain(const Options& o) {
  const Vocabulary vocabulary(o.folder);
  const auto [train, held_out] = data::split(tokens_of(o, vocabulary), 0.99);
  JsonObject result;
  with_language_model(o, vocabulary.sizes(o), vocabulary.tokenizer.tokens.delimiter, [&](auto model) {
    using Model = decltype(model);
    constexpr bool is_bert = std::is_same_v<Model, BertPreTraining<float>>;
    const auto losses_of = [&](const std::vector<TokenId>& tokens) -> std::function<Tensor<float>()> {
      if constexpr (is_bert) {
        return [&model, batches = data::MaskedBatches(tokens, vocabulary.masked(o))]() mutable {
          return model.loss(batches.next());
        };
      } else {
        return [&model, batches = data::TokenBatches(tokens, {o.batch_size, o.block_size, o.seed})]() mutable {
          const auto [inputs, targets] = batches.next();
          return model.loss(inputs, targets);
        };
      }
    };
    const double begin = cpu_seconds();
    const Index steps = train_until(o, model, losses_of(train), [&](Index step, double loss) {
      std::cerr << o.model << " step " << step << ": loss " << loss << ", " << cpu_seconds() - begin
                << " CPU seconds\n";
    });
    const double used = cpu_seconds() - begin;
    model.eval();
    const NoGrad no_grad;
    const auto validation = losses_of(held_out);
    double loss = 0;
    constexpr int batches = 20;
    for (int i = 0; i < batches; ++i) loss += validation().item() / batches;
    save_weights(o.folder + '/' + (o.weights.empty() ? o.model : o.weights) + ".safetensors", model);
    result.add("model", o.model)
        .add("steps", steps)
        .add("tokens", steps * o.batch_size * o.block_size)
        .add("cpu_seconds", used)
        .add("loss", loss)
        .add("parameters", parameter_count(model))
        .add("inner_parameters", inner_parameters(model));
  });
  return result;
}

inline JsonObject json_of(const train::TaskMetrics& metrics) {
  JsonObject object;
  for (const auto& [name, value] : metrics) object.add(name, value);
  return object;
}

template <class Backbone>
JsonObject learn_task(const Options& o, const Vocabulary& vocabulary, Backbone backbone) {
  const Task task = parse<Task>(o.task);
  std::vector<std::string> labels;
  const auto read = [&](const std::string& path) {
    const data::TaskSet set = data::read_task(path, task, {.labels = labels});
    labels = set.labels;
    return data::encode_task(set, vocabulary.tokenizer.tokenizer, vocabulary.layout(o));
  };
  const std::vector<data::EncodedExample> train_set = read(o.train), dev = read(o.dev), test = read(o.test);
  const Index n_class = task == Task::similarity ? 6 : static_cast<Index>(labels.size());
  TaskModel<Backbone> model(std::move(backbone),
                            {.task = task, .n_class = n_class, .dropout = o.dropout, .seed = o.seed});
  model.train();
  if (o.frozen) freeze(model, std::vector<std::string>{"backbone.elmo.*"});
  data::TaskBatches<float> batches(train_set, task, {o.batch_size, n_class, o.seed});
  train::AdamW optimizer(model, {.learning_rate = o.learning_rate});
  const Index steps = o.epochs * batches.batches_per_epoch();
  train::WeightSnapshot best(model);
  double best_value = -2;
  std::vector<double> curve;
  const double begin = cpu_seconds();
  Index evaluated = 0;
  for (Index step = 0; step < steps; ++step) {
    const double done = static_cast<double>(step) / static_cast<double>(steps);
    optimizer.set_learning_rate(o.learning_rate * (done < 0.05 ? (done + 0.005) / 0.055 : (1 - done) / 0.95));
    model.losses(batches.next(), o.lambda).l3.backward();
    optimizer.step();
    if ((step + 1) * o.evaluations / steps == evaluated) continue;
    ++evaluated;
    const double value = train::task_metrics(task, train::predict_task(model, dev), dev)[0].second;
    curve.push_back(value);
    if (value > best_value) {
      best_value = value;
      best = train::WeightSnapshot(model);
    }
  }
  check<DataError>(best_value > -2, "compare", "the answers on --dev were never finite: try a smaller --learning-rate");
  best.restore(model);
  model.eval();
  const auto metrics = [&](const std::vector<data::EncodedExample>& examples) {
    return json_of(train::task_metrics(task, train::predict_task(model, examples), examples));
  };
  return JsonObject()
      .add("model", o.model)
      .add("task", o.task)
      .add("lambda", o.lambda)
      .add("frozen", o.frozen)
      .add("random_weights", o.random_weights)
      .add("learning_rate", o.learning_rate)
      .add("seed", o.seed)
      .add("curve", std::span<const double>(curve))
      .add("dev", metrics(dev))
      .add("test", metrics(test))
      .add("trained_parameters", trainable_count(model))
      .add("cpu_seconds", cpu_seconds() - begin);
}

inline JsonObject learn_task(const Options& o) {
  const Vocabulary vocabulary(o.folder);
  const ComparedSizes sizes = vocabulary.sizes(o);
  JsonObject result;
  with_language_model(o, sizes, vocabulary.tokenizer.tokens.delimiter, [&](auto model) {
    using Model = decltype(model);
    if (!o.random_weights)
      load_weights(o.folder + '/' + (o.weights.empty() ? o.model : o.weights) + ".safetensors", model);
    if constexpr (std::is_same_v<Model, BertPreTraining<float>>) {
      result = learn_task(o, vocabulary, model.bert);
    } else if constexpr (std::is_same_v<Model, Elmo<float>>) {
      ElmoEncoderOptions options{.hidden_size = o.n_embd / 2, .dropout = o.dropout, .seed = o.seed};
      if (parse<Task>(o.task) != Task::classification) options.separator = vocabulary.tokenizer.tokens.delimiter;
      result = learn_task(o, vocabulary, ElmoEncoder<float>(model, options));
    } else {
      result = learn_task(o, vocabulary, model);
    }
  });
  return result;
}

}  // namespace gptlite::compare
