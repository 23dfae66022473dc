// Generation speed of a GPT with random weights: tokens per second of one sequence, and of reading a prompt.
//
//   decode_throughput --model gpt2 --precision int8 --threads 2 --tokens 200
//
// Prints one JSON line, medians of three runs. All models have 1,024 positions.

#include <chrono>
#include <gptlite/gptlite.hpp>
#include <iostream>
#include <map>

#include "support/command_line.hpp"
#include "support/train_step.hpp"
#include "support/weight_format.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model = "gpt2", precision = "fp32";
  Index tokens = 200, prompt = 512;
  int threads = 2;
  bool draft = false;
};

const std::map<std::string, bench::ModelSizes> models = {
    {"tiny", {4, 4, 128, 1024, 1, 65}}, {"small", {6, 6, 384, 1024, 1, 65}}, {"gpt2", {12, 12, 768, 1024, 1, 50257}}};

int run(const Options& o) {
  set_num_threads(o.threads);
  const bench::ModelSizes m = models.at(o.model);
  const GPT<float> model(m.config());
  Decoder<float> decoder(model, {.weights = parse<WeightFormat>(o.precision), .draft = o.draft});
  const auto seconds = [](auto&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  Generator random(1);
  std::vector<TokenId> prompt(static_cast<std::size_t>(o.prompt));
  for (TokenId& token : prompt) token = static_cast<TokenId>(random.below(m.vocab_size));
  std::vector<double> prompt_times, token_times;
  for (int repeat = 0; repeat < 3; ++repeat) {
    decoder.reset(0);
    prompt_times.push_back(seconds([&] { decoder.next_logits({prompt}); }));
    token_times.push_back(
        seconds([&] { generate(decoder, {{prompt[0]}}, {.max_new_tokens = o.tokens, .temperature = 0}); }));
  }
  std::cout << JsonObject()
                   .add("what", "decode")
                   .add("model", o.model)
                   .add("precision", o.precision)
                   .add("draft", o.draft ? "int8" : "none")
                   .add("threads", o.threads)
                   .add("tokens_s", static_cast<double>(o.tokens) / bench::median(token_times))
                   .add("prompt_tokens_s", static_cast<double>(o.prompt) / bench::median(prompt_times))
                   .text()
            << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("decode_throughput", [&] {
    Options o;
    CLI::App app("Generation speed of a GPT with random weights.", "decode_throughput");
    app.option_defaults()->take_last();
    app.add_option("--model", o.model)->check(CLI::IsMember({"tiny", "small", "gpt2"}))->capture_default_str();
    examples::add_weight_format(app, o.precision);
    app.add_flag("--draft", o.draft, "draft tokens with weights in int8");
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    app.add_option("--tokens", o.tokens, "to generate")->check(CLI::Range(1, 1000))->capture_default_str();
    app.add_option("--prompt", o.prompt, "tokens of the prompt")->check(CLI::Range(1, 1024))->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
