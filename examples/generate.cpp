// Continues a text with a model from a Hugging Face folder, and prints it as it is written.
//
//   generate --model gpt2 --prompt "Once upon a time" --max-new-tokens 100 --temperature 0.8 --top-k 40
//
// The text goes to stdout; with --json one line with the tokens and the speed takes its place.

#include <chrono>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>
#include <optional>

#include "support/command_line.hpp"
#include "support/other_heads.hpp"
#include "support/weight_format.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model, prompt, precision = "fp32";
  GenerateOptions generate;
  std::vector<std::string> stop;
  int threads = 0;
  bool json = false;
};

void add_options(CLI::App& app, Options& o) {
  app.option_defaults()->take_last();
  app.add_option("--model", o.model, "folder with config.json, model.safetensors and a tokenizer")
      ->type_name("PATH")
      ->required();
  app.add_option("--prompt", o.prompt, "what to continue; without it, the start of a text");
  app.add_option("--max-new-tokens", o.generate.max_new_tokens, "at most")->capture_default_str();
  app.add_option("--temperature", o.generate.temperature, "0 always takes the likeliest token")->capture_default_str();
  app.add_option("--top-k", o.generate.top_k, "keep the k likeliest tokens, 0 for all")->capture_default_str();
  app.add_option("--top-p", o.generate.top_p, "keep the likeliest tokens whose probabilities add up to p")
      ->capture_default_str();
  app.add_option("--min-p", o.generate.min_p, "keep tokens with probability >= min_p * the largest")
      ->capture_default_str();
  app.add_option("--repetition-penalty", o.generate.repetition_penalty, "above 1 against repetition")
      ->capture_default_str();
  app.add_option("--stop", o.stop,
                 "a text that ends the generation and is the last to be printed; may be given several times")
      ->take_all();
  app.add_flag("--ignore-eos", o.generate.ignore_eos, "go on where the model ends its text");
  app.add_option("--seed", o.generate.seed, "of the choices")->capture_default_str();
  examples::add_weight_format(app, o.precision);
  app.add_flag("--draft", o.generate.draft, "draft tokens with weights in int8: the same text sooner, in more memory");
  app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
  app.add_flag("--json", o.json, "print one JSON line when done");
}

// What a text begins with if there is no prompt.
std::vector<TokenId> start_of_text(const GPTConfig& config, const text::Tokenizer& tokenizer) {
  const SpecialTokens tokens = config.special_tokens.value_or(SpecialTokens{});
  if (tokens.bos && *tokens.bos < tokenizer.vocab_size()) return {*tokens.bos};
  if (const std::optional<TokenId> end = tokenizer.end_of_text()) return {*end};
  try {
    if (std::vector<TokenId> line = tokenizer.encode("\n"); !line.empty()) return line;
  } catch (const DataError&) {  // single characters without a line's end
  }
  raise<ConfigError>("generate", "the model has no token that begins a text: give it a --prompt");
}

int run(Options o) {
  set_num_threads(o.threads);
  const auto [model, tokenizer] = io::load_model(o.model);
  examples::note_other_heads("generate", o.model);
  const std::vector<TokenId> prompt =
      o.prompt.empty() ? start_of_text(model.config, tokenizer) : tokenizer.encode(o.prompt);
  Decoder<float> decoder(model, {.weights = parse<WeightFormat>(o.precision), .draft = o.generate.draft});

  // Stop texts are looked for in the text, not in the tokens: the same text may be cut into other tokens.
  text::StreamDecoder<text::Tokenizer> stream(tokenizer);
  StopTexts stops(o.stop);
  std::string text;
  const auto show = [&](const std::string& part) {
    if (!o.json) std::cout << part << std::flush;
    text += part;
  };
  if (!o.json) std::cout << o.prompt << std::flush;
  const auto ends = [&, &config = model.config](TokenId token) {
    return !o.generate.ignore_eos && config.special_tokens && config.special_tokens->is_eos(token);
  };
  o.generate.on_token = [&](TokenId token, Index) {
    if (ends(token)) return true;  // the sequence ends, and its text has no sign for it
    show(stops.next(stream.next(token)));
    return !stops.found() && std::cout.good();
  };
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<TokenId> tokens = generate(decoder, {prompt}, o.generate).front();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!stops.found()) show(stops.next(stream.finish()));
  show(stops.found() ? stops.stop_text() : stops.finish());
  if (!o.json) {
    std::cout << '\n';
    return 0;
  }
  const std::vector<TokenId> written(tokens.begin() + static_cast<std::ptrdiff_t>(prompt.size()), tokens.end());
  const nlohmann::ordered_json result = {
      {"prompt", o.prompt},       {"text", text},
      {"prompt_tokens", prompt},  {"tokens", written},
      {"precision", o.precision}, {"draft", o.generate.draft},
      {"seconds", seconds},       {"tokens_s", static_cast<double>(written.size()) / seconds}};
  std::cout << result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("generate", [&] {
    Options options;
    CLI::App app("Continues a text with a model from a Hugging Face folder.", "generate");
    add_options(app, options);
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(options);
  });
}
