// The JSON files that describe a BERT and a sentence encoder, and its vocab.txt. Beside each is what it describes, so
// that it may be accepted and the model be made.

#include <cmath>
#include <string>

#include "fuzz/fuzz.hpp"
#include "gptlite/io/sentence_encoder_folder.hpp"

namespace fuzz {

using namespace gptlite;

namespace {

// The folder bert, with a small model and its tokenizer; the folder words, which lacks vocab.txt.
struct BertFolder : MemoryFiles {
  BertFolder() {
    const io::FileCallsScope scope(*this);
    const text::Tokenizer tokenizer = text::WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "low", "##er"});
    const BertPreTraining<float> model{
        Bert<float>({.vocab_size = 8, .block_size = 6, .n_layer = 1, .n_head = 2, .n_embd = 4, .n_inner = 6})};
    io::NamedTensors tensors;
    io::detail::add_tensors(tensors, "bert.", io::detail::published_parts(model.bert));
    io::detail::add_tensors(tensors, "", io::detail::published_heads(model));
    io::save_safetensors("bert/model.safetensors", tensors);
    files["bert/tokenizer.json"] = io::detail::tokenizer_files(tokenizer).tokenizer.dump();
    files["bert/config.json"] = config = io::detail::bert_config_json(model.bert.config, "BertForPreTraining").dump();
  }
  std::string config;
};

void check_model(MemoryFiles& memory) {
  accepted([&] {
    const auto [model, tokenizer] = io::load_bert_pre_training<float>("bert");
    always(model.bert.config.n_layer == 1 && model.bert.wte.weight.shape() == Shape{8, 4});
    const BertConfig& config = model.bert.config;
    memory.files["written/config.json"] = io::detail::bert_config_json(config, "BertModel").dump();
    const BertConfig again = io::detail::read_bert_config(
        io::detail::ModelConfigFile("written/config.json", "load_bert"), "written/config.json");
    always(again.n_head == config.n_head && again.activation == config.activation && again.inner() == config.inner());
    always(again.layer_norm_epsilon == config.layer_norm_epsilon && again.separator == config.separator);
    always(again.type_vocab_size == config.type_vocab_size && again.dropout == config.dropout);
  });
}

void check_encoder() {
  accepted([] {
    const SentenceEncoder<float> encoder = io::load_sentence_encoder<float>("bert");
    always(encoder.options().max_length >= 2 && encoder.options().max_length <= 6);
    always(encoder.encode({"low lower", "x"}).shape() == Shape{2, 4});
  });
}

}  // namespace

void bert(std::string_view bytes) {
  static BertFolder memory;
  const io::FileCallsScope scope(memory);
  // Each file is read as what it names; one that names nothing, as everything.
  const auto names = [&](std::string_view key) { return bytes.find(key) != bytes.npos; };
  const bool model = names("model_type"), encoder = names("pooling") || names("\"path\"") || names("max_seq_length") ||
                                                    names("prompt") || names("model_max_length");
  if (model || !encoder) {
    memory.files["bert/config.json"] = std::string(bytes);
    check_model(memory);
    memory.files["bert/config.json"] = memory.config;
  }
  if (encoder || !model) {
    const std::string pooling = R"([{"path": "", "type": "x.Transformer"}, {"path": "1", "type": "x.Pooling"}])";
    for (const char* name : {"modules.json", "1/config.json", "sentence_bert_config.json",
                             "config_sentence_transformers.json", "tokenizer_config.json"}) {
      if (name != std::string_view("modules.json")) memory.files["bert/modules.json"] = pooling;
      memory.files["bert/1/config.json"] = R"({"pooling_mode": "mean"})";
      memory.files[std::string("bert/") + name] = std::string(bytes);
      check_encoder();
      memory.files.erase(std::string("bert/") + name);
    }
    memory.files.erase("bert/modules.json");
  }
  memory.files["words/vocab.txt"] = std::string(bytes);
  accepted([] {
    const text::Tokenizer tokenizer = io::load_tokenizer("words");
    always(tokenizer.token_to_id("[UNK]").has_value());
    for (const TokenId id : tokenizer.encode("low Lower \xC3\x89, [SEP]"))
      always(id >= 0 && id < tokenizer.vocab_size());
  });
}

}  // namespace fuzz
