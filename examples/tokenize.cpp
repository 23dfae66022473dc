// Prints the tokens of a text: for each line of the file, without its end, one line of ids.
//
//   tokenize --model gpt2 --text lines.txt
//
// The model is a folder with tokenizer.json, or vocab.json and merges.txt.

#include <gptlite/gptlite.hpp>
#include <gptlite/io/tokenizer_folder.hpp>
#include <iostream>
#include <sstream>

#include "support/command_line.hpp"

namespace {

using namespace gptlite;

int run(const std::string& model, const std::string& path) {
  check<ConfigError>(!model.empty() && !path.empty(), "tokenize", "--model and --text are required");
  const text::Tokenizer tokenizer = io::load_tokenizer(model);
  std::istringstream text(io::read_text(path));
  for (std::string line; std::cout && std::getline(text, line);) {
    const char* separator = "";
    for (const TokenId token : tokenizer.encode(line)) {
      std::cout << separator << token;
      separator = " ";
    }
    std::cout << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("tokenize", [&] {
    std::string model, text;
    CLI::App app("Prints the tokens of a text, one line of ids for each of its lines.", "tokenize");
    app.add_option("--model", model, "folder with tokenizer.json, or vocab.json and merges.txt")->type_name("PATH");
    app.add_option("--text", text, "UTF-8 text file")->type_name("PATH");
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(model, text);
  });
}
