// Prints the log-probability of each token but the first, by a model with adapters of PEFT. For compare_folders.py.
//
// usage: score_adapters MODEL ADAPTERS TOKEN...

#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "gptlite/gptlite.hpp"
#include "gptlite/io.hpp"

int main(int argc, char** argv) {
  using namespace gptlite;
  try {
    GPT<float> model = io::load_gpt(argv[1]);
    io::load_lora(argv[2], model);
    std::vector<TokenId> tokens;
    for (int i = 3; i < argc; ++i) tokens.push_back(std::stoi(argv[i]));
    const NoGrad no_grad;
    Decoder<float> decoder(model);
    const Tensor<float> log_probabilities = log_softmax(decoder.all_logits({tokens}));
    std::cout.precision(9);
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
      std::cout << log_probabilities.at({static_cast<Index>(i), tokens[i + 1]}) << '\n';
  } catch (const std::exception& error) {
    std::cerr << "score_adapters: " << error.what() << '\n';
    return 1;
  }
}
