#pragma once
// Pre-training from a command line, as train_char_gpt and pretrain do it: the options, the loop with its evaluations,
// samples and metrics, and the folder that is saved.

#include <filesystem>
#include <fstream>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>

#include "support/command_line.hpp"

namespace examples {

using namespace gptlite;

struct PretrainingOptions {
  std::string out, norm_order = "pre", precision = "fp32", prompt;
  Index n_layer = 4, n_head = 4, n_embd = 128, block_size = 64, batch_size = 12, window = 0, grad_accumulation = 1;
  std::int64_t max_steps = 2000, warmup_steps = 100, eval_interval = 500, sample_every = 1000;
  Index eval_batches = 200;
  double learning_rate = 1e-3, min_lr = 1e-4, weight_decay = 0.1, beta2 = 0.99, dropout = 0, grad_clip = 1,
         time_limit = 0;
  int threads = 0;
  std::uint64_t seed = 1337;
};

inline void add_options(CLI::App& app, PretrainingOptions& o) {
  app.add_option("--out", o.out, "folder for the model, metrics.jsonl and samples.txt")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--n-layer", o.n_layer, "blocks")->capture_default_str();
  app.add_option("--n-head", o.n_head, "attention heads")->capture_default_str();
  app.add_option("--n-embd", o.n_embd, "channels, a multiple of --n-head")->capture_default_str();
  app.add_option("--block-size", o.block_size, "tokens a sequence")->capture_default_str();
  app.add_option("--batch-size", o.batch_size, "sequences a step")->capture_default_str();
  app.add_option("--max-steps", o.max_steps, "optimizer steps")->capture_default_str();
  app.add_option("--learning-rate", o.learning_rate, "after the warm-up")->capture_default_str();
  app.add_option("--min-lr", o.min_lr, "at the last step (cosine)")->capture_default_str();
  app.add_option("--warmup-steps", o.warmup_steps, "steps of linear warm-up")->capture_default_str();
  app.add_option("--weight-decay", o.weight_decay, "on matrices")->capture_default_str();
  app.add_option("--beta2", o.beta2, "AdamW's second beta")->capture_default_str();
  app.add_option("--dropout", o.dropout, "probability")->capture_default_str();
  app.add_option("--grad-clip", o.grad_clip, "global gradient norm, 0 for none")->capture_default_str();
  app.add_option("--grad-accumulation", o.grad_accumulation, "batches a step")->capture_default_str();
  app.add_option("--window", o.window, "context window k, 0 for the whole sequence")->capture_default_str();
  app.add_option("--norm-order", o.norm_order, "post (GPT-1) or pre (GPT-2)")
      ->check(CLI::IsMember(names_of<NormOrder>()))
      ->capture_default_str();
  app.add_option("--precision", o.precision, "of matrix products: fp32, or bf16 with fp32 sums and weights")
      ->check(CLI::IsMember(names_of<Precision>()))
      ->capture_default_str();
  app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
  app.add_option("--seed", o.seed, "of weights, batches, dropout and samples")->capture_default_str();
  app.add_option("--eval-interval", o.eval_interval, "steps between evaluations, 0 for the last only")
      ->capture_default_str();
  app.add_option("--eval-batches", o.eval_batches, "batches an evaluation")->capture_default_str();
  app.add_option("--sample-every", o.sample_every, "steps between samples, 0 for the last only")->capture_default_str();
  app.add_option("--prompt", o.prompt, "what samples begin with");
  app.add_option("--time-limit", o.time_limit, "seconds of training, 0 for no limit")->capture_default_str();
}

/// Trains a GPT on `tokens`: the first 90% train, the last 10% validate. Progress goes to stderr, the last line on
/// stdout is one JSON object with the results. o.out becomes a folder that load_gpt and transformers open: the model at
/// the end, and in o.out/best that of the best evaluation, beside metrics.jsonl and samples.txt.
inline int pretrain(const std::string& program, const PretrainingOptions& o, const text::Tokenizer& tokenizer,
                    const std::vector<TokenId>& all_tokens, const std::vector<TokenId>& prompt) {
  check<ConfigError>(o.max_steps > 0, program, "--max-steps must be positive, got ", o.max_steps);
  check<ConfigError>(o.grad_accumulation > 0, program, "--grad-accumulation must be positive, got ",
                     o.grad_accumulation);
  check<ConfigError>(o.eval_batches > 0, program, "--eval-batches must be positive, got ", o.eval_batches);
  const auto tokens = data::split(all_tokens, 0.9);
  data::TokenBatches batches(tokens.first, {o.batch_size, o.block_size, o.seed});
  check<DataError>(static_cast<Index>(tokens.second.size()) > o.block_size, program,
                   "the last 10% of the text validate: dataset has ", tokens.second.size(),
                   " tokens, block size needs ", o.block_size + 1);

  GPT<float> model({.vocab_size = tokenizer.vocab_size(),
                    .block_size = o.block_size,
                    .n_layer = o.n_layer,
                    .n_head = o.n_head,
                    .n_embd = o.n_embd,
                    .dropout = o.dropout,
                    .window = o.window,
                    .norm_order = gptlite::parse<NormOrder>(o.norm_order),
                    .precision = gptlite::parse<Precision>(o.precision),
                    .residual_initializer_range = 0.02,  // a short run learns faster without GPT-2's smaller ones
                    .seed = o.seed});
  train::AdamW optimizer(model,
                         {.betas = {0.9, o.beta2}, .weight_decay = o.weight_decay, .max_grad_norm = o.grad_clip});
  const train::Schedule schedule{train::Decay::cosine, o.learning_rate, o.min_lr, o.warmup_steps, o.max_steps};

  io::make_folder(o.out);
  train::MetricsFile metrics(o.out + "/metrics.jsonl");
  std::ofstream samples(o.out + "/samples.txt");
  check<DataError>(samples.good(), program, o.out, "/samples.txt: cannot write");

  const Index parameters = parameter_count(model);
  std::cerr << "text: " << all_tokens.size() << " tokens of " << tokenizer.vocab_size() << "; model: " << parameters
            << " parameters; " << num_threads() << " threads; results in " << o.out << "\n";

  train::Progress progress({.total_steps = o.max_steps});
  double loss = 0, val_loss = 0, best_loss = std::numeric_limits<double>::infinity();
  int skipped_in_a_row = 0;
  std::int64_t step = 0;
  const auto evaluate = [&] {
    data::TokenBatches validation(tokens.second, {o.batch_size, o.block_size, o.seed});  // the same batches every time
    val_loss = progress.pause([&] { return train::evaluate(model, validation, o.eval_batches); });
    metrics.write(train::JsonObject().add("step", step).add("val_loss", val_loss));
    char line[80];
    std::snprintf(line, sizeof line, "step %lld: validation loss %.4f", static_cast<long long>(step), val_loss);
    progress.note(line);
    if (val_loss < best_loss) {
      best_loss = val_loss;
      progress.pause([&] { io::save_model(o.out + "/best", model, tokenizer); });
    }
  };
  const auto sample = [&] {
    const std::string generated = progress.pause([&] {
      return tokenizer.decode(generate(model, prompt, {.max_new_tokens = 400, .temperature = 0.8, .seed = o.seed}));
    });
    samples << "--- step " << step << "\n" << generated << "\n" << std::flush;
    progress.note("--- sample at step " + std::to_string(step) + "\n" + generated + "\n---");
  };

  for (bool done = false; !done;) {
    const double learning_rate = schedule(step);
    optimizer.set_learning_rate(learning_rate);
    loss = 0;
    for (Index i = 0; i < o.grad_accumulation; ++i) {
      const auto [inputs, targets] = batches.next();
      const Tensor<float> part = model.loss(inputs, targets) * (1.0f / static_cast<float>(o.grad_accumulation));
      part.backward();
      loss += part.item();
    }
    const train::StepResult result = optimizer.step();
    ++step;

    skipped_in_a_row = result.skipped ? skipped_in_a_row + 1 : 0;
    if (result.skipped) progress.note("step " + std::to_string(step) + ": the gradient is not finite, step skipped");
    check<Error>(skipped_in_a_row < 5, program, "the loss diverged: five gradients in a row are not finite (loss ",
                 loss, " at step ", step, "); try a smaller --learning-rate or more --warmup-steps");

    progress.update(step, loss, static_cast<double>(o.batch_size * o.block_size * o.grad_accumulation));
    metrics.write(train::JsonObject()
                      .add("step", step)
                      .add("loss", loss)
                      .add("learning_rate", learning_rate)
                      .add("grad_norm", result.grad_norm)
                      .add("tokens_per_s", progress.tokens_per_second())
                      .add("seconds", progress.seconds()));
    done = step >= o.max_steps || (o.time_limit > 0 && progress.seconds() >= o.time_limit);
    if (!done && o.eval_interval > 0 && step % o.eval_interval == 0) evaluate();
    if (!done && o.sample_every > 0 && step % o.sample_every == 0) sample();
  }
  const double seconds = progress.seconds(), tokens_per_second = progress.tokens_per_second();
  evaluate();
  sample();
  io::save_model(o.out, model, tokenizer);
  std::cout << train::JsonObject()
                   .add("steps", step)
                   .add("train_loss", loss)
                   .add("val_loss", val_loss)
                   .add("train_seconds", seconds)
                   .add("tokens_per_s", tokens_per_second)
                   .add("parameters", parameters)
                   .text()
            << '\n';
  return 0;
}

}  // namespace examples
