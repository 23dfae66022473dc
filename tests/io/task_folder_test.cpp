// save_task_model and load_task_model: the same bits back, and folders that are none are refused.

#include "gptlite/io/task_folder.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "support/temporary_folder.hpp"
#include "support/throws.hpp"
#include "support/tokenizers.hpp"

using namespace gptlite;

namespace {

struct Saved : TemporaryFolder {
  std::string folder = path.string() + "/model";

  io::TaskFolder<float> make(Task task, Index vocab_size, std::vector<std::string> labels) const {
    const auto bpe = fixture_tokenizer<text::ByteBpe>("gpt2", {"<|end|>"});
    GPT<float> gpt({.vocab_size = std::max<Index>(vocab_size, bpe.vocab_size()),
                    .block_size = 16,
                    .n_layer = 1,
                    .n_head = 2,
                    .n_embd = 8,
                    .seed = 2});
    text::TaskTokenizer tokenizer = text::with_task_tokens(bpe, gpt.config.vocab_size);
    gpt.add_tokens(3, 1);
    TaskModel<GPT<float>> model(gpt, {.task = task, .n_class = task == Task::similarity ? 6 : 3, .seed = 4});
    model.eval();
    return {std::move(model), std::move(tokenizer), std::move(labels)};
  }
  void set(const char* key, const nlohmann::json& value) const {
    nlohmann::json json = io::read_json(folder + "/config.json");
    json[key] = value;
    std::ofstream(folder + "/config.json") << json;
  }
  std::string refusal() const {
    std::string message = message_of<Error>([&] { io::load_task_model(folder); });
    const std::size_t at = message.find(folder);
    return at == message.npos ? message : message.substr(0, at) + 'F' + message.substr(at + folder.size());
  }
};

TaskBatch<float> batch_of(const text::TaskTokens& tokens) {
  const text::TaskLayout layout{tokens, 16};
  const text::Tokens sequence = layout.entailment({5, 6, 7}, {8, 9});
  TaskBatch<float> batch;
  batch.tokens = Tensor<TokenId>::from(sequence, {1, static_cast<Index>(sequence.size())});
  batch.lengths = Tensor<std::int32_t>::from({static_cast<std::int32_t>(sequence.size())});
  return batch;
}

}  // namespace

TEST_CASE("a fine-tuned model comes back with the same bits, tokens and labels") {
  const Saved saved;
  for (const Index vocab_size : {0, 1000}) {  // as many rows as tokens, and more
    for (const Task task : {Task::entailment, Task::similarity, Task::multiple_choice}) {
      std::vector<std::string> labels;
      if (task == Task::entailment) labels = {"no", "perhaps", "yes"};
      CAPTURE(name_of(task));
      const io::TaskFolder<float> from = saved.make(task, vocab_size, labels);
      io::save_task_model(saved.folder, from);
      const io::TaskFolder<float> back = io::load_task_model(saved.folder);
      CHECK(back.model.task == task);
      CHECK(back.labels == labels);
      CHECK_FALSE(back.model.mode->training);
      const text::TaskTokens &a = from.tokenizer.tokens, &b = back.tokenizer.tokens;
      CHECK(a.start == b.start);
      CHECK(a.delimiter == b.delimiter);
      CHECK(a.extract == b.extract);
      CHECK(a.extract == back.model.backbone.config.vocab_size - 1);
      const Tensor<float> x = from.model.logits(batch_of(a)), y = back.model.logits(batch_of(b));
      CHECK(x.shape() == y.shape());
      CHECK(std::equal(x.data(), x.data() + x.numel(), y.data()));
      const std::string text = "Hello, <|end|> world";
      CHECK(from.tokenizer.tokenizer.encode(text) == back.tokenizer.tokenizer.encode(text));
      CHECK(io::load_gpt(saved.folder).config.vocab_size == from.model.backbone.config.vocab_size);
    }
  }
}

TEST_CASE("the tokenizer of a folder puts the task's tokens around texts in transformers, and has a padding token") {
  const Saved saved;
  const io::TaskFolder<float> from = saved.make(Task::entailment, 0, {"a", "b", "c"});
  io::save_task_model(saved.folder, from);
  const nlohmann::json post_processor = io::read_json(saved.folder + "/tokenizer.json")["post_processor"];
  const auto layout = [&](const char* key) {  // the special tokens by their ids, the texts by their names
    std::string parts;
    for (const nlohmann::json& part : post_processor[key])
      parts += part.contains("Sequence")
                   ? part["Sequence"]["id"].get<std::string>() + ' '
                   : post_processor["special_tokens"][part["SpecialToken"]["id"]]["ids"].dump() + ' ';
    return parts;
  };
  CHECK(post_processor["type"] == "TemplateProcessing");
  CHECK(layout("single") == "[350] A [352] ");
  CHECK(layout("pair") == "[350] A [351] B [352] ");
  const nlohmann::json config = io::read_json(saved.folder + "/tokenizer_config.json");
  CHECK(config["pad_token"] == "<|start|>");
  CHECK(config["model_max_length"] == 16);
  CHECK(config["model_input_names"] == nlohmann::json{"input_ids", "attention_mask"});
  // The template is the layout's business here.
  CHECK(io::load_tokenizer(saved.folder).encode("Hello") == from.tokenizer.tokenizer.encode("Hello"));
}

TEST_CASE("README.md says how transformers answers; one of someone else's stays, ours goes with the model") {
  const Saved saved;
  const auto make = [&](Task task) {
    io::save_task_model(saved.folder, saved.make(task, 0,
                                                 task == Task::entailment ? std::vector<std::string>{"a", "b", "c"}
                                                                          : std::vector<std::string>{}));
  };
  const auto readme = [&] { return bytes_of(saved.folder + "/README.md"); };
  make(Task::entailment);
  CHECK(readme().find("Classes: `a` `b` `c`\n") != std::string::npos);
  CHECK(readme().find("\"text_pair\"") != std::string::npos);
  make(Task::similarity);
  CHECK(readme().find("((a, b), (b, a))") != std::string::npos);
  make(Task::multiple_choice);
  CHECK_FALSE(io::read_json(saved.folder + "/config.json").contains("problem_type"));
  CHECK(readme().find("for choice in choices") != std::string::npos);
  io::save_model(saved.folder, saved.make(Task::similarity, 0, {}).model.backbone,
                 saved.make(Task::similarity, 0, {}).tokenizer.tokenizer);
  CHECK_FALSE(std::filesystem::exists(saved.folder + "/README.md"));
  io::write_text(saved.folder + "/README.md", "# Mine\n");
  make(Task::entailment);
  CHECK(readme() == "# Mine\n");
}

TEST_CASE("max_part_length comes back, and is in the layout") {
  const Saved saved;
  io::TaskFolder<float> folder = saved.make(Task::entailment, 0, {"a", "b", "c"});
  folder.max_part_length = 2;
  io::save_task_model(saved.folder, folder);
  const text::TaskLayout layout = io::load_task_model(saved.folder).layout();
  CHECK(layout.max_part_length == 2);
  CHECK(layout.max_length == folder.model.backbone.config.block_size);
  CHECK(layout.tokens.extract == folder.tokenizer.tokens.extract);
}

TEST_CASE("labels that are not UTF-8, and a tokenizer of more tokens than the model") {
  const Saved saved;
  const io::TaskFolder<float> folder = saved.make(Task::entailment, 0, {"a", "b\xff", "c"});
  CHECK_FALSE(message_of<DataError>([&] { io::save_task_model(saved.folder, folder); }).empty());
  CHECK_FALSE(std::filesystem::exists(saved.folder + "/config.json"));
  CHECK_FALSE(std::filesystem::exists(saved.folder + "/model.safetensors"));
}

TEST_CASE("folders that hold no fine-tuned model") {
  const Saved saved;
  io::save_task_model(saved.folder, saved.make(Task::entailment, 0, {"a", "b", "c"}));
  const nlohmann::json about = io::read_json(saved.folder + "/config.json")["gptlite_task"];
  CHECK(saved.refusal() == "no exception");
  const auto refusal = [&](const nlohmann::json& value) {
    saved.set("gptlite_task", value);
    return saved.refusal();
  };
  CHECK(refusal(nullptr) ==
        "[load_task_model] F/config.json: has no \"gptlite_task\": the folder holds no model that "
        "was fine-tuned here");
  CHECK(refusal({{"labels", {"a"}}}) == "[load_task_model] F/config.json: \"task\" must be the name of a task");
  CHECK(refusal({{"task", "x"}}) == "[load_task_model] F/config.json: \"x\" is no task");
  CHECK(refusal({{"task", "entailment"}, {"labels", {1, 2, 3}}}) ==
        "[load_task_model] F/config.json: \"labels\" must be a list of names");
  CHECK(refusal({{"task", "entailment"}, {"labels", {"a", "b"}}}) ==
        "[load_task_model] F/config.json: 2 labels for 3 classes");
  CHECK(refusal({{"task", "similarity"}, {"labels", {"a", "b", "c"}}}) ==
        "[load_task_model] F/config.json: 3 labels for 0 classes");
  CHECK(refusal({{"task", "entailment"}, {"max_part_length", -1}}) ==
        "[load_task_model] F/config.json: \"max_part_length\" must be a whole number");
  CHECK(
      refusal({{"task", "multiple-choice"}}) ==
      "[load_task_model] F/model.safetensors: score.weight has shape (3, 8), which does not fit multiple-choice with 8 "
      "channels");
  saved.set("gptlite_task", about);
  CHECK(saved.refusal() == "no exception");
  saved.set("n_layer", 1 << 30);
  CHECK(saved.refusal().starts_with("[load_gpt] F: config.json asks for "));
  saved.set("n_layer", 1);
  GPT<float> gpt = io::load_gpt(saved.folder);
  io::save_gpt(saved.folder, gpt);
  saved.set("gptlite_task", about);
  CHECK(saved.refusal() == "[load_task_model] F/model.safetensors: has no score.weight, the head of the task");
}
