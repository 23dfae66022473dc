// save_model and load_model: a model with its tokenizer, and what does not fit together.

#include "gptlite/io/model_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "gptlite/generate/generate.hpp"
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

TEST_CASE("special tokens: of generation_config.json, then config.json, then transformers' own; they are saved again") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  GPT<float> gpt2(
      {.vocab_size = 9, .block_size = 4, .n_layer = 1, .n_head = 1, .n_embd = 4, .norm_order = NormOrder::pre});
  io::save_model(path, gpt2, text::CharTokenizer("abc"));
  const nlohmann::json written = io::read_json(path + "/config.json");
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) CHECK(written.at(key).is_null());
  CHECK(io::load_gpt(path).config.special_tokens == SpecialTokens{});

  nlohmann::json config = written;
  const auto loaded = [&] {
    io::write_text(path + "/config.json", config.dump());
    return *io::load_gpt(path).config.special_tokens;
  };
  config["bos_token_id"] = 1, config["eos_token_id"] = {2, 3}, config["pad_token_id"] = -1;
  CHECK(loaded() == SpecialTokens{.bos = 1, .eos = {2, 3}});
  const auto [model, tokenizer] = io::load_model(path);
  io::save_model(path + "/again", model, tokenizer);
  const nlohmann::json again = io::read_json(path + "/again/config.json");
  CHECK(again.at("eos_token_id") == nlohmann::json({2, 3}));
  CHECK(again.at("bos_token_id") == 1);
  CHECK(again.at("pad_token_id").is_null());

  io::write_text(path + "/generation_config.json", R"({"eos_token_id": 4, "pad_token_id": 5})");
  CHECK(loaded() == SpecialTokens{.bos = 1, .eos = {4}, .pad = 5});
  std::filesystem::remove(path + "/generation_config.json");
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) config.erase(key);
  CHECK(loaded() == SpecialTokens{.bos = 50256, .eos = {50256}});
  config["eos_token_id"] = "end";
  CHECK(message_of<DataError>(loaded) ==
        "[load_gpt] " + path +
            "/config.json: \"eos_token_id\" must be the id of a token, or a list of them, not \"end\"");
  config["eos_token_id"] = 2, config["bos_token_id"] = {1, 2};
  CHECK(message_of<DataError>(loaded) ==
        "[load_gpt] " + path + "/config.json: \"bos_token_id\" must be the id of one token, not [1,2]");
}

TEST_CASE("generation ends at the model's eos tokens and never draws a row without a token") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  GPT<float> saved = model_of(60);  // 57 rows without a token
  saved.config.special_tokens = SpecialTokens{.eos = {1}};
  io::save_model(path, saved, text::CharTokenizer("abc"));
  const auto [model, tokenizer] = io::load_model(path);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto tokens = generate(model, {0}, {.max_new_tokens = 50, .seed = seed});
    CHECK(tokens.size() < 51);  // one of three tokens ends it
    CHECK(std::find(tokens.begin(), tokens.end(), 1) == tokens.end() - 1);
    CHECK(*std::max_element(tokens.begin(), tokens.end()) < 3);
    CHECK(generate(model, {0}, {.max_new_tokens = 50, .seed = seed, .ignore_eos = true}).size() == 51);
  }
  Decoder<float> decoder(model);
  GenerationSession<float> session(decoder);
  session.start({0}, {.max_new_tokens = 50});
  FinishReason reason = FinishReason::none;
  while (session.running() > 0) reason = session.step().back().finish_reason;
  CHECK(reason == FinishReason::eos);
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

TEST_CASE(
    "a tokenizer of more tokens than the model has is not saved; loaded, its tokens without a row cannot be used") {
  const TemporaryFolder folder;
  const std::string path = folder.path.string();
  GPT<float> model = model_of(3);
  const std::string refusal = "[check_vocabulary] " + path + ": the tokenizer has 4 tokens, the model 3";
  CHECK(message_of<DataError>([&] { io::save_model(path, model, text::CharTokenizer("abcd")); }) == refusal);
  io::save_model(path, model, text::CharTokenizer("abc"));
  io::save_tokenizer(path, text::CharTokenizer("abcd"));
  std::filesystem::remove(path + "/model.safetensors");
  io::save_gpt(path, model);  // says nothing of a tokenizer
  io::save_tokenizer(path, text::CharTokenizer("abcd"));
  const auto [loaded, tokenizer] = io::load_model(path);
  CHECK(generate(loaded, tokenizer.encode("abc"), {.max_new_tokens = 1}).size() == 4);
  CHECK(message_of<IndexError>([&, &m = loaded, &t = tokenizer] { generate(m, t.encode("ad"), {}); }) ==
        "[generate] token 3 at position 1 is outside the vocabulary of 3");
}
