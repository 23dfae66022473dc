// No shape is slow: training speed of random odd models (C 200, 5 heads, T 77, V 331 and the like), each beside a
// regular neighbour of about its size: heads of 32 or 64 channels, all sizes multiples of 32. The two take turns.
//
//   shapes_throughput --shapes 40 --precision bf16 --threads 2
//
// Prints a JSON line for each pair: the FLOP rates of both and their ratio.

#include <iostream>

#include "support/command_line.hpp"
#include "support/train_step.hpp"

namespace {

using namespace gptlite;
using bench::ModelSizes, bench::TrainStep;

Index to_multiple(Index value, Index of) { return std::max((value + of / 2) / of, Index{1}) * of; }

ModelSizes odd_sizes(Generator& random) {
  const auto between = [&](Index low, Index high) { return low + random.below(high - low + 1); };
  const Index n_head = between(2, 9), head_size = between(17, 83);
  return {2, n_head, n_head * head_size, between(17, 331), between(1, 7), between(33, 2999)};
}
ModelSizes regular_neighbour(const ModelSizes& m) {
  const Index head_size = m.n_embd / m.n_head < 48 ? 32 : 64, n_embd = to_multiple(m.n_embd, head_size);
  return {m.n_layer,    n_embd / head_size,           n_embd, to_multiple(m.block_size, 32),
          m.batch_size, to_multiple(m.vocab_size, 32)};
}
std::string text(const ModelSizes& m) {
  const auto n = [](Index value) { return std::to_string(value); };
  return "C " + n(m.n_embd) + ", H " + n(m.n_head) + ", B " + n(m.batch_size) + ", T " + n(m.block_size) + ", V " +
         n(m.vocab_size);
}

void compare(const ModelSizes& odd, Precision precision, int threads, double seconds) {
  const ModelSizes regular = regular_neighbour(odd);
  TrainStep first(odd, precision), second(regular, precision);
  std::vector<double> odd_times, regular_times;
  double total = 0;
  for (int i = -2; i < 5 || total < seconds; ++i) {  // the first two do not count
    const double a = first.run(), b = second.run();
    if (i < 0) continue;
    total += a + b;
    odd_times.push_back(a);
    regular_times.push_back(b);
  }
  const double rate = first.flops() / bench::median(odd_times),
               neighbour = second.flops() / bench::median(regular_times);
  std::cout << JsonObject()
                   .add("what", "shapes")
                   .add("shape", text(odd))
                   .add("neighbour", text(regular))
                   .add("precision", precision == Precision::bf16 ? "bf16" : "fp32")
                   .add("threads", threads)
                   .add("gflops_s", rate / 1e9)
                   .add("neighbour_gflops_s", neighbour / 1e9)
                   .add("ratio", rate / neighbour)
                   .text()
            << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("shapes_throughput", [&] {
    int shapes = 40, threads = 2;
    double seconds = 1;
    std::uint64_t seed = 1;
    std::string precision = "fp32";
    CLI::App app("Training speed of random odd shapes beside regular neighbours.", "shapes_throughput");
    app.option_defaults()->take_last();
    app.add_option("--shapes", shapes, "pairs to measure")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--seconds", seconds, "a pair at least, of five steps each at least")->capture_default_str();
    app.add_option("--seed", seed, "of the shapes")->capture_default_str();
    app.add_option("--precision", precision)->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
    app.add_option("--threads", threads, "0 for all processors")->capture_default_str();
    if (const int exit_code = examples::parse(app, argc, argv); exit_code >= 0) return exit_code;
    set_num_threads(threads);
    Generator random(seed);
    for (int i = 0; i < shapes; ++i) compare(odd_sizes(random), parse<Precision>(precision), threads, seconds);
    return 0;
  });
}
