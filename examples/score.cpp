// How likely a text is to a model from a Hugging Face folder: the logarithm of each token's probability given those
// before it, and the perplexity.
//
//   score --model gpt2 --text FILE
//   score --model gpt2 --tokens "464 3290 318"
//
// Prints one JSON line. The first token has nothing before it and no score. A text longer than the model's context is
// read in windows that overlap by half, so that every later token sees half a context at least.

#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>
#include <sstream>

#include "support/command_line.hpp"
#include "support/other_heads.hpp"
#include "support/weight_format.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model, text, tokens, precision = "fp32";
  int threads = 0;
};

std::vector<TokenId> read_ids(const std::string& list) {
  std::istringstream in(list);
  std::vector<TokenId> ids;
  for (std::string word; in >> word;) {
    check<DataError>(parse_number(word, ids.emplace_back()), "score", "--tokens: \"", word,
                     "\" is not a token's id; ids are whole numbers, separated by spaces");
  }
  return ids;
}

// log P(tokens[i] | tokens before it) for i = 1, 2, ...
std::vector<double> log_probabilities(Decoder<float>& decoder, const std::vector<TokenId>& tokens) {
  const Index count = static_cast<Index>(tokens.size()), context = decoder.config().block_size;
  const Index V = decoder.config().vocab_size, piece = 64;  // tokens whose logits are held at once
  std::vector<double> result;
  Index read = 0;  // tokens that the decoder has seen, or passed over
  while (static_cast<Index>(result.size()) < count - 1) {
    if (decoder.position(0) == context) {
      decoder.reset(0);
      read -= context / 2;
    }
    const Index length = std::min({piece, context - decoder.position(0), count - 1 - read});
    const Tensor<float> logits = decoder.all_logits({{tokens.begin() + read, tokens.begin() + read + length}});
    for (Index i = 0; i < length; ++i) {
      if (read + i < static_cast<Index>(result.size())) continue;  // scored in the window before
      const float* row = logits.data() + i * V;
      const auto [largest, log_sum] = kernels::log_sum_exp(row, V);
      const float score = row[tokens[static_cast<std::size_t>(read + i) + 1]];
      result.push_back(static_cast<double>(score) - static_cast<double>(largest) - static_cast<double>(log_sum));
    }
    read += length;
  }
  return result;
}

int run(const Options& o) {
  check<ConfigError>(o.text.empty() != o.tokens.empty(), "score", "give either --text FILE or --tokens \"1 2 3\"");
  set_num_threads(o.threads);
  std::vector<TokenId> tokens;
  const GPT<float> model = [&] {
    if (!o.tokens.empty()) {
      tokens = read_ids(o.tokens);
      return io::load_gpt(o.model);  // needs no tokenizer
    }
    const auto [loaded, tokenizer] = io::load_model(o.model);
    tokens = tokenizer.encode(io::read_text(o.text));
    return loaded;
  }();
  examples::note_other_heads("score", o.model);
  check<DataError>(tokens.size() >= 2, "score", "a score needs two tokens at least, the text has ", tokens.size());
  check_tokens("score", tokens, model.config.vocab_size);
  Decoder<float> decoder(model, {.weights = parse<WeightFormat>(o.precision)});
  const std::vector<double> logprobs = log_probabilities(decoder, tokens);
  double total = 0;
  for (const double logprob : logprobs) total -= logprob;
  const double nll = total / static_cast<double>(logprobs.size());
  check<DataError>(!is_nan(nll), "score", o.model, ": a logit is not a number: has the model diverged?");
  const nlohmann::ordered_json result = {
      {"tokens", tokens.size()}, {"nll", nll}, {"perplexity", std::exp(nll)}, {"logprobs", logprobs}};
  std::cout << result.dump() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("score", [&] {
    Options o;
    CLI::App app("How likely a text is to a model from a Hugging Face folder.", "score");
    app.option_defaults()->take_last();
    app.add_option("--model", o.model, "folder with config.json, model.safetensors and a tokenizer")
        ->type_name("PATH")
        ->required();
    app.add_option("--text", o.text, "UTF-8 text file")->type_name("PATH");
    app.add_option("--tokens", o.tokens, "ids, separated by spaces, in place of a text");
    examples::add_weight_format(app, o.precision);
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
