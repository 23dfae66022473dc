// Training speed of a GPT: tokens per second from the median step of forward, backward, clipping and AdamW.
//
//   train_throughput --model small --precision bf16 --threads 2 --seconds 12
//
// Prints one JSON line, with the keys of the PyTorch side.

#include <iostream>

#include "support/command_line.hpp"
#include "support/train_step.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model = "small", precision = "fp32";
  Index n_layer = 0, n_head = 0, n_embd = 0, block_size = 0, batch_size = 0, vocab_size = 0;  // 0: as the model
  int threads = 2;
  double seconds = 12, dropout = 0;
};

int run(const Options& o) {
  bench::ModelSizes m = bench::models.at(o.model);
  const auto change = [](Index& size, Index wanted) { size = wanted > 0 ? wanted : size; };
  change(m.n_layer, o.n_layer), change(m.n_head, o.n_head), change(m.n_embd, o.n_embd);
  change(m.block_size, o.block_size), change(m.batch_size, o.batch_size), change(m.vocab_size, o.vocab_size);
  set_num_threads(o.threads);
  bench::TrainStep step(m, parse<Precision>(o.precision), o.dropout);
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  std::vector<double> times;
  int warm_up = 3;  // steps that do not count
  for (Clock::time_point start = Clock::now(); times.size() < 6 || since(start) < o.seconds;) {
    const double seconds = step.run();
    if (warm_up == 0) times.push_back(seconds);
    if (warm_up > 0 && --warm_up == 0) start = Clock::now();
  }
  const double seconds = bench::median(times);
  std::cout << JsonObject()
                   .add("what", "train")
                   .add("model", o.model)
                   .add("precision", o.precision)
                   .add("threads", o.threads)
                   .add("tokens_s", step.tokens() / seconds)
                   .add("ms", seconds * 1e3)
                   .add("gflops_s", step.flops() / seconds / 1e9)
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
