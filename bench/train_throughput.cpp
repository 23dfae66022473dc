// Training speed of a GPT: tokens per second from the median step of forward, backward, clipping and AdamW.
//
//   train_throughput --model small --precision bf16 --threads 2 --seconds 12
//
// Prints one JSON line, with the keys of the PyTorch side.

#include <algorithm>
#include <chrono>
#include <gptlite/gptlite.hpp>
#include <iostream>
#include <map>

#include "support/command_line.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model = "small", precision = "fp32";
  Index n_layer = 0, n_head = 0, n_embd = 0, block_size = 0, batch_size = 0, vocab_size = 0;  // 0: as the model
  int threads = 2;
  double seconds = 12, dropout = 0;
};

struct Model {
  Index n_layer, n_head, n_embd, block_size, batch_size, vocab_size;
};
const std::map<std::string, Model> models = {{"tiny", {4, 4, 128, 64, 12, 65}},
                                             {"small", {6, 6, 384, 256, 16, 65}},
                                             {"gpt2", {12, 12, 768, 64, 4, 50257}},
                                             {"gpt2-long", {12, 12, 768, 1024, 1, 50257}}};

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

int run(const Options& o) {
  Model m = models.at(o.model);
  const auto change = [](Index& size, Index wanted) { size = wanted > 0 ? wanted : size; };
  change(m.n_layer, o.n_layer), change(m.n_head, o.n_head), change(m.n_embd, o.n_embd);
  change(m.block_size, o.block_size), change(m.batch_size, o.batch_size), change(m.vocab_size, o.vocab_size);
  set_num_threads(o.threads);
  GPT<float> model({.vocab_size = m.vocab_size,
                    .block_size = m.block_size,
                    .n_layer = m.n_layer,
                    .n_head = m.n_head,
                    .n_embd = m.n_embd,
                    .dropout = o.dropout,
                    .norm_order = NormOrder::pre,
                    .precision = o.precision == "bf16" ? Precision::bf16 : Precision::fp32});
  train::AdamW optimizer(model, {.learning_rate = 3e-4});

  std::vector<TokenId> tokens(static_cast<std::size_t>(m.batch_size * (m.block_size + 1)));
  Generator generator(1, RandomUse::sampling);
  std::vector<std::uint32_t> words(tokens.size());
  random_bits(generator.fork(), 0, static_cast<Index>(words.size()), words.data());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<TokenId>(words[i] % static_cast<std::uint32_t>(m.vocab_size));
  const std::vector<TokenId> input(tokens.begin(), tokens.end() - m.batch_size);
  const std::vector<TokenId> target(tokens.begin() + m.batch_size, tokens.end());
  const Shape shape{m.batch_size, m.block_size};
  const auto inputs = Tensor<TokenId>::from(input, shape), targets = Tensor<TokenId>::from(target, shape);

  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  std::vector<double> times;
  int warm_up = 3;  // steps that do not count
  for (Clock::time_point start = Clock::now(); times.size() < 6 || since(start) < o.seconds;) {
    const Clock::time_point begin = Clock::now();
    model.loss(inputs, targets).backward();
    optimizer.step();
    if (warm_up > 0) {
      if (--warm_up == 0) start = Clock::now();
      continue;
    }
    times.push_back(since(begin));
  }
  const double step = median(times), tokens_a_step = static_cast<double>(m.batch_size * m.block_size);
  // As the other side counts: two products backward for one forward, half of attention's square.
  const double flops =
      6 * tokens_a_step * static_cast<double>(model.config.parameter_count() - m.block_size * m.n_embd) +
      6 * tokens_a_step * static_cast<double>(m.n_layer * m.block_size * m.n_embd);
  std::cout << train::JsonObject()
                   .add("what", "train")
                   .add("model", o.model)
                   .add("precision", o.precision)
                   .add("threads", o.threads)
                   .add("tokens_s", tokens_a_step / step)
                   .add("ms", step * 1e3)
                   .add("gflops_s", flops / step / 1e9)
                   .text()
            << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("train_throughput", [&] {
    Options o;
    CLI::App app("Training speed of a GPT: tokens per second from the median step.", "train_throughput");
    app.option_defaults()->take_last();
    app.add_option("--model", o.model)
        ->check(CLI::IsMember({"tiny", "small", "gpt2", "gpt2-long"}))
        ->capture_default_str();
    app.add_option("--n-layer", o.n_layer, "blocks; 0: as the model, like the other sizes")->capture_default_str();
    app.add_option("--n-head", o.n_head, "attention heads");
    app.add_option("--n-embd", o.n_embd, "channels");
    app.add_option("--block-size", o.block_size, "tokens a sequence");
    app.add_option("--batch-size", o.batch_size, "sequences a step");
    app.add_option("--vocab-size", o.vocab_size, "tokens in the vocabulary");
    app.add_option("--precision", o.precision)->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    app.add_option("--seconds", o.seconds, "of measuring, after three steps")->capture_default_str();
    app.add_option("--dropout", o.dropout, "probability")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
