// Fine-tunes a pre-trained GPT on a task: classification, entailment, similarity or multiple choice (Radford et al.
// 2018, section 3.2), with the loss L3 = L2 + lambda L1.
//
//   finetune --task entailment --model runs/gpt --train train.tsv --dev dev.tsv --test test.tsv --lambda 0.5
//            --epochs 3 --batch-size 32 --learning-rate 6.25e-5 --out runs/entailment
//
// The TSV files have a header line; --columns says which columns to read, without it they are
//   classification   label text                    similarity        score sentence1 sentence2
//   entailment       label premise hypothesis      multiple-choice   label context choice0 choice1 ...
// The weights that are best on --dev are tested and saved. Progress goes to stderr; the last line on stdout is one JSON
// object with the results. The folder is one that classify and transformers open. With --lora-rank the adapters are
// merged into its weights; alone, for Hugging Face's PEFT, they are in its folder adapters, and the model that they are
// for, the pre-trained one with the task's tokens, in base, unless it is that of --model.

#include <chrono>
#include <filesystem>
#include <functional>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>
#include <optional>
#include <sstream>

#include "support/command_line.hpp"
#include "support/run_options.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string task, model, train, dev, test, out = "runs/finetune", precision = "fp32";
  std::vector<std::string> columns, freeze, lora_targets{"*attn.c_attn"};
  Index lora_rank = 0, epochs = 3, batch_size = 32, max_score = 5, patience = 0;
  std::int64_t eval_interval = 0;
  double lambda = 0.5, learning_rate = 6.25e-5, warmup = 0.002, layer_decay = 1, weight_decay = 0.01, dropout = 0.1,
         grad_clip = 1, lora_alpha = 16;
  int threads = 0;
  std::uint64_t seed = 1337;
  bool random_weights = false, openai_exact = false, no_save = false;
  examples::RunOptions run;
};

// One file's examples, and as the model reads them.
struct Examples {
  data::TaskSet set;
  std::vector<data::EncodedExample> inputs;
};

// The backbone: the folder's configuration with what the command line says, and its weights unless random are wanted.
GPT<float> backbone(const Options& o) {
  const GPT<float> saved = io::load_gpt(o.model);
  GPTConfig config = saved.config;
  config.dropout = o.dropout;
  config.precision = parse<Precision>(o.precision);
  config.seed = o.seed;
  config.openai_exact = o.openai_exact;
  if (o.random_weights) return GPT<float>(config);
  GPT<float> gpt(config, Init::none());
  train::WeightSnapshot(saved).restore(gpt);
  return gpt;
}

JsonObject json_of(const train::TaskMetrics& metrics) {
  JsonObject object;
  for (const auto& [name, value] : metrics) object.add(name, value);
  return object;
}

// One row an example: its row in the file, the target, the prediction, and each class's probability.
void write_predictions(const std::string& path, const Examples& examples,
                       const std::vector<train::TaskPrediction>& predictions) {
  const data::TaskSet& set = examples.set;
  const auto name = [&](Index label) {
    return set.labels.empty() ? std::to_string(label) : set.labels[static_cast<std::size_t>(label)];
  };
  std::ostringstream text;
  text << "row\ttarget\tpredicted";
  for (std::size_t k = 0; k < predictions.at(0).probabilities.size(); ++k)
    text << "\tP(" << name(static_cast<Index>(k)) << ')';
  text << '\n';
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const data::TaskExample& example = set.examples[i];
    const train::TaskPrediction& prediction = predictions[i];
    text << example.row << '\t';
    if (set.task == Task::similarity)
      text << example.score << '\t' << prediction.score;
    else
      text << name(example.label) << '\t' << name(prediction.label);
    for (const double probability : prediction.probabilities) text << '\t' << probability;
    text << '\n';
  }
  io::write_text(path, text.str());
}

// What a resumed run must share with the run that was saved.
JsonObject shared_settings(const Options& o, const std::vector<data::EncodedExample>& inputs) {
  std::uint32_t sum = 0;
  for (const data::EncodedExample& input : inputs)
    for (const text::Tokens& tokens : input.sequences)
      sum = crc32c(tokens.data(), tokens.size() * sizeof(TokenId), sum);
  return JsonObject()
      .add("task", o.task)
      .add("lambda", o.lambda)
      .add("batch_size", o.batch_size)
      .add("dropout", o.dropout)
      .add("lora_rank", o.lora_rank)
      .add("openai_exact", o.openai_exact)
      .add("seed", o.seed)
      .add("train_crc32c", sum);
}

int run(const Options& o) {
  const auto in = [](Index value, Index most) { return value > 0 && value <= most; };
  check<ConfigError>(in(o.epochs, 1000000), "finetune", "--epochs must be in 1..1000000, got ", o.epochs);
  check<ConfigError>(o.batch_size > 0, "finetune", "--batch-size must be positive, got ", o.batch_size);
  check<ConfigError>(in(o.max_score, 1000), "finetune", "--max-score must be in 1..1000, got ", o.max_score);
  check<ConfigError>(o.warmup < 1, "finetune", "--warmup must be in 0..1 and below 1, got ", o.warmup);
  std::error_code unknown;
  check<ConfigError>(!std::filesystem::equivalent(o.model, o.out, unknown), "finetune", "--out ", o.out,
                     " is the folder of --model: choose another, training starts from that model");
  set_num_threads(o.threads);

  // All that can be wrong with the input is found before anything is trained or written.
  const Task task = parse<Task>(o.task);
  GPT<float> gpt = backbone(o);
  const text::Tokenizer pretrained = io::load_tokenizer(o.model);
  io::check_vocabulary(o.model, pretrained, gpt.config);
  const text::TaskTokenizer tokenizer = text::with_task_tokens(pretrained, gpt.config.vocab_size);
  const Index new_tokens = std::max<Index>(0, tokenizer.tokenizer.vocab_size() - gpt.config.vocab_size);
  gpt.add_tokens(new_tokens, o.seed);
  const text::TaskLayout layout{tokenizer.tokens, gpt.config.block_size,
                                o.openai_exact ? std::max<Index>(1, gpt.config.block_size / 2 - 2) : 0};
  std::vector<std::string> labels;
  const auto read = [&](const std::string& path) {
    data::TaskSet set = data::read_task(
        path, task, {.columns = o.columns, .labels = labels, .max_score = static_cast<double>(o.max_score)});
    std::vector<data::EncodedExample> inputs = data::encode_task(set, tokenizer.tokenizer, layout);
    return Examples{std::move(set), std::move(inputs)};
  };
  const Examples train = read(o.train);
  labels = train.set.labels;
  const Examples dev = read(o.dev);
  const std::optional<Examples> test = o.test.empty() ? std::nullopt : std::optional(read(o.test));

  const Index n_class = task == Task::similarity ? o.max_score + 1 : static_cast<Index>(labels.size());
  TaskModel<GPT<float>> model(gpt, {.task = task, .n_class = n_class, .dropout = o.dropout, .seed = o.seed});
  model.train();
  if (o.lora_rank != 0) {
    add_lora(model, {.rank = o.lora_rank, .alpha = o.lora_alpha, .targets = o.lora_targets, .seed = o.seed});
    if (!model.score.lora.defined())
      unfreeze(model, "score.*");  // its adapters are enough, and PEFT has one or the other
  }
  if (!o.freeze.empty()) freeze(model, o.freeze);
  check<ConfigError>(trainable_count(model) > 0, "finetune", "--freeze leaves nothing to train");
  data::TaskBatches<float> batches(train.inputs, task, {o.batch_size, n_class, o.seed});
  const std::int64_t steps = o.epochs * batches.batches_per_epoch();
  const std::int64_t eval_interval = o.eval_interval > 0 ? o.eval_interval : batches.batches_per_epoch();
  const auto learning_rate = [&]() -> std::function<double(std::int64_t)> {
    if (o.openai_exact) return train::openai_warmup_linear(o.learning_rate, steps, o.warmup);
    return train::Schedule{train::Decay::linear, o.learning_rate, 0,
                           std::llround(o.warmup * static_cast<double>(steps)), steps};
  }();
  train::AdamW optimizer(model, {.learning_rate = o.learning_rate,
                                 .weight_decay = o.weight_decay,
                                 .max_grad_norm = o.grad_clip,
                                 .learning_rate_scale = train::layer_decay(gpt.config.n_layer, o.layer_decay),
                                 .openai_exact = o.openai_exact});
  train::EarlyStopping stopping(o.patience);

  const auto start = std::chrono::steady_clock::now();
  train::Loop loop(optimizer, {.max_steps = steps, .learning_rate = learning_rate, .log_time = false});
  io::TrainingRun run(o.out, loop, model,
                      run_options(o.run, shared_settings(o, train.inputs),
                                  {"adapters", "base", "predictions_dev.tsv", "predictions_test.tsv"}));
  train::WeightSnapshot best(model);
  run.add("batches", batches);
  run.add("stopping", stopping);
  run.add("best", best);
  std::cerr << train.inputs.size() << " examples to learn, " << dev.inputs.size() << " to choose the weights by; "
            << trainable_count(model) << " of " << parameter_count(model) << " parameters train; " << num_threads()
            << " threads; results in " << o.out << '\n';

  loop.every(eval_interval, [&] {
    const train::TaskMetrics values = train::task_metrics(
        task, train::predict_task(model, dev.inputs, 32, [&] { loop.throw_if_interrupted(); }), dev.inputs);
    loop.log(JsonObject().add("dev", json_of(values)));
    const bool better = stopping.improved(values[0].second, loop.step_count());
    if (better) best = train::WeightSnapshot(model);
    if (stopping.should_stop()) loop.stop();
    char line[120];
    std::snprintf(line, sizeof line, "step %lld: dev %s %.4f%s", static_cast<long long>(loop.step_count()),
                  values[0].first.c_str(), values[0].second, better ? ", the best so far" : "");
    loop.print_above(line);
  });
  {
    const examples::InterruptHandler handler(loop);
    while (loop.next()) {
      const TaskBatch<float> batch = batches.next();
      const TaskLosses<float> losses = model.losses(batch, o.lambda);
      loop.backward(losses.l3, batch.tokens.numel());
      JsonObject parts;
      parts.add("l2", losses.l2.item());
      if (losses.l1.defined()) parts.add("l1", losses.l1.item());
      loop.step(parts);
    }
    if (loop.interrupted()) return handler.exit_code("finetune", o.out, loop.step_count());
  }

  check<Error>(stopping.best_step() >= 0, "finetune",
               "the model's answers on --dev were never finite: try a smaller --learning-rate");
  best.restore(model);
  model.eval();
  if (has_lora(model)) {
    if (!o.no_save) {
      io::save_lora(run.path("adapters"), model);
      if (new_tokens > 0) io::save_model(run.path("base"), gpt, tokenizer.tokenizer);
    }
    merge_lora(model);
  }
  // Before the predictions, which may not fit on the disk.
  if (!o.no_save) io::save_task_model(o.out, io::TaskFolder<float>{model, tokenizer, labels, layout.max_part_length});
  JsonObject result;
  const char* const metric = task == Task::similarity ? "pearson" : "accuracy";
  result.add("task", o.task).add("lambda", o.lambda).add("seed", o.seed).add("metric", metric);
  const auto finish = [&](const std::string& name, const Examples& examples) {
    const std::vector<train::TaskPrediction> predictions = train::predict_task(model, examples.inputs);
    write_predictions(run.path("predictions_" + name + ".tsv"), examples, predictions);
    result.add(name, json_of(train::task_metrics(task, predictions, examples.inputs)));
  };
  finish("dev", dev);
  if (test) finish("test", *test);
  if (o.no_save) run.remove_checkpoints();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  result.add("best_step", stopping.best_step()).add("steps", loop.step_count()).add("seconds", seconds.count());
  std::cout << result.text() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("finetune", [&] {
    Options o;
    CLI::App app("Fine-tunes a pre-trained GPT on a task.", "finetune");
    app.option_defaults()->take_last();
    app.add_option("--task", o.task, "classification, entailment, similarity or multiple-choice")->required();
    app.add_option("--model", o.model, "folder of the pre-trained model: of pretrain, or openai-gpt or gpt2")
        ->type_name("PATH")
        ->required();
    app.add_flag("--random-weights", o.random_weights, "only the model's form and tokenizer, to compare with");
    app.add_option("--train", o.train, "TSV file to learn from")->type_name("PATH")->required();
    app.add_option("--dev", o.dev, "TSV file that the best weights are chosen by")->type_name("PATH")->required();
    app.add_option("--test", o.test, "TSV file to test the best weights with")->type_name("PATH");
    app.add_option("--columns", o.columns, "names of the columns to read, the label or score first: label,text")
        ->delimiter(',')
        ->take_all();
    app.add_option("--max-score", o.max_score, "the highest score of similarity; the lowest is 0")
        ->capture_default_str();
    app.add_option("--lambda", o.lambda, "weight of the language model's loss, 0 for none")->capture_default_str();
    app.add_option("--epochs", o.epochs, "times that all examples are seen")->capture_default_str();
    app.add_option("--batch-size", o.batch_size, "examples a step")->capture_default_str();
    app.add_option("--learning-rate", o.learning_rate, "after the warm-up; it falls linearly to 0")
        ->capture_default_str();
    app.add_option("--warmup", o.warmup, "share of the steps")->capture_default_str();
    app.add_option("--layer-decay", o.layer_decay, "factor of the learning rate from each layer to the one below")
        ->capture_default_str();
    app.add_option("--weight-decay", o.weight_decay, "on matrices")->capture_default_str();
    app.add_option("--dropout", o.dropout, "probability, in the model and before the head")->capture_default_str();
    app.add_option("--grad-clip", o.grad_clip, "global gradient norm, 0 for none")->capture_default_str();
    app.add_option("--lora-rank", o.lora_rank, "train adapters of this rank and the head alone, 0 for all weights");
    app.add_option("--lora-alpha", o.lora_alpha, "adapters are multiplied by this over the rank")
        ->needs("--lora-rank")
        ->capture_default_str();
    app.add_option("--lora-targets", o.lora_targets, "patterns of the layers that get adapters, * for any characters")
        ->needs("--lora-rank")
        ->delimiter(',')
        ->take_all()
        ->capture_default_str();
    app.add_option("--freeze", o.freeze, "patterns of parameters that keep their weights: transformer.w*,*.h.0.*")
        ->delimiter(',')
        ->take_all();
    app.add_option("--eval-interval", o.eval_interval, "steps between evaluations on --dev, 0 for once an epoch");
    app.add_option("--patience", o.patience, "evaluations without a new best after which to stop, 0 for never");
    app.add_option("--precision", o.precision, "of matrix products: fp32, or bf16 with fp32 sums and weights")
        ->check(CLI::IsMember(names_of<Precision>()))
        ->capture_default_str();
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    app.add_option("--seed", o.seed, "of the head, new tokens, batches and dropout")->capture_default_str();
    app.add_option("--out", o.out, "folder for the model, metrics.jsonl, the predictions and checkpoints")
        ->type_name("PATH")
        ->capture_default_str();
    app.add_flag("--openai-exact", o.openai_exact,
                 "the Adam, schedule, dropout masks, softmax and truncation of the code released with GPT-1");
    app.add_flag("--no-save", o.no_save, "leave the model and, in the end, the checkpoints out of the folder");
    examples::add_options(app, o.run);
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
