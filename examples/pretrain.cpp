// Trains a GPT on texts from random weights, with byte-pair encoding: its own, learned from the texts, or a given one.
//
//   pretrain --text a.txt --text b.txt --vocab-size 5000 --n-layer 6 --n-head 6 --n-embd 384 --block-size 256
//            --batch-size 16 --precision bf16 --out runs/gpt
//
// Progress goes to stderr; the last line on stdout is one JSON object with the results. The folder is one that
// generate, score, tokenize and transformers open.

#include "support/pretraining.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::vector<std::string> texts;
  std::string tokenizer;
  Index vocab_size = 5000;
};

constexpr const char* end_of_text = "<|endoftext|>";

int run(const Options& own, const examples::PretrainingOptions& o) {
  set_num_threads(o.threads);
  std::string all;  // an end of text after each
  for (const std::string& path : own.texts) all += io::read_text(path) + end_of_text;
  const text::Tokenizer tokenizer = [&]() -> text::Tokenizer {
    if (!own.tokenizer.empty()) return io::load_tokenizer(own.tokenizer);
    return text::train_byte_bpe(all, {.vocab_size = own.vocab_size, .special_tokens = {end_of_text}});
  }();
  const std::vector<TokenId> tokens = tokenizer.encode(all);
  return examples::pretrain("pretrain", o, tokenizer, tokens, tokenizer.encode(o.prompt.empty() ? "\n" : o.prompt));
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("pretrain", [&] {
    Options own;
    examples::PretrainingOptions options;
    options.out = "runs/pretrain";
    CLI::App app("Trains a GPT on texts, with byte-pair encoding.", "pretrain");
    app.option_defaults()->take_last();
    app.add_option("--text", own.texts, "UTF-8 text file; may be given several times")
        ->type_name("PATH")
        ->take_all()
        ->required();
    app.add_option("--tokenizer", own.tokenizer, "folder of a tokenizer; without it, one is trained on the texts")
        ->type_name("PATH");
    app.add_option("--vocab-size", own.vocab_size, "tokens of the one that is trained")->capture_default_str();
    examples::add_options(app, options);
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(own, options);
  });
}
