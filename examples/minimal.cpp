#include <gptlite/gptlite.hpp>
#include <iostream>

int main() {
  using namespace gptlite;
  const std::string text = io::read_text("shakespeare.txt");
  const text::CharTokenizer tokenizer(text);
  GPT<float> model({.vocab_size = tokenizer.vocab_size(), .block_size = 128, .n_layer = 4, .n_head = 4, .n_embd = 128});
  train::AdamW optimizer(model, {.learning_rate = 1e-3});
  data::TokenBatches batches(tokenizer.encode(text), {.batch_size = 16, .block_size = 128, .seed = 1337});
  for (int step = 0; step < 1000; ++step) {
    const auto [inputs, targets] = batches.next();
    Tensor<float> loss = model.loss(inputs, targets);
    loss.backward();
    optimizer.step();
  }
  std::cout << tokenizer.decode(generate(model, tokenizer.encode("ROMEO:"), {.max_new_tokens = 300, .seed = 1}));
}
