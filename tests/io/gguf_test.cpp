// save_gguf: the header and the numbers of a file, read again by hand. That llama.cpp runs such files is what
// tests/io/compare_huggingface.py shows.

#include "gptlite/io/gguf.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "gptlite/text/bpe_trainer.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

// Reads what GgufHeader writes.
class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}
  template <class Number>
  Number number() {
    Number value;
    REQUIRE(at_ + sizeof value <= bytes_.size());
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string text() {
    const auto size = static_cast<std::size_t>(number<std::uint64_t>());
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  void align() { at_ = (at_ + 31) / 32 * 32; }
  std::size_t at() const { return at_; }
  std::size_t size() const { return bytes_.size(); }
  template <class Number>
  Number number_at(std::size_t at) const {
    Number value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

struct Info {
  std::vector<std::uint64_t> sizes;
  std::uint32_t type;
  std::uint64_t offset;
};

GPT<float> small_model() {
  return GPT<float>(
      {.vocab_size = 19, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 64, .norm_order = NormOrder::pre});
}

}  // namespace

TEST_CASE("a file holds the settings and every tensor, matrices by output") {
  const TemporaryFolder folder;
  const GPT<float> model = small_model();
  for (const io::GgufType format : {io::GgufType::F32, io::GgufType::F16, io::GgufType::BF16, io::GgufType::Q8_0}) {
    io::save_gguf(folder.file("m.gguf"), model, format);
    Reader in(bytes_of(folder.file("m.gguf")));
    CHECK(in.number<std::uint32_t>() == 0x46554747u);  // "GGUF"
    CHECK(in.number<std::uint32_t>() == 3u);
    const auto tensor_count = in.number<std::uint64_t>(), setting_count = in.number<std::uint64_t>();
    CHECK(tensor_count == 16u);
    std::map<std::string, std::string> settings;
    for (std::uint64_t i = 0; i < setting_count; ++i) {
      const std::string key = in.text();
      const auto type = in.number<std::uint32_t>();
      settings[key] = type == 8   ? in.text()
                      : type == 6 ? std::to_string(in.number<float>())
                                  : std::to_string(in.number<std::uint32_t>());
    }
    CHECK(settings.at("general.architecture") == "gpt2");
    CHECK(settings.at("gpt2.embedding_length") == "64");
    CHECK(settings.at("gpt2.context_length") == "8");
    CHECK(settings.at("tokenizer.ggml.model") == "none");
    std::map<std::string, Info> infos;
    for (std::uint64_t i = 0; i < tensor_count; ++i) {
      const std::string name = in.text();
      Info& info = infos[name];
      info.sizes.resize(in.number<std::uint32_t>());
      for (std::uint64_t& n : info.sizes) n = in.number<std::uint64_t>();
      info.type = in.number<std::uint32_t>();
      info.offset = in.number<std::uint64_t>();
      CHECK(info.offset % 32 == 0);
    }
    in.align();
    const Info& up = infos.at("blk.0.ffn_up.weight");
    CHECK(up.sizes == std::vector<std::uint64_t>{64, 256});
    // Weight (in 3, out 7) is number 3 of row 7.
    const float expected = model.h[0].mlp.c_fc.weight.at({3, 7});
    const std::size_t data = in.at() + up.offset;
    if (format == io::GgufType::F32) {
      CHECK(up.type == 0u);
      CHECK(in.number_at<float>(data + (7 * 64 + 3) * 4) == expected);
    } else if (format == io::GgufType::F16) {
      CHECK(up.type == 1u);
      CHECK(in.number_at<std::uint16_t>(data + (7 * 64 + 3) * 2) == io::Float16(expected).bits);
    } else if (format == io::GgufType::BF16) {
      CHECK(up.type == 30u);
      CHECK(in.number_at<std::uint16_t>(data + (7 * 64 + 3) * 2) == bfloat16_bits(expected));
    } else {
      CHECK(up.type == 8u);
      io::Float16 scale;
      scale.bits = in.number_at<std::uint16_t>(data + 7 * 2 * 34);
      const float got =
          static_cast<float>(scale) * static_cast<float>(in.number_at<std::int8_t>(data + 7 * 2 * 34 + 2 + 3));
      CHECK(std::abs(got - expected) <= static_cast<float>(scale) * 0.52f);
      CHECK(static_cast<float>(scale) > 0);
    }
    CHECK(infos.at("position_embd.weight").type == 0u);
    const Info& last = infos.at("output_norm.bias");
    CHECK(in.number_at<float>(in.at() + infos.at("output_norm.weight").offset) == 1.0f);
    CHECK(in.size() == in.at() + last.offset + 64 * 4);
  }
}

TEST_CASE("a byte-level tokenizer goes into the file") {
  const TemporaryFolder folder;
  const text::ByteBpe bpe =
      text::train_byte_bpe("aaab aaab aaab", {.vocab_size = 259, .special_tokens = {"<|endoftext|>"}});
  const text::Tokenizer tokenizer = bpe;
  GPT<float> model({.vocab_size = bpe.vocab_size(),
                    .block_size = 8,
                    .n_layer = 1,
                    .n_head = 2,
                    .n_embd = 32,
                    .norm_order = NormOrder::pre});
  io::save_gguf(folder.file("m.gguf"), model, io::GgufType::F32, &tokenizer);
  const std::string bytes = bytes_of(folder.file("m.gguf"));
  for (const char* text :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.merges", "<|endoftext|>", "a a", "tokenizer.ggml.eos_token_id"})
    CHECK(bytes.find(text) != bytes.npos);
  CHECK(bytes.find("[PAD") == bytes.npos);
}

TEST_CASE("rows behind the tokenizer's tokens have names that llama.cpp does not use") {
  const TemporaryFolder folder;
  const text::Tokenizer tokenizer = text::train_byte_bpe("ab", {.vocab_size = 256});
  GPT<float> model(
      {.vocab_size = 258, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 32, .norm_order = NormOrder::pre});
  io::save_gguf(folder.file("m.gguf"), model, io::GgufType::F32, &tokenizer);
  const std::string bytes = bytes_of(folder.file("m.gguf"));
  for (const char* token : {"[PAD256]", "[PAD257]"}) CHECK(bytes.find(token) != bytes.npos);
  const std::size_t types = bytes.find("tokenizer.ggml.token_type") + 25 + 4 + 4;
  const auto number = [&](std::size_t at) {
    std::int32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  CHECK(number(types) == 258);
  CHECK(number(types + 8 + 255 * 4) == 1);
  CHECK(number(types + 8 + 256 * 4) == 5);
  CHECK(number(types + 8 + 257 * 4) == 5);
}

TEST_CASE("the model's special tokens go into the file, and words that were added are no control tokens") {
  const TemporaryFolder folder;
  const text::ByteBpe plain = text::train_byte_bpe("ab", {.vocab_size = 257, .special_tokens = {"<|endoftext|>"}});
  std::vector<std::string> tokens = plain.vocabulary().tokens();
  tokens.emplace_back("word");
  const text::Tokenizer tokenizer = text::ByteBpe(tokens, {}, {"<|endoftext|>", "word"}, {"word"});
  GPT<float> model(
      {.vocab_size = 258, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 32, .norm_order = NormOrder::pre});
  const auto written = [&] {
    io::save_gguf(folder.file("m.gguf"), model, io::GgufType::F32, &tokenizer);
    return bytes_of(folder.file("m.gguf"));
  };
  const auto number = [](const std::string& bytes, const std::string& key, std::size_t skip) {
    std::int32_t value = -1;
    if (const std::size_t at = bytes.find(key); at != bytes.npos)
      std::memcpy(&value, bytes.data() + at + key.size() + skip, sizeof value);
    return value;
  };
  std::string bytes = written();
  const TokenId end = *tokenizer.end_of_text();
  CHECK(number(bytes, "tokenizer.ggml.eos_token_id", 4) == end);
  CHECK(number(bytes, "tokenizer.ggml.token_type", 16 + 4 * static_cast<std::size_t>(end)) == 3);
  CHECK(number(bytes, "tokenizer.ggml.token_type", 16 + 4 * 257) == 4);
  model.config.special_tokens = SpecialTokens{.bos = 5, .eos = {7, 8}, .pad = 9};
  bytes = written();
  CHECK(number(bytes, "tokenizer.ggml.bos_token_id", 4) == 5);
  CHECK(number(bytes, "tokenizer.ggml.eos_token_id", 4) == 7);
  CHECK(number(bytes, "tokenizer.ggml.padding_token_id", 4) == 9);
  model.config.special_tokens = SpecialTokens{.bos = 258};  // no row
  bytes = written();
  for (const char* key : {"bos_token_id", "eos_token_id", "padding_token_id"}) CHECK(bytes.find(key) == bytes.npos);
}

TEST_CASE("a weight that F16 has no number for is refused, and the old file stays") {
  const TemporaryFolder folder;
  GPT<float> model = small_model();
  model.wte.weight.data()[3] = 70000;
  const std::string path = folder.file("m.gguf", "old");
  CHECK(message_of<DataError>([&] { io::save_gguf(path, model, io::GgufType::F16); }) ==
        "[save_gguf] token_embd.weight has the weight 70000, too large for F16: choose another format; nothing was "
        "written");
  CHECK(bytes_of(path) == "old");
}

TEST_CASE("models that llama.cpp cannot run are refused and nothing is written") {
  const TemporaryFolder folder;
  const auto refusal = [&](GPTConfig config, io::GgufType format, const text::Tokenizer* tokenizer = nullptr) {
    const GPT<float> model(config);
    const std::string message =
        message_of<ConfigError>([&] { io::save_gguf(folder.file("m.gguf"), model, format, tokenizer); });
    CHECK_FALSE(std::filesystem::exists(folder.file("m.gguf")));
    return message;
  };
  GPTConfig config{.vocab_size = 19, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 12};
  CHECK(refusal(config, io::GgufType::F32) == "[save_gguf] llama.cpp has no models of GPT-1's norm order");
  config.norm_order = NormOrder::pre;
  CHECK(refusal(config, io::GgufType::Q8_0) == "[save_gguf] Q8_0 needs channels in multiples of 32, the model has 12");
  const text::Tokenizer characters = text::CharTokenizer("abc");
  CHECK(refusal(config, io::GgufType::F32, &characters) == "[save_gguf] llama.cpp's gpt2 has byte-level BPE only");
  const text::Tokenizer bpe = text::train_byte_bpe("ab", {.vocab_size = 256});
  CHECK(refusal(config, io::GgufType::F32, &bpe) == "[save_gguf] the tokenizer has 256 tokens, the model 19");
  config.window = 4;
  CHECK(refusal(config, io::GgufType::F32) == "[save_gguf] llama.cpp's gpt2 has no context window, the model's is 4");
}
