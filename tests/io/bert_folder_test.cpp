// BERT folders: transformers' numbers from its own files, gradients too, and folders that are written and read again.

#include "gptlite/io/bert_folder.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "support/fixture.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

const std::string bert_fixture = GPTLITE_FIXTURES "/bert";

MaskedBatch fixture_batch(const nlohmann::json& fixture) {
  const auto numbers = [&](const char* key) { return fixture[key].get<std::vector<std::int32_t>>(); };
  return {.tokens = Tensor<TokenId>::from(numbers("tokens"), {3, 9}),
          .targets = Tensor<TokenId>::from(numbers("targets"), {3, 9}),
          .lengths = Tensor<std::int32_t>::from(numbers("lengths")),
          .segments = Tensor<std::int32_t>::from(numbers("segments"), {3, 9}),
          .unrelated = Tensor<std::int32_t>::from(numbers("unrelated"))};
}
/// With zeros on padding, of which nothing is asked.
template <class T>
Tensor<T> unpadded(const Tensor<T>& states, const Tensor<std::int32_t>& lengths) {
  Tensor<T> copy = states.detach().clone();
  const Index steps = states.shape()[1], C = states.shape()[2];
  for (Index b = 0; b < states.shape()[0]; ++b)
    std::fill_n(copy.data() + (b * steps + lengths.data()[b]) * C, (steps - lengths.data()[b]) * C, T(0));
  return copy;
}

template <class T>
void compare_with_transformers(double outputs, double gradients) {
  const nlohmann::json fixture = read_fixture("bert.json");
  auto [model, tokenizer] = io::load_bert_pre_training<T>(bert_fixture);
  const MaskedBatch batch = fixture_batch(fixture);
  const Tensor<T> hidden = model.bert.pass(batch.tokens, batch.lengths, batch.segments);
  const auto expected = [&](const char* key) { return fixture[key].get<std::vector<double>>(); };
  CHECK(relative_error(unpadded(hidden, batch.lengths), expected("hidden")) < outputs);
  CHECK(relative_error(model.bert.pooled(hidden), expected("pooled")) < outputs);
  CHECK(relative_error(unpadded(model.logits(hidden), batch.lengths), expected("logits")) < outputs);
  CHECK(relative_error(model.relation_logits(hidden), expected("relation")) < outputs);
  Tensor<T> loss = model.loss(batch);
  CHECK(static_cast<double>(loss.item()) == doctest::Approx(fixture["loss"].get<double>()).epsilon(outputs));
  loss.backward();
  std::size_t compared = 0;
  const auto compare = [&](const auto& parts, const std::string& prefix) {
    for (const auto& part : parts) {
      const std::string name = prefix + part.name;
      CAPTURE(name);
      Tensor<T> published = Tensor<T>::empty(part.shape());
      const Tensor<T> gradient = part.tensor.grad();
      T* const to = published.data();
      part.for_numbers([&](Index ours, Index at) { to[at] = gradient.data()[ours]; });
      CHECK(relative_error(published, fixture["gradients"].at(name).get<std::vector<double>>()) < gradients);
      ++compared;
    }
  };
  compare(io::detail::published_parts(model.bert), "bert.");
  compare(io::detail::published_heads(model), "");
  CHECK(compared == fixture["gradients"].size());
}

/// A copy of the fixture whose config.json has other values; null removes a key.
std::string changed_bert(const TemporaryFolder& folder, const nlohmann::json& changes,
                         const char* file = "config.json") {
  const std::string path = folder.file("changed");
  std::filesystem::remove_all(path);
  std::filesystem::copy(bert_fixture, path);
  nlohmann::json config = io::read_json(path + '/' + file);
  for (const auto& [key, value] : changes.items()) {
    if (value.is_null())
      config.erase(key);
    else
      config[key] = value;
  }
  std::ofstream(path + '/' + file) << config.dump();
  return path;
}

}  // namespace

TEST_CASE("BERT: hidden states, logits, losses and gradients of transformers") {
  compare_with_transformers<double>(1e-7, 1e-6);
  compare_with_transformers<float>(1e-5, 1e-4);
}

TEST_CASE("BERT: load_bert reads the encoder alone, with its tokenizer and [SEP] as separator") {
  const auto [model, tokenizer] = io::load_bert(bert_fixture);
  CHECK(model.config.n_layer == 2);
  CHECK(model.config.separator == tokenizer.token_to_id("[SEP]"));
  CHECK(model.config.pooler);
  CHECK_FALSE(model.mode->training);
  const nlohmann::json fixture = read_fixture("bert.json");
  CHECK(tokenizer.encode(fixture["texts"][5].get<std::string>()) ==
        fixture["word_piece"]["uncased"]["ids"][5].get<std::vector<TokenId>>());
}

TEST_CASE("BERT: a folder that is written has the same weights, tokens and settings") {
  const TemporaryFolder folder;
  const auto [model, tokenizer] = io::load_bert_pre_training(bert_fixture);
  const MaskedBatch batch = fixture_batch(read_fixture("bert.json"));
  io::save_bert(folder.file("whole"), model, tokenizer);
  const auto [again, same_tokenizer] = io::load_bert_pre_training(folder.file("whole"));
  CHECK(again.loss(batch).item() == model.loss(batch).item());
  CHECK(same_tokenizer.encode("The lower bank, weren't") == tokenizer.encode("The lower bank, weren't"));
  io::save_bert(folder.file("encoder"), model.bert, tokenizer, io::DType::BF16);
  const auto [encoder, third] = io::load_bert(folder.file("encoder"));
  CHECK(relative_error(encoder.pass(batch.tokens, batch.lengths),
                       model.bert.pass(batch.tokens, batch.lengths).cast<double>().to_vector()) < 0.05);
  CHECK(encoder.wte.weight.to_vector() == model.bert.wte.weight.cast<BFloat16>().cast<float>().to_vector());
  // The encoder has no heads.
  CHECK(message_of<DataError>([&] {
          io::load_bert_pre_training(folder.file("encoder"));
        }).find("missing cls.predictions.bias") != std::string::npos);
}

TEST_CASE("BERT: settings that would compute something else are refused by name, and so are other models") {
  const TemporaryFolder folder;
  const auto refused = [&](const nlohmann::json& changes) {
    const std::string message = message_of<DataError>([&] { io::load_bert(changed_bert(folder, changes)); });
    const std::string start = "[load_bert] " + folder.file("changed") + "/config.json: ";
    return message.starts_with(start) ? message.substr(start.size()) : message;
  };
  CHECK(refused({{"model_type", "roberta"}}) ==
        "\"model_type\" is \"roberta\", which is not supported here, only bert");
  CHECK(
      refused({{"position_embedding_type", "relative_key"}}) ==
      "\"position_embedding_type\" is \"relative_key\", which is not supported: save a model with absolute positions");
  CHECK(refused({{"is_decoder", true}}) ==
        "\"is_decoder\" is true, which is not supported: a decoder is causal, Bert is not");
  CHECK(refused({{"tie_word_embeddings", false}}) ==
        "\"tie_word_embeddings\" is false, which is not supported: the head of the masked language model is the token "
        "embedding");
  CHECK(refused({{"n_experts", 2}}) ==
        "\"n_experts\" is not known, so that the model might compute something else: remove it if it changes nothing");
  CHECK(refused({{"hidden_act", "mish"}})
            .starts_with("\"hidden_act\" is \"mish\", which is not supported, only gelu_new"));
  CHECK(refused({{"num_attention_heads", 5}}) == "[BertConfig] n_embd 12 is not divisible by n_head 5");
  CHECK(refused({{"hidden_size", nullptr}}) == "\"hidden_size\" must be a whole number");
  CHECK(refused({{"vocab_size", 1000000000}}).find("asks for") != std::string::npos);
  CHECK(refused({{"intermediate_size", 21}}).find("intermediate.dense.weight: file has (20, 12)") != std::string::npos);
}

TEST_CASE("BERT: settings of its tokenizer that would give other ids are refused by name") {
  const TemporaryFolder folder;
  const auto config_error = [&](const nlohmann::json& changes) {
    return message_of<DataError>([&] { io::load_bert(changed_bert(folder, changes, "tokenizer_config.json")); });
  };
  const std::string config = "[load_tokenizer] " + folder.file("changed") + "/tokenizer_config.json: ";
  CHECK(config_error({{"do_lower_case", false}}) == config + "\"do_lower_case\" is false, which is not supported");
  CHECK(config_error({{"tokenize_chinese_chars", false}}) ==
        config + "\"tokenize_chinese_chars\" is false, which is not supported");
  CHECK(config_error({{"never_split", {"[X]"}}}) ==
        config + "\"never_split\" is [\"[X]\"], which is not supported: the library would give other ids");
  const auto json_error = [&](const char* part, const nlohmann::json& value) {
    const nlohmann::json whole = io::read_json(bert_fixture + "/tokenizer.json");
    nlohmann::json changed = whole[part];
    changed.update(value);
    const std::string message = message_of<DataError>([&] {
      io::load_bert(changed_bert(folder, {{part, changed}}, "tokenizer.json"));
    });
    const std::string start = "[load_tokenizer] " + folder.file("changed") + "/tokenizer.json: ";
    return message.starts_with(start) ? message.substr(start.size()) : message;
  };
  CHECK(json_error("model", {{"unk_token", "<unk>"}}) ==
        "\"unk_token\" is \"<unk>\", which is not supported: the library would give other ids");
  CHECK(json_error("model", {{"max_input_chars_per_word", 50}}) ==
        "\"max_input_chars_per_word\" is 50, which is not supported: the library would give other ids");
  CHECK(json_error("normalizer", {{"clean_text", false}}) ==
        "\"clean_text\" is false, which is not supported: the library would give other ids");
  CHECK(json_error("normalizer", {{"strip_accents", false}}) == "\"strip_accents\" is false, which is not supported");
  CHECK(json_error("post_processor", {{"single", nlohmann::json::array()}}) ==
        "\"single\" is \"\", which is not supported, only [CLS] A [SEP]");
}

TEST_CASE("BERT: a hostile folder is refused before memory is taken, and adapters are not lost") {
  const TemporaryFolder folder;
  const auto refused = [&](const nlohmann::json& changes) {
    return message_of<DataError>([&] { io::load_bert(changed_bert(folder, changes)); });
  };
  CHECK(refused({{"num_hidden_layers", 1000000}}).find("in 1000000 layers") != std::string::npos);
  auto loaded = io::load_bert(bert_fixture);
  add_lora(loaded.model, {.rank = 2});
  CHECK(message_of<ConfigError>([&] { io::save_bert(folder.file("lora"), loaded.model, loaded.tokenizer); }) ==
        "[save_bert] the model has adapters: call save_lora(folder, model), or merge_lora(model) first");
  const nlohmann::json single = {{{"SpecialToken", {{"id", 5}}}}};
  const nlohmann::json whole = io::read_json(bert_fixture + "/tokenizer.json");
  nlohmann::json template_of_numbers = whole["post_processor"], other_ids = whole["post_processor"];
  template_of_numbers["single"] = single;
  other_ids["special_tokens"]["[CLS]"]["ids"] = {0};
  const auto json_error = [&](const nlohmann::json& post_processor) {
    return message_of<DataError>([&] {
      io::load_bert(changed_bert(folder, {{"post_processor", post_processor}}, "tokenizer.json"));
    });
  };
  const std::string start = "[load_tokenizer] " + folder.file("changed") + "/tokenizer.json: ";
  CHECK(json_error(template_of_numbers) == start + "\"id\" must be of type string, not number");
  CHECK(json_error(other_ids) == start + "\"special_tokens\" gives \"[CLS]\" another id than the vocabulary");
}

TEST_CASE("BERT: a tied output matrix in the file must be the embedding") {
  const TemporaryFolder folder;
  const auto [model, tokenizer] = io::load_bert_pre_training(bert_fixture);
  io::NamedTensors tensors;
  io::detail::add_tensors(tensors, "bert.", io::detail::published_parts(model.bert));
  io::detail::add_tensors(tensors, "", io::detail::published_heads(model));
  tensors.emplace("cls.predictions.decoder.weight", model.bert.wte.weight.detach().clone());
  const std::string path = changed_bert(folder, {});
  io::save_safetensors(path + "/model.safetensors", tensors);
  CHECK(io::load_bert_pre_training(path).model.bias.numel() == model.bias.numel());
  tensors["cls.predictions.decoder.weight"] = Tensor<float>::ones(model.bert.wte.weight.shape());
  io::save_safetensors(path + "/model.safetensors", tensors);
  CHECK(
      message_of<DataError>([&] {
        io::load_bert_pre_training(path);
      }).ends_with("cls.predictions.decoder.weight is not embeddings.word_embeddings.weight, which Bert takes for it"));
}

TEST_CASE("BERT: vocab.txt alone is its tokenizer too") {
  const TemporaryFolder folder;
  const auto tokens = read_fixture("bert.json")["word_piece"]["uncased"]["tokens"].get<std::vector<std::string>>();
  std::ofstream file(folder.file("vocab.txt"));
  for (const std::string& token : tokens) file << token << "\r\n";
  file.close();
  const text::Tokenizer tokenizer = io::load_tokenizer(folder.path.string());
  CHECK(tokenizer.vocab_size() == static_cast<Index>(tokens.size()));
  CHECK(tokenizer.encode("The lower [MASK]") == io::load_tokenizer(bert_fixture).encode("The lower [MASK]"));
  std::ofstream(folder.file("added_tokens.json")) << R"({"[NEW]": )" << tokens.size() << '}';
  CHECK(io::load_tokenizer(folder.path.string()).encode("[NEW]") ==
        std::vector<TokenId>{static_cast<TokenId>(tokens.size())});
  std::filesystem::remove(folder.file("added_tokens.json"));
  std::ofstream(folder.file("tokenizer_config.json")) << R"({"do_lower_case": false})";
  CHECK(io::load_tokenizer(folder.path.string()).encode("LOWER") ==
        std::vector<TokenId>{*tokenizer.token_to_id("[UNK]")});
}
