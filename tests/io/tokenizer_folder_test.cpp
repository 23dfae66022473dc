// Tokenizers from and to folders: what is saved loads, what Hugging Face writes loads, and what malformed files say.

#include "gptlite/io/tokenizer_folder.hpp"

#include <doctest/doctest.h>

#include "support/hash.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

struct Folder {
  TemporaryFolder folder;
  std::string path = folder.path.string();
  void write(const std::string& name, const std::string& text) const { folder.file(name, text); }
  json read(const std::string& name) const { return json::parse(std::ifstream(path + "/" + name)); }
  // What loading it refuses, without the path.
  std::string refusal() const {
    std::string message = message_of<DataError>([&] { io::load_tokenizer(path); });
    if (const auto at = message.find(path); at != message.npos) message.erase(at, path.size() + 1);
    return message;
  }
};

std::uint64_t hashed(const std::vector<TokenId>& ids) {
  Hash hash;
  for (const TokenId id : ids) hash.add(static_cast<std::uint32_t>(id));
  return hash.value;
}

text::Tokenizer gpt2() { return fixture_tokenizer<text::ByteBpe>("gpt2", {"<|end|>"}); }
text::Tokenizer gpt1() { return fixture_tokenizer<text::Gpt1Bpe>("gpt1", {"<unk>"}); }

// What a change to a saved tokenizer.json is refused with.
template <class Change>
std::string refusal(const text::Tokenizer& tokenizer, Change&& change) {
  const Folder folder;
  io::save_tokenizer(folder.path, tokenizer);
  json saved = folder.read("tokenizer.json");
  change(saved);
  folder.write("tokenizer.json", saved.dump());
  return folder.refusal();
}

}  // namespace

TEST_CASE("every tokenizer loads as it was saved") {
  const std::string text = "the lowest<|end|> bank, <unk>";
  for (const text::Tokenizer& tokenizer :
       {gpt2(), gpt1(), text::Tokenizer(text::CharTokenizer(text + "\n\"\\\u20AC"))}) {
    const Folder folder;
    io::save_tokenizer(folder.path + "/new", tokenizer);
    const text::Tokenizer loaded = io::load_tokenizer(folder.path + "/new");
    CHECK(loaded.variant().index() == tokenizer.variant().index());
    CHECK(loaded.vocab_size() == tokenizer.vocab_size());
    CHECK(loaded.encode(text) == tokenizer.encode(text));
    CHECK(loaded.decode(loaded.encode(text)) == tokenizer.decode(tokenizer.encode(text)));
  }
}

TEST_CASE("vocab.json and merges.txt alone are enough, with added_tokens.json") {
  const Folder folder;
  for (const text::Tokenizer& tokenizer : {gpt2(), gpt1()}) {
    io::save_tokenizer(folder.path, tokenizer);
    fs::remove(folder.path + "/tokenizer.json");
    folder.write("added_tokens.json", "{\"<new>\": " + std::to_string(tokenizer.vocab_size()) + "}");
    const text::Tokenizer loaded = io::load_tokenizer(folder.path);
    CHECK(loaded.variant().index() == tokenizer.variant().index());
    CHECK(loaded.encode("the lowest bank") == tokenizer.encode("the lowest bank"));
    CHECK(loaded.encode("<new>") == std::vector{static_cast<TokenId>(tokenizer.vocab_size())});
  }
}

TEST_CASE("merges as older files have them, tokens that are only added, and a template that adds nothing") {
  CHECK(refusal(gpt2(), [](json& j) {
          for (json& merge : j["model"]["merges"])
            merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
          j["added_tokens"].push_back({{"id", 350}, {"content", "<new>"}});
          j["post_processor"] = {{"type", "TemplateProcessing"}, {"special_tokens", json::object()}};
        }) == "no exception");
}

TEST_CASE("words that were added to a vocabulary stay words, also where task tokens are added") {
  for (const text::Tokenizer& tokenizer : {gpt2(), gpt1()}) {
    const Folder folder;
    io::save_tokenizer(folder.path, tokenizer);
    json saved = folder.read("tokenizer.json");
    json word = saved["added_tokens"].back();
    word["content"] = "lowish", word["special"] = false, word["id"] = tokenizer.vocab_size();
    saved["added_tokens"].push_back(word);
    folder.write("tokenizer.json", saved.dump());
    const text::Tokenizer loaded = io::load_tokenizer(folder.path);
    const auto id = static_cast<TokenId>(tokenizer.vocab_size());
    CHECK(loaded.encode("lowish") == std::vector{id});
    const text::Tokenizer with = text::with_task_tokens(loaded, loaded.vocab_size()).tokenizer;
    for (const text::Tokenizer& again : {loaded, with}) {
      io::save_tokenizer(folder.path + "/again", again);
      const json written = json::parse(std::ifstream(folder.path + "/again/tokenizer.json"));
      for (const json& token : written["added_tokens"]) CHECK(token["special"] == (token["content"] != "lowish"));
    }
  }
}

TEST_CASE("a tokenizer that the library does not have is refused") {
  const auto change = [](const char* pointer, const json& value) {
    return refusal(gpt2(), [&](json& j) { j[json::json_pointer(pointer)] = value; });
  };
  const std::string file = "[load_tokenizer] tokenizer.json: ";
  CHECK(change("/model/type", "Unigram") == file + "\"type\" is \"Unigram\", which is not supported");
  CHECK(change("/model/byte_fallback", true) ==
        file + "\"byte_fallback\" is true, which is not supported: the library would give other ids");
  CHECK(change("/pre_tokenizer/add_prefix_space", true) ==
        file +
            "\"add_prefix_space\" is true, which is not supported: put the space in front of the text, and set it to "
            "false");
  CHECK(change("/pre_tokenizer/use_regex", false) ==
        file + "\"use_regex\" is false, which is not supported: the library would give other ids");
  CHECK(
      change("/pre_tokenizer/type", "Metaspace") ==
      file +
          "pre_tokenizer Metaspace is not supported, only ByteLevel, BertPreTokenizer, or none for single characters");
  CHECK(change("/normalizer", {{"type", "NFC"}}) == file + "normalizer NFC is not supported with this pre_tokenizer");
  CHECK(change("/post_processor/type", "BertProcessing") == file + "post_processor BertProcessing is not supported");
  CHECK(change("/post_processor", {{"type", "TemplateProcessing"}, {"special_tokens", {{"<s>", 1}}}}) ==
        file + "\"special_tokens\" is {\"<s>\":1}, which is not supported");
  CHECK(change("/added_tokens/0/lstrip", true) ==
        file + "\"lstrip\" is true, which is not supported: the library would give other ids");
  CHECK(refusal(gpt1(), [](json& j) { j["normalizer"]["lowercase"] = false; }) ==
        file + "\"lowercase\" is false, which is not supported: the library would give other ids");
  CHECK(refusal(gpt1(), [](json& j) { j["added_tokens"][0]["normalized"] = true; }) ==
        file + "\"normalized\" is true, which is not supported");
  CHECK(refusal(text::CharTokenizer("ab"), [](json& j) {
          j["model"]["vocab"] = {{"b", 0}, {"a", 1}};
        }) == file + "tokens without merges must be single characters in ascending order");
}

TEST_CASE("what stands beside tokenizer.json acts as in transformers, or is refused") {
  const auto beside = [](const char* name, const json& value) {
    const Folder folder;
    io::save_tokenizer(folder.path, gpt2());
    folder.write(name, value.dump());
    return folder.refusal();
  };
  const std::string config = "[load_tokenizer] tokenizer_config.json: ";
  CHECK(beside("tokenizer_config.json", {{"tokenizer_class", "GPT2TokenizerFast"}, {"add_prefix_space", true}}) ==
        config +
            "\"add_prefix_space\" is true, which is not supported: put the space in front of the text, and set it to "
            "false");
  const std::string unknown =
      " names \"[PAD]\", which is no token of the vocabulary: open the tokenizer in transformers and save it, which "
      "adds "
      "the token";
  CHECK(beside("tokenizer_config.json", {{"pad_token", "[PAD]"}}) == config + "\"pad_token\"" + unknown);
  CHECK(beside("special_tokens_map.json", {{"pad_token", {{"content", "[PAD]"}, {"lstrip", false}}}}) ==
        "[load_tokenizer] special_tokens_map.json: \"pad_token\"" + unknown);
  CHECK(beside("tokenizer_config.json", {{"additional_special_tokens", {"<|end|>", "[PAD]"}}}) ==
        config + "\"additional_special_tokens\"" + unknown);
  CHECK(beside("tokenizer_config.json", {{"added_tokens_decoder", {{"3", {{"content", "[PAD]"}}}}}}) ==
        config + "\"added_tokens_decoder\"" + unknown);
  CHECK(beside("tokenizer_config.json", {{"add_spaces", true}}) ==
        config +
            "\"add_spaces\" is not known, so that the model might compute something else: remove it if it changes "
            "nothing");
  const Folder folder;
  io::save_tokenizer(folder.path, gpt2());
  folder.write("tokenizer_config.json", json{{"tokenizer_class", "PreTrainedTokenizerFast"},
                                             {"add_prefix_space", true},
                                             {"eos_token", "<|end|>"},
                                             {"pad_token", nullptr},
                                             {"add_bos_token", true}}
                                            .dump());
  CHECK(io::load_tokenizer(folder.path).encode("the low") == gpt2().encode("the low"));
  std::filesystem::remove(folder.path + "/tokenizer.json");  // then transformers adds the token
  CHECK(folder.refusal() ==
        config +
            "\"add_bos_token\" is true, which is not supported: write the token into the text, and set it to false");
}

TEST_CASE("malformed tokenizer.json files are refused with the path") {
  const std::string file = "[load_tokenizer] tokenizer.json: ";
  const Folder folder;
  folder.write("tokenizer.json", "{\"model\": ");
  CHECK(folder.refusal() == "[json] tokenizer.json: invalid at byte 10");
  folder.write("tokenizer.json", "[]");
  CHECK(folder.refusal() == file + "\"model\" is missing");
  folder.write("tokenizer.json", "{\"model\": 1}");
  CHECK(folder.refusal() == file + "\"model\" must be of type object, not number");
  CHECK(refusal(gpt2(), [](json& j) { j["model"].erase("merges"); }) == file + "\"merges\" is missing");
  CHECK(refusal(gpt2(), [](json& j) { j["model"]["vocab"].erase("a"); }).starts_with(file + "ids have a gap: \""));
  CHECK(refusal(gpt2(), [](json& j) { j["model"]["vocab"]["a"] = 66; }) ==
        file + "\"a\" and \"b\" both have the id 66");
  CHECK(refusal(gpt2(), [](json& j) { j["model"]["vocab"]["a"] = -1; }) ==
        file + "the id of \"a\" is not a whole number");
  CHECK(refusal(gpt2(), [](json& j) { j["added_tokens"][0]["id"] = 7; }) == file + "\"<|end|>\" has two ids, 0 and 7");
  CHECK(refusal(gpt2(), [](json& j) { j["model"]["merges"][1] = "a b c"; }) ==
        file + "merge 1, \"a b c\", is not two tokens");
  CHECK(refusal(gpt2(), [](json& j) { j["model"]["merges"][0] = {"a"}; }) == file + "merge 0, \"\", is not two tokens");
  CHECK(refusal(gpt2(), [](json& j) {
          j["model"]["merges"][0] = {"a", "zzz"};
        }) == file + "[BpeVocabulary] merge 0, \"a zzz\": \"zzz\" is not in the vocabulary");
}

TEST_CASE("malformed vocab.json and merges.txt files are refused with the path") {
  const Folder folder;
  CHECK(folder.refusal() ==
        "[load_tokenizer]  holds no tokenizer: neither tokenizer.json nor vocab.json and merges.txt nor vocab.txt");
  folder.write("vocab.json", "[\"a\"]");
  CHECK(folder.refusal() == "[load_tokenizer] vocab.json: an object of ids by token is expected");
  folder.write("vocab.json", R"({"<unk>": 0, "a": 1, "b</w>": 2, "ab</w>": 3})");
  CHECK(folder.refusal() == "[read_file] merges.txt: cannot read: No such file or directory");
  folder.write("merges.txt", "#version: 0.2\r\na b</w>\r\n\r\n");
  CHECK(folder.refusal() == "no exception");
  folder.write("merges.txt", "a b</w>\na\n");
  CHECK(folder.refusal() == "[load_tokenizer] merges.txt: merge 1, \"a\", is not two tokens");
  folder.write("merges.txt", "a b</w> c\n");
  CHECK(folder.refusal() == "[load_tokenizer] merges.txt: merge 0, \"a b</w> c\", is not two tokens");
  folder.write("merges.txt", "b a\n");
  CHECK(folder.refusal() ==
        "[load_tokenizer] vocab.json: [BpeVocabulary] merge 0, \"b a\": \"b\" is not in the vocabulary");
  folder.write("added_tokens.json", "[]");
  CHECK(folder.refusal() == "[load_tokenizer] added_tokens.json: an object of ids by token is expected");
}

TEST_CASE("a folder that cannot be written is reported") {
  CHECK(message_of<IoError>([] { io::save_tokenizer("/dev/null/model", gpt2()); }) ==
        "[make_folder] /dev/null: not a folder");
}

TEST_CASE("the vocabularies of GPT-2 and GPT-1 have the ids they are known for") {
  const char* data = std::getenv("GPTLITE_DATA");
  if (data == nullptr) {
    MESSAGE("skipped: GPTLITE_DATA does not name a folder with vocab/gpt2_encoder.json and so on");
    return;
  }
  const auto load = [&](const std::string& vocabulary, const std::string& merges) {
    const Folder folder;
    folder.write("vocab.json", io::read_text(data + ("/vocab/" + vocabulary)));
    folder.write("merges.txt", io::read_text(data + ("/vocab/" + merges)));
    return io::load_tokenizer(folder.path);
  };
  using Tokens = std::vector<TokenId>;
  const text::Tokenizer two = load("gpt2_encoder.json", "gpt2_vocab.bpe");
  CHECK(two.vocab_size() == 50257);
  CHECK(two.encode("Hello world<|endoftext|>") == Tokens{15496, 995, 50256});
  const text::Tokenizer one = load("gpt1_encoder_bpe_40000.json", "gpt1_vocab_40000.bpe");
  CHECK(one.vocab_size() == 40478);
  // Hashes of the ids that the Python package gives.
  struct Expected {
    std::string name;
    std::uint64_t two, one;
  };
  const Expected texts[] = {{"tinyshakespeare.txt", 0xB547AD363C19676E, 0xA867415DD2FA15F5},
                            {"wikitext2_valid_test.txt", 0xCB3FAD692C129460, 0xE7FA7A791C7CD591},
                            {"state_union.txt", 0xAA6496F2E7940F24, 0x9F0AEFC6087FFE48},
                            {"movie_reviews.txt", 0x6C0D890320F456E6, 0x95B26465D9E34EFA}};
  for (const Expected& expected : texts) {
    CAPTURE(expected.name);
    const std::string text = io::read_text(data + std::string("/text/") + expected.name);
    const Tokens two_ids = two.encode(text);
    CHECK(two.decode(two_ids) == text);
    CHECK(hashed(two_ids) == expected.two);
    CHECK(hashed(one.encode(text)) == expected.one);
  }
}
