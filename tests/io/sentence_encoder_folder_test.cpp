// Folders of sentence-transformers: their modules say how states are pooled; other modules are refused by name.

#include "gptlite/io/sentence_encoder_folder.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

/// A folder of sentence-transformers around the BERT of the fixtures.
struct EncoderFolder {
  TemporaryFolder folder;

  EncoderFolder() {
    std::filesystem::copy(GPTLITE_FIXTURES "/bert", folder.path, std::filesystem::copy_options::recursive);
    write("modules.json", R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
      {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
      {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])");
    write("1_Pooling/config.json", R"({"word_embedding_dimension": 12, "pooling_mode_max_tokens": true})");
    write("sentence_bert_config.json", R"({"max_seq_length": 7, "do_lower_case": false})");
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder.path / name).parent_path());
    std::ofstream(folder.path / name) << text;
  }
  SentenceEncoder<float> load() const { return io::load_sentence_encoder(folder.path.string()); }
  std::string error() const {
    const std::string message = message_of<DataError>([&] { load(); });
    const std::string start = "[load_sentence_encoder] " + folder.path.string() + '/';
    return message.starts_with(start) ? message.substr(start.size()) : message;
  }
};

}  // namespace

TEST_CASE("sentence encoders: pooling, normalization and the longest text are those of the folder") {
  const EncoderFolder folder;
  const SentenceEncoder<float> encoder = folder.load();
  CHECK(encoder.options().pooling == Pooling::max);
  CHECK(encoder.options().normalize);
  CHECK(encoder.options().max_length == 7);
  CHECK(encoder.dimension() == 12);
  // As sentence-transformers 6 saves it.
  folder.write("sentence_bert_config.json", R"({"transformer_task": "feature-extraction", "modality_config": {"text":
    {"method": "forward", "method_output_name": "last_hidden_state"}}, "module_output_name": "token_embeddings"})");
  folder.write("tokenizer_config.json", R"({"model_max_length": 9})");
  CHECK(folder.load().options().max_length == 9);
  folder.write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
  CHECK(folder.load().options().max_length == 16);
  folder.write("1_Pooling/config.json",
               R"({"embedding_dimension": 12, "pooling_mode": "cls", "include_prompt": true})");
  CHECK(folder.load().options().pooling == Pooling::cls);
}

TEST_CASE("sentence encoders: a BERT alone is pooled by the mean and not normalized") {
  const SentenceEncoder<float> encoder = io::load_sentence_encoder(GPTLITE_FIXTURES "/bert");
  CHECK(encoder.options().pooling == Pooling::mean);
  CHECK_FALSE(encoder.options().normalize);
  CHECK(encoder.options().max_length == 16);
}

TEST_CASE("sentence encoders: what would give other vectors is refused by name") {
  EncoderFolder folder;
  folder.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true})");
  CHECK(folder.error() == "1_Pooling/config.json: exactly one of mean, cls and max pooling must be chosen");
  folder.write("1_Pooling/config.json", R"({"pooling_mode_lasttoken": true})");
  CHECK(folder.error() ==
        "1_Pooling/config.json: \"pooling_mode_lasttoken\" is true, which is not supported: only mean, "
        "cls and max pooling are");
  folder.write("1_Pooling/config.json", R"({"pooling_mode": "lasttoken"})");
  CHECK(folder.error() ==
        "1_Pooling/config.json: \"pooling_mode\" is \"lasttoken\", which is not supported, only mean, "
        "cls, max");
  folder.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 7, "do_lower_case": true})");
  CHECK(folder.error() ==
        "sentence_bert_config.json: \"do_lower_case\" is true, which is not supported: write the texts "
        "in lower case, and set it to false");
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 7})");
  folder.write("config_sentence_transformers.json", R"({"default_prompt_name": "query"})");
  CHECK(folder.error() ==
        "config_sentence_transformers.json: \"default_prompt_name\" is \"query\", which is not "
        "supported: write the prompt into the text, and set it to null");
  folder.write("config_sentence_transformers.json",
               R"({"__version__": {}, "prompts": {}, "default_prompt_name": null})");
  folder.write("modules.json", R"([{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}])");
  CHECK(folder.error() ==
        "modules.json: the module \"sentence_transformers.models.Dense\" at \"2_Dense\" is not "
        "supported, only Transformer, Pooling and Normalize");
  folder.write("modules.json", R"([{"path": "../x", "type": "sentence_transformers.models.Pooling"}])");
  CHECK(folder.error() == "modules.json: \"path\" must be a folder inside, not \"../x\"");
  folder.write("modules.json", R"([{"type": "sentence_transformers.models.Pooling"}])");
  CHECK(folder.error() == "modules.json: a module has no \"path\"");
  for (const char* order : {"[]", R"([{"path": "", "type": "x.Transformer"}])",
                            R"([{"path": "1_Pooling", "type": "x.Pooling"}, {"path": "", "type": "x.Transformer"}])"}) {
    folder.write("modules.json", order);
    CHECK(folder.error() ==
          "modules.json: the modules must be Transformer, Pooling and, if vectors are normalized, "
          "Normalize, in this order");
  }
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 1})");
  CHECK(folder.error() == "sentence_bert_config.json: \"max_seq_length\" must be 2 or more, not 1");
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 7})");
  folder.write("modules.json", "{}");
  CHECK(folder.error() == "modules.json: a list of modules is expected");
}
