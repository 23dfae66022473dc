// Every key that transformers, tokenizers and peft write is in one of the lists, and in one alone.

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "gptlite/core/text_file.hpp"
#include "gptlite/io/known_bert_keys.hpp"
#include "gptlite/io/known_tokenizer_keys.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

std::multiset<std::string> key_names(const io::detail::KnownKeys& keys) {
  std::multiset<std::string> all;
  for (const auto& list : {keys.used, keys.without_effect})
    for (const io::detail::KnownKey& key : list) all.emplace(key.name);
  for (const io::detail::RefusedKey& key : keys.refused) all.emplace(key.name);
  return all;
}

}  // namespace

TEST_CASE("each key that the Python packages write is known, once") {
  using namespace io::detail;
  const std::map<std::string, KnownKeys> known{
      {"config.json", {config_used, config_without_effect, config_refused}},
      {"generation_config.json", generation_keys},
      {"adapter_config.json", adapter_keys},
      {"model.safetensors.index.json", index_keys},
      {"tokenizer.json", tokenizer_keys},
      {"tokenizer.json: model", tokenizer_model_keys},
      {"tokenizer.json: added_tokens", added_token_keys},
      {"tokenizer.json: BertNormalizer", bert_normalizer_keys},
      {"tokenizer.json: ByteLevel", byte_level_keys},
      {"tokenizer.json: TemplateProcessing", template_keys},
      {"tokenizer.json: WordPiece", word_piece_model_keys},
      {"tokenizer.json: BertNormalizer of WordPiece", word_piece_normalizer_keys},
      {"sentence_bert_config.json", sentence_keys},
      {"config_sentence_transformers.json", encoder_keys},
      {"1_Pooling/config.json", pooling_keys},
      {"tokenizer_config.json", tokenizer_config_keys}};
  const nlohmann::json written = io::read_json(std::string(GPTLITE_FIXTURES) + "/known_keys.json");
  CHECK(written.size() == known.size() + 1);  // and config.json of bert
  for (const auto& item : known) {            // no binding: clang's lambdas do not capture them in C++20
    const std::string& file = item.first;
    const KnownKeys& keys = item.second;
    CAPTURE(file);
    const std::multiset<std::string> listed = key_names(keys);
    for (const std::string& name : listed) CHECK_MESSAGE(listed.count(name) == 1, name, " is listed twice");
    for (const nlohmann::json& key : written.at(file))
      CHECK_MESSAGE(listed.contains(key.get<std::string>()), key, " is in no list");
    for (const RefusedKey& key : keys.refused) CHECK(nlohmann::json::parse(key.harmless).is_array());
  }
}

TEST_CASE("each key that transformers writes for a BERT is known, and none of its own twice") {
  using namespace io::detail;
  const std::multiset<std::string> listed = key_names(bert_keys);
  for (const std::string& name : listed) CHECK_MESSAGE(listed.count(name) == 1, name, " is listed twice");
  const nlohmann::json written = io::read_json(std::string(GPTLITE_FIXTURES) + "/known_keys.json");
  nlohmann::json config;
  for (const nlohmann::json& key : written.at("config.json of bert")) config[key.get<std::string>()] = nullptr;
  config["position_embedding_type"] = "absolute";
  for (const RefusedKey& key : bert_refused) config[std::string(key.name)] = nlohmann::json::parse(key.harmless).at(0);
  CHECK_NOTHROW(check_bert_keys(config, "test", "config.json"));
}

TEST_CASE("docs/compatibility.md has every key: scripts/make_compatibility writes it") {
  using namespace io::detail;
  const std::string page = io::read_text(std::string(GPTLITE_SOURCE_DIR) + "/docs/compatibility.md");
  for (const KnownKeys& keys :
       {KnownKeys{config_used, config_without_effect, config_refused}, generation_keys, adapter_keys, index_keys,
        tokenizer_keys, tokenizer_model_keys, added_token_keys, bert_normalizer_keys, byte_level_keys, template_keys,
        tokenizer_config_keys, word_piece_model_keys, word_piece_normalizer_keys, sentence_keys, pooling_keys,
        encoder_keys, bert_keys}) {
    for (const std::string& name : key_names(keys)) CHECK_MESSAGE(page.find('`' + name + '`') != page.npos, name);
    for (const auto& list : {keys.used, keys.without_effect})
      for (const KnownKey& key : list) CHECK_MESSAGE(page.find(key.note) != page.npos, key.note);
    for (const RefusedKey& key : keys.refused) CHECK_MESSAGE(page.find(key.advice) != page.npos, key.advice);
  }
}

TEST_CASE("settings of generation in an older config.json pass, and in no other place") {
  const nlohmann::json old = {{"model_type", "gpt2"}, {"do_sample", true}, {"max_length", 50}};
  CHECK_NOTHROW(io::detail::check_config_keys(old, "there", "path"));
  CHECK(message_of<DataError>([&] { io::detail::check_keys(old, io::detail::adapter_keys, "there", "path"); }) ==
        "[there] path: \"do_sample\" is not known, so that the model might compute something else: remove it if it "
        "changes nothing");
}
