// What Muon adds to a training step: whole steps with AdamW and with Muon, in turns, and the median of each.
//
//   muon_overhead --model small --precision bf16 --threads 2 --rounds 30
//
// Prints one JSON line.

#include <iostream>

#include "support/command_line.hpp"
#include "support/train_step.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model = "small", precision = "bf16";
  int threads = 2;
  Index rounds = 30;
};

int run(const Options& o) {
  set_num_threads(o.threads);
  const bench::ModelSizes& sizes = bench::models.at(o.model);
  const Precision precision = parse<Precision>(o.precision);
  bench::TrainStep<train::AdamW<float>> adamw(sizes, precision);
  bench::TrainStep<train::Muon<float>> muon(sizes, precision);
  constexpr int together = 3;  // steps of one kind one after the other; the first brings its weights into the cache
  std::vector<double> adamw_seconds, muon_seconds;
  const auto measure = [&](auto& step, std::vector<double>& seconds) {
    step.run();
    for (int i = 1; i < together; ++i) seconds.push_back(step.run());
  };
  for (Index round = 0; round < o.rounds; ++round) {
    measure(adamw, adamw_seconds);
    measure(muon, muon_seconds);
  }
  const double without = bench::median(adamw_seconds), with = bench::median(muon_seconds);
  std::cout << JsonObject()
                   .add("what", "muon")
                   .add("model", o.model)
                   .add("precision", o.precision)
                   .add("threads", o.threads)
                   .add("adamw_ms", without * 1e3)
                   .add("muon_ms", with * 1e3)
                   .add("overhead_percent", 100 * (with / without - 1))
                   .text()
            << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("muon_overhead", [&] {
    Options o;
    CLI::App app("What Muon adds to a training step of AdamW.", "muon_overhead");
    app.option_defaults()->take_last();
    app.add_option("--model", o.model)
        ->check(CLI::IsMember({"tiny", "small", "gpt2", "gpt2-long"}))
        ->capture_default_str();
    app.add_option("--precision", o.precision)->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    app.add_option("--rounds", o.rounds, "of two steps that count with each")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
