// The library's side of compare_tokenizers.py: reads a JSON array of texts from stdin, writes one of their ids.
//
//   compare_tokenizers encode FOLDER                        encodes each
//   compare_tokenizers train VOCAB_SIZE MIN_FREQUENCY       trains on each and gives tokens and merges instead

#include <iostream>
#include <string>

#include "gptlite/io/tokenizer_folder.hpp"
#include "gptlite/text/bpe_trainer.hpp"

int main(int argc, char** argv) {
  using namespace gptlite;
  const std::string what = argc > 2 ? argv[1] : "";
  nlohmann::json answers = nlohmann::json::array();
  const auto texts = nlohmann::json::parse(std::cin).get<std::vector<std::string>>();
  if (what == "encode") {
    const text::Tokenizer tokenizer = io::load_tokenizer(argv[2]);
    for (const std::string& text : texts) answers.push_back(tokenizer.encode(text));
  } else if (what == "train" && argc > 3) {
    for (const std::string& text : texts) {
      const text::ByteBpe bpe =
          text::train_byte_bpe(text, {.vocab_size = std::stol(argv[2]), .min_frequency = std::stol(argv[3])});
      nlohmann::json merges = nlohmann::json::array();
      for (const text::BpeMerge& merge : bpe.vocabulary().merges().merges())
        merges.push_back({bpe.id_to_token(merge.left), bpe.id_to_token(merge.right)});
      answers.push_back({bpe.vocabulary().tokens(), merges});
    }
  } else {
    std::cerr << "usage: compare_tokenizers encode FOLDER | train VOCAB_SIZE MIN_FREQUENCY\n";
    return 2;
  }
  std::cout << answers;
}
