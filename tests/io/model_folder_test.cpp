// save_model and load_model: a model with its tokenizer, and what does not fit together.

#include "gptlite/io/model_folder.hpp"

#include <doctest/doctest.h>

#include "gptlite/text/bpe_trainer.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {
GPT<float> model_of(Index vocab_size) {
  return GPT<float>({.vocab_size = vocab_size, .block_size = 4, .n_layer = 1, .n_head = 1, .n_embd = 4});
}
}  // namespace

TEST_CASE("a folder comes back as the model and the tokenizer that it was saved from") {
  const TemporaryFolder folder;
  const text::Tokenizer bpe =
      text::train_byte_bpe("aaab aaab", {.vocab_size = 258, .special_tokens = {"<|endoftext|>"}});
  GPT<float> saved = model_of(258);
  io::save_model(folder.path.string(), saved, bpe);
  const auto [model, tokenizer] = io::load_model(folder.path.string());
  CHECK_FALSE(model.mode->training);
  CHECK(model.wte.weight.to_vector() == saved.wte.weight.to_vector());
  CHECK(tokenizer.encode("aaab<|endoftext|>") == bpe.encode("aaab<|endoftext|>"));
  const nlohmann::json config = io::read_json(folder.path.string() + "/config.json");
  CHECK(config["eos_token_id"] == *bpe.end_of_text());
  const io::ModelFolder<double> in_double = io::load_model<double>(folder.path.string());
  CHECK(in_double.model.wte.weight.at({3, 1}) == static_cast<double>(saved.wte.weight.at({3, 1})));
}

TEST_CASE("rows without a token decode to nothing") {
  const TemporaryFolder folder;
  GPT<float> saved = model_of(5);
  io::save_model(folder.path.string(), saved, text::CharTokenizer("abc"));
  const auto [model, tokenizer] = io::load_model(folder.path.string());
  CHECK(tokenizer.decode({0, 4, 2, 3}) == "ac");
  CHECK(message_of<IndexError>([&, &known = tokenizer] { known.decode({5}); }) ==
        "[CharTokenizer] token 5 is outside the vocabulary of 3");
}

TEST_CASE("a tokenizer of more tokens than the model has is refused") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  GPT<float> model = model_of(3);
  const std::string refusal = "[check_vocabulary] " + path + ": the tokenizer has 4 tokens, the model 3";
  CHECK(message_of<DataError>([&] { io::save_model(path, model, text::CharTokenizer("abcd")); }) == refusal);
  io::save_model(path, model, text::CharTokenizer("abc"));
  io::save_tokenizer(path, text::CharTokenizer("abcd"));
  CHECK(message_of<DataError>([&] { io::load_model(path); }) == refusal);
}
