// The other of two translation units that include the whole library.
#include "gptlite/gptlite.hpp"
#include "gptlite/io.hpp"

double loss_of_other_unit() {
  using namespace gptlite;
  GPT<double> model({.vocab_size = 5, .block_size = 4, .n_layer = 1, .n_head = 1, .n_embd = 4});
  const auto tokens = Tensor<TokenId>::from({0, 1, 2, 3}, {1, 4});
  return model.loss(tokens, tokens).item();
}
