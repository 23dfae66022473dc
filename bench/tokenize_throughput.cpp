// Speed of a tokenizer on one thread: megabytes of text per second from the median time to encode a file.
//
//   tokenize_throughput --model gpt2 --text text.txt --seconds 5
//
// Prints one JSON line, with the keys of support/tokenize_throughput.py, which measures the Python package.

#include <chrono>
#include <gptlite/gptlite.hpp>
#include <gptlite/io/tokenizer_folder.hpp>
#include <iostream>

#include "support/command_line.hpp"

namespace {

using namespace gptlite;

int run(const std::string& model, const std::string& path, double seconds) {
  const text::Tokenizer tokenizer = io::load_tokenizer(model);
  const std::string text = io::read_text(path);
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  std::vector<double> times;
  std::size_t tokens = 0;
  for (const auto begin = Clock::now(); times.size() < 3 || since(begin) < seconds;) {
    const auto start = Clock::now();
    tokens = tokenizer.encode(text).size();
    times.push_back(since(start));
  }
  std::nth_element(times.begin(), times.begin() + static_cast<Index>(times.size() / 2), times.end());
  std::cout << JsonObject()
                   .add("what", "tokenize")
                   .add("tokens", tokens)
                   .add("mb_s", static_cast<double>(text.size()) / 1e6 / times[times.size() / 2])
                   .text()
            << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("tokenize_throughput", [&] {
    std::string model, text;
    double seconds = 5;
    CLI::App app("Speed of a tokenizer on one thread.", "tokenize_throughput");
    app.add_option("--model", model, "folder with tokenizer.json, or vocab.json and merges.txt")->required();
    app.add_option("--text", text, "UTF-8 text file")->required();
    app.add_option("--seconds", seconds, "of measuring, three times at least")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(model, text, seconds);
  });
}
