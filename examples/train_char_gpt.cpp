// Trains a character-level GPT on a text, shows it learning, and writes model and measurements to a folder.
//
//   train_char_gpt --preset nano-cpu --text shakespeare.txt --out runs/shakespeare
//
// Progress goes to stderr; the last line on stdout is one JSON object with the results. The folder is one that
// generate, score and transformers open.

#include <map>

#include "support/pretraining.hpp"

namespace {

using namespace gptlite;

// What the program trains on without --text: the library's own headers and pages.
#ifndef GPTLITE_SOURCE_DIR
#define GPTLITE_SOURCE_DIR "."
#endif

// The values of PretrainingOptions are nano-cpu: nanoGPT's recipe for a CPU. nano-fast reaches its loss of 1.88 soonest
// (docs/recipes.md); small is nanoGPT's model for a GPU, GPT-2's architecture with Muon.
examples::PretrainingOptions nano_fast() {
  examples::PretrainingOptions o;
  o.optimizer = "muon";
  o.precision = "bf16";
  o.max_steps = 250;
  o.warmup_steps = 5;
  o.learning_rate = 0.015;
  o.adamw_learning_rate = 0.02;
  o.norm_type = "rms_norm";
  o.activation = "silu";
  o.n_inner = 352;  // about as many parameters as 4 C without a gate
  o.rotary = o.qk_norm = o.gated_mlp = o.no_bias = o.untied_head = o.zero_projections = true;
  return o;
}
examples::PretrainingOptions small() {
  examples::PretrainingOptions o;
  o.n_layer = o.n_head = 6;
  o.n_embd = 384;
  o.block_size = 256;
  o.batch_size = 16;
  o.dropout = 0.2;
  o.optimizer = "muon";
  o.precision = "bf16";
  o.max_steps = 1000;
  o.warmup_steps = 40;
  o.eval_interval = 100;
  o.eval_batches = 50;
  return o;
}
const std::map<std::string, examples::PretrainingOptions> presets = {
    {"nano-cpu", {}}, {"nano-fast", nano_fast()}, {"small", small()}};

// --preset is read first: the other options change what it sets.
examples::PretrainingOptions preset_options(int argc, char** argv) {
  std::string name = "nano-cpu";
  CLI::App app;
  app.allow_extras()->set_help_flag();
  app.add_option("--preset", name)->take_last();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError&) {  // reported when all options are parsed
  }
  const auto found = presets.find(name);
  check<ConfigError>(found != presets.end(), "preset", "\"", name,
                     "\" is unknown; there are nano-cpu, nano-fast and small");
  return found->second;
}

// The library's headers, examples and pages, in a fixed order.
std::string own_sources() {
  namespace fs = std::filesystem;
  const fs::path root = GPTLITE_SOURCE_DIR;
  std::vector<fs::path> files;
  for (const char* folder : {"include", "examples", "docs"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (const auto type = entry.path().extension(); type == ".hpp" || type == ".cpp" || type == ".md")
        files.push_back(entry.path());
  }
  check<DataError>(!files.empty(), "train_char_gpt", "no --text given, and the library's sources are not at ",
                   root.string());
  std::sort(files.begin(), files.end());
  std::string text;
  for (const fs::path& file : files) text += io::read_text(file.string());
  return text;
}

int run(const std::string& path, const examples::PretrainingOptions& o) {
  set_num_threads(o.threads);
  const std::string text = path.empty() ? own_sources() : io::read_text(path);
  const text::CharTokenizer tokenizer(text);
  const std::vector<TokenId> tokens = tokenizer.encode(text);
  std::vector<TokenId> prompt = {tokens.front()};
  if (!o.prompt.empty() || text.find('\n') != text.npos) prompt = tokenizer.encode(o.prompt.empty() ? "\n" : o.prompt);
  return examples::pretrain("train_char_gpt", o, tokenizer, tokens, prompt);
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("train_char_gpt", [&] {
    std::string text;
    examples::PretrainingOptions options = preset_options(argc, argv);
    options.out = "runs/char";
    CLI::App app("Trains a character-level GPT on a text.", "train_char_gpt");
    app.option_defaults()->take_last();  // scripts/demo --out DIR changes what the script says
    app.add_option("--text", text, "UTF-8 text file to train on; without it, the library's own headers and pages")
        ->type_name("PATH");
    app.add_option("--preset", "a recipe that the other options change: nano-cpu, nano-fast or small");
    examples::add_options(app, options);
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(text, options);
  });
}
