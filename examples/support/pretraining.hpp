#pragma once
// Pre-training from a command line, as train_char_gpt and pretrain do it: the options, evaluations and samples, and the
// folder that is saved.

#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>
#include <optional>

#include "support/command_line.hpp"
#include "support/run_options.hpp"

namespace examples {

using namespace gptlite;

struct PretrainingOptions {
  std::string out, norm_order = "pre", precision = "fp32", optimizer = "adamw", decay = "cosine",
                   activation = "gelu_tanh", prompt;
  std::string norm_type = "layer_norm";
  bool untied_head = false, rotary = false, qk_norm = false, gated_mlp = false, no_bias = false,
       zero_projections = false;
  Index n_layer = 4, n_head = 4, n_kv_head = 0, n_embd = 128, n_inner = 0, block_size = 64, batch_size = 12, window = 0,
        grad_accumulation = 1;
  std::int64_t max_steps = 2000, warmup_steps = 100, decay_steps = 0, eval_interval = 500, sample_every = 1000;
  Index eval_batches = 200;
  std::optional<double> learning_rate, min_learning_rate;
  double adamw_learning_rate = 3e-3, weight_decay = 0.1, beta2 = 0.99, dropout = 0, grad_clip = 1, logit_softcap = 0,
         initializer_range = 0.02, time_limit = 0;
  int threads = 0;
  std::uint64_t seed = 1337;
  RunOptions run;
};

inline void add_options(CLI::App& app, PretrainingOptions& o) {
  app.add_option("--out", o.out, "folder for the model, metrics.jsonl, samples.txt and checkpoints")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--n-layer", o.n_layer, "blocks")->capture_default_str();
  app.add_option("--n-head", o.n_head, "attention heads")->capture_default_str();
  app.add_option("--n-embd", o.n_embd, "channels, a multiple of --n-head")->capture_default_str();
  app.add_option("--block-size", o.block_size, "tokens a sequence")->capture_default_str();
  app.add_option("--batch-size", o.batch_size, "sequences a step")->capture_default_str();
  app.add_option("--max-steps", o.max_steps, "optimizer steps")->capture_default_str();
  app.add_option("--optimizer", o.optimizer, "adamw, or muon: orthogonal updates for the matrices inside blocks")
      ->check(CLI::IsMember({"adamw", "muon"}))
      ->capture_default_str();
  app.add_option("--learning-rate", o.learning_rate, "learning rate after the warm-up (adamw 1e-3, muon 0.02)");
  app.add_option("--adamw-learning-rate", o.adamw_learning_rate, "muon's for embeddings, norms and biases")
      ->capture_default_str();
  app.add_option("--min-lr", o.min_learning_rate, "learning rate at the last step (a tenth of --learning-rate)");
  app.add_option("--warmup-steps", o.warmup_steps, "steps of linear warm-up")->capture_default_str();
  app.add_option("--decay", o.decay, "how the learning rate falls: cosine, linear or constant")
      ->check(CLI::IsMember(names_of<train::Decay>()))
      ->capture_default_str();
  app.add_option("--decay-steps", o.decay_steps, "last steps, in which it falls; 0: all after the warm-up")
      ->capture_default_str();
  app.add_option("--weight-decay", o.weight_decay, "on matrices")->capture_default_str();
  app.add_option("--beta2", o.beta2, "AdamW's second beta")->capture_default_str();
  app.add_option("--dropout", o.dropout, "probability")->capture_default_str();
  app.add_option("--grad-clip", o.grad_clip, "global gradient norm, 0 for none")->capture_default_str();
  app.add_option("--grad-accumulation", o.grad_accumulation, "batches a step")->capture_default_str();
  app.add_option("--window", o.window, "context window k, 0 for the whole sequence")->capture_default_str();
  app.add_option("--norm-order", o.norm_order, "post (GPT-1) or pre (GPT-2)")
      ->check(CLI::IsMember(names_of<NormOrder>()))
      ->capture_default_str();
  app.add_option("--activation", o.activation, "of the MLPs")
      ->check(CLI::IsMember(names_of<Activation>()))
      ->capture_default_str();
  app.add_option("--n-inner", o.n_inner, "channels inside the MLPs, 0 for 4 times --n-embd")->capture_default_str();
  app.add_flag("--untied-head", o.untied_head, "the output head is a matrix of its own, not the token embedding");
  app.add_flag("--rotary", o.rotary, "rotary positions in place of learned ones");
  app.add_option("--norm-type", o.norm_type, "layer_norm or rms_norm")
      ->check(CLI::IsMember(names_of<NormType>()))
      ->capture_default_str();
  app.add_flag("--qk-norm", o.qk_norm, "heads of q and k are divided by their root mean square");
  app.add_option("--n-kv-head", o.n_kv_head, "heads of k and v, 0 for --n-head")->capture_default_str();
  app.add_flag("--gated-mlp", o.gated_mlp, "MLPs with a gate: SwiGLU with --activation silu");
  app.add_flag("--no-bias", o.no_bias, "linears and layer norms without biases");
  app.add_option("--logit-softcap", o.logit_softcap, "c: logits become c tanh(logits / c); 0 for none")
      ->capture_default_str();
  app.add_option("--initializer-range", o.initializer_range, "standard deviation of the initial weights")
      ->capture_default_str();
  app.add_flag("--zero-projections", o.zero_projections, "projections back to the residual stream start as zeros");
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
  add_options(app, o.run);
  app.add_option("--time-limit", o.time_limit, "seconds of training, 0 for no limit")->capture_default_str();
}

/// What a resumed run must share with the run that was saved.
inline JsonObject shared_settings(const PretrainingOptions& o, const std::vector<TokenId>& tokens) {
  JsonObject settings;
  settings.add("n_layer", o.n_layer)
      .add("n_head", o.n_head)
      .add("n_embd", o.n_embd)
      .add("block_size", o.block_size)
      .add("batch_size", o.batch_size)
      .add("grad_accumulation", o.grad_accumulation)
      .add("window", o.window)
      .add("norm_order", o.norm_order)
      .add("dropout", o.dropout)
      .add("seed", o.seed)
      .add("text_crc32c", crc32c(tokens.data(), tokens.size() * sizeof(TokenId)));
  // Checkpoints of 0.1 do not name what came later.
  if (o.optimizer != "adamw") settings.add("optimizer", o.optimizer);
  if (o.activation != "gelu_tanh") settings.add("activation", o.activation);
  if (o.norm_type != "layer_norm") settings.add("norm_type", o.norm_type);
  for (const auto& [name, on] : {std::pair{"untied_head", o.untied_head},
                                 {"rotary", o.rotary},
                                 {"qk_norm", o.qk_norm},
                                 {"gated_mlp", o.gated_mlp},
                                 {"no_bias", o.no_bias},
                                 {"zero_projections", o.zero_projections}})
    if (on) settings.add(name, true);
  if (o.n_kv_head != 0) settings.add("n_kv_head", o.n_kv_head);
  if (o.n_inner != 0) settings.add("n_inner", o.n_inner);
  if (o.initializer_range != 0.02) settings.add("initializer_range", o.initializer_range);
  if (o.logit_softcap != 0) settings.add("logit_softcap", o.logit_softcap);
  return settings;
}

/// The learning rate that the options give, or the optimizer's own.
inline double learning_rate(const PretrainingOptions& o) {
  return o.learning_rate.value_or(o.optimizer == "muon" ? 0.02 : 1e-3);
}

/// pretrain() with a model and an optimizer.
template <class Optimizer>
int pretrain(const std::string& program, const PretrainingOptions& o, const text::Tokenizer& tokenizer,
             const std::vector<TokenId>& all_tokens, const std::vector<TokenId>& prompt, GPT<float>& model,
             Optimizer& optimizer) {
  const auto tokens = data::split(all_tokens, 0.9);
  data::TokenBatches batches(tokens.first, {o.batch_size, o.block_size, o.seed});
  check<DataError>(static_cast<Index>(tokens.second.size()) > o.block_size, program,
                   "the last 10% of the text validate: dataset has ", tokens.second.size(),
                   " tokens, block size needs ", o.block_size + 1);
  const double rate = learning_rate(o);
  train::Loop loop(optimizer, {.max_steps = o.max_steps,
                               .learning_rate = train::Schedule{gptlite::parse<train::Decay>(o.decay), rate,
                                                                o.min_learning_rate.value_or(rate / 10), o.warmup_steps,
                                                                o.max_steps, o.decay_steps},
                               .grad_accumulation = o.grad_accumulation,
                               .time_limit = o.time_limit});
  io::TrainingRun run(o.out, loop, model, run_options(o.run, shared_settings(o, all_tokens), {"best", "samples.txt"}));
  train::EarlyStopping best;  // only keeps the best evaluation
  double val_loss = 0;
  run.add("batches", batches);
  run.add("best", best);
  run.add("val_loss", val_loss);
  const Index parameters = parameter_count(model);
  std::cerr << "text: " << all_tokens.size() << " tokens of " << tokenizer.vocab_size() << "; model: " << parameters
            << " parameters; " << num_threads() << " threads; results in " << o.out << "\n";

  const auto keep_on = [&] { loop.throw_if_interrupted(); };
  loop.every(o.eval_interval, [&] {
    data::TokenBatches validation(tokens.second, {o.batch_size, o.block_size, o.seed});  // the same batches every time
    val_loss = train::evaluate(model, validation, o.eval_batches, keep_on);
    loop.report({{"val_loss", val_loss}});
    if (best.improved(-val_loss, loop.step_count())) io::save_model(run.path("best"), model, tokenizer);
  });
  loop.every(o.sample_every, [&] {
    const std::string step = std::to_string(loop.step_count());
    const std::string sample = tokenizer.decode(generate(
        model, prompt, {.max_new_tokens = 400, .temperature = 0.8, .seed = o.seed, .on_token = [&](TokenId, Index) {
                          keep_on();
                          return true;
                        }}));
    run.append("samples.txt", "--- step " + step + "\n" + sample + "\n");
    loop.print_above("--- sample at step " + step + "\n" + sample + "\n---");
  });
  {
    const InterruptHandler handler(loop);
    while (loop.next()) {
      while (loop.needs_batch()) {
        const auto [inputs, targets] = batches.next();
        loop.backward(model.loss(inputs, targets), inputs.numel());
      }
      loop.step();
    }
    if (loop.interrupted()) return handler.exit_code(program, o.out, loop.step_count());
  }
  io::save_model(o.out, model, tokenizer);
  std::cout << JsonObject()
                   .add("steps", loop.step_count())
                   .add("train_loss", loop.loss())
                   .add("val_loss", val_loss)
                   .add("train_seconds", loop.seconds())
                   .add("tokens_per_s", loop.tokens_per_second())
                   .add("parameters", parameters)
                   .text()
            << '\n';
  return 0;
}

/// Trains a GPT on `tokens`: the first 90% train, the last 10% validate. Progress goes to stderr, the last line on
/// stdout is one JSON object with the results. o.out becomes a folder that load_gpt and transformers open: the model at
/// the end, and in o.out/best that of the best evaluation, beside metrics.jsonl, samples.txt and checkpoints.
inline int pretrain(const std::string& program, const PretrainingOptions& o, const text::Tokenizer& tokenizer,
                    const std::vector<TokenId>& all_tokens, const std::vector<TokenId>& prompt) {
  check<ConfigError>(o.max_steps > 0, program, "--max-steps must be positive, got ", o.max_steps);
  check<ConfigError>(o.grad_accumulation > 0, program, "--grad-accumulation must be positive, got ",
                     o.grad_accumulation);
  check<ConfigError>(o.eval_batches > 0, program, "--eval-batches must be positive, got ", o.eval_batches);
  GPT<float> model({.vocab_size = tokenizer.vocab_size(),
                    .block_size = o.block_size,
                    .n_layer = o.n_layer,
                    .n_head = o.n_head,
                    .n_embd = o.n_embd,
                    .n_inner = o.n_inner,
                    .activation = gptlite::parse<Activation>(o.activation),
                    .dropout = o.dropout,
                    .window = o.window,
                    .norm_order = gptlite::parse<NormOrder>(o.norm_order),
                    .tie_word_embeddings = !o.untied_head,
                    .precision = gptlite::parse<Precision>(o.precision),
                    .initializer_range = o.initializer_range,
                    .residual_initializer_range = o.initializer_range,  // GPT-2's smaller ones learn slower
                    .seed = o.seed,
                    .rotary = o.rotary,
                    .norm_type = gptlite::parse<NormType>(o.norm_type),
                    .qk_norm = o.qk_norm,
                    .n_kv_head = o.n_kv_head,
                    .gated_mlp = o.gated_mlp,
                    .bias = !o.no_bias,
                    .logit_softcap = o.logit_softcap,
                    .zero_projections = o.zero_projections});
  io::check_saveable(model.config);
  if (o.optimizer == "adamw") {
    train::AdamW optimizer(model,
                           {.betas = {0.9, o.beta2}, .weight_decay = o.weight_decay, .max_grad_norm = o.grad_clip});
    return pretrain(program, o, tokenizer, all_tokens, prompt, model, optimizer);
  }
  train::Muon optimizer(model, {.learning_rate = learning_rate(o),
                                .weight_decay = o.weight_decay,
                                .adamw_learning_rate = o.adamw_learning_rate,
                                .adamw_betas = {0.9, o.beta2},
                                .adamw_weight_decay = o.weight_decay,
                                .max_grad_norm = o.grad_clip,
                                .head_size = o.n_embd / o.n_head});
  return pretrain(program, o, tokenizer, all_tokens, prompt, model, optimizer);
}

}  // namespace examples
