// Training speed of LSTM layers: tokens per second from the median of forward and backward passes, without an
// optimizer.
//
//   lstm_throughput --channels 256 --precision fp32 --threads 2 --seconds 6
//
// Prints one JSON line, with the keys of support/torch_lstm.py, its PyTorch side.

#include <chrono>
#include <gptlite/gptlite.hpp>
#include <iostream>
#include <memory>

#include "support/command_line.hpp"
#include "support/train_step.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string precision = "fp32";
  Index channels = 256, batch_size = 16, steps = 128, num_layers = 2;
  bool bidirectional = false;
  int threads = 2;
  double seconds = 6;
};

int run(const Options& o) {
  set_num_threads(o.threads);
  Generator generator(1);
  const auto mode = std::make_shared<TrainingMode>(TrainingMode{true, Generator(1, RandomUse::dropout)});
  LSTM<float> model({.input_size = o.channels,
                     .hidden_size = o.channels,
                     .num_layers = o.num_layers,
                     .bidirectional = o.bidirectional},
                    Dropout<float>{0, mode}, generator);
  Tensor<float> x = Tensor<float>::uniform({o.batch_size, o.steps, o.channels}, -1, 1, generator.fork());
  x.set_requires_grad();
  const Tensor<float> dy =
      Tensor<float>::uniform({o.batch_size, o.steps, model.options.output_size()}, -1, 1, generator.fork());
  const Autocast precision(parse<Precision>(o.precision));

  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  std::vector<double> times;
  int warm_up = 3;  // passes that do not count
  for (Clock::time_point start = Clock::now(); times.size() < 6 || since(start) < o.seconds;) {
    x.zero_grad();
    visit_parameters(model, [](const std::string&, Tensor<float>& weight) { weight.zero_grad(); });
    const Clock::time_point begin = Clock::now();
    model(x).y().backward(dy);
    if (warm_up == 0) times.push_back(since(begin));
    if (warm_up > 0 && --warm_up == 0) start = Clock::now();
  }
  const double seconds = bench::median(times), tokens = static_cast<double>(o.batch_size * o.steps);
  std::cout << JsonObject()
                   .add("what", "lstm")
                   .add("channels", o.channels)
                   .add("bidirectional", o.bidirectional)
                   .add("precision", o.precision)
                   .add("threads", o.threads)
                   .add("tokens_s", tokens / seconds)
                   .add("ms", seconds * 1e3)
                   .add("gflops_s", 6 * tokens * static_cast<double>(parameter_count(model)) / seconds / 1e9)
                   .text()
            << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("lstm_throughput", [&] {
    Options o;
    CLI::App app("Training speed of LSTM layers: tokens per second from the median pass.", "lstm_throughput");
    app.option_defaults()->take_last();
    app.add_option("--channels", o.channels, "features of x and units of each layer")->capture_default_str();
    app.add_option("--batch-size", o.batch_size, "sequences")->capture_default_str();
    app.add_option("--steps", o.steps, "tokens a sequence")->capture_default_str();
    app.add_option("--num-layers", o.num_layers)->capture_default_str();
    app.add_flag("--bidirectional", o.bidirectional, "both directions");
    app.add_option("--precision", o.precision)->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    app.add_option("--seconds", o.seconds, "of measuring, after three passes")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
