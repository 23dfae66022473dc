// Turns lines of text into vectors with a BERT, so that lines of like meaning have near vectors; and searches with
// them.
//
//   embed --model all-MiniLM-L6-v2 --text lines.txt                     one JSON object per line
//   embed --model all-MiniLM-L6-v2 --text lines.txt --out vectors.npy   one row per line, for numpy.load
//   embed --model all-MiniLM-L6-v2 --text lines.txt --search "a query"  the nearest lines, with their scores
//
// The model is a folder of sentence-transformers or of a BERT of transformers.

#include <chrono>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <span>
#include <sstream>

#include "support/command_line.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model, text, out, precision = "fp32";
  std::vector<std::string> queries;
  Index top = 5;
  int threads = 0;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::istringstream text(path.empty() ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                                       : io::read_text(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

int run(const Options& o) {
  set_num_threads(o.threads);
  const Autocast precision(parse<Precision>(o.precision));
  const SentenceEncoder<float> encoder = io::load_sentence_encoder(o.model);
  const std::vector<std::string> lines = lines_of(o.text);
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto named = [](const std::string& source, auto&& encode) {
    try {
      return encode();
    } catch (const DataError& error) {
      raise<DataError>("embed", source, ": ", error.what());
    }
  };
  const Tensor<float> vectors = named(o.text.empty() ? "stdin" : o.text, [&] { return encoder.encode(lines); });
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::cerr << "embed: " << lines.size() << " lines in " << std::setprecision(3) << seconds << " s, " << std::fixed
            << std::setprecision(0) << static_cast<double>(lines.size()) / std::max(seconds, 1e-9) << " per second\n";
  if (!o.out.empty()) io::save_npy(o.out, vectors);
  for (const std::string& query : o.queries) {
    if (o.queries.size() > 1) std::cout << "# " << query << '\n';
    const Tensor<float> wanted = named("--search", [&] { return encoder.encode_text(query); });
    for (const Neighbor& found : nearest(vectors, wanted, o.top))
      std::cout << std::fixed << std::setprecision(4) << found.score << '\t'
                << lines[static_cast<std::size_t>(found.index)] << '\n';
  }
  if (!o.queries.empty() || !o.out.empty()) return 0;
  for (std::size_t i = 0; i < lines.size() && std::cout; ++i) {
    const std::span<const float> row(std::as_const(vectors).data() + static_cast<Index>(i) * encoder.dimension(),
                                     static_cast<std::size_t>(encoder.dimension()));
    std::cout << JsonObject().add("text", lines[i]).add("vector", row).text() << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("embed", [&] {
    Options o;
    CLI::App app("Turns lines of text into vectors with a BERT, and searches with them.", "embed");
    app.option_defaults()->take_last();
    app.add_option("--model", o.model, "folder of sentence-transformers, or of a BERT of transformers")
        ->type_name("PATH")
        ->required();
    app.add_option("--text", o.text, "UTF-8 text file, one text per line; without it stdin")->type_name("PATH");
    app.add_option("--out", o.out, "a .npy file for the vectors, in place of JSON lines")->type_name("PATH");
    app.add_option("--search", o.queries, "print the lines nearest to this query; may be given several times")
        ->take_all()
        ->type_name("TEXT");
    app.add_option("--top", o.top, "lines to print for a query")->capture_default_str();
    app.add_option("--precision", o.precision, "of products")
        ->check(CLI::IsMember({"fp32", "bf16"}))
        ->capture_default_str();
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
