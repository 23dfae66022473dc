#pragma once
// A fine-tuned TaskModel, its tokenizer and what its answers mean, as one folder that transformers opens as
// OpenAIGPTForSequenceClassification or GPT2ForSequenceClassification.

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/io/model_folder.hpp"
#include "gptlite/models/heads.hpp"
#include "gptlite/text/task_inputs.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// The spellings of the tokens that fine-tuning adds to a vocabulary.
inline constexpr const char* task_token_names[] = {"<|start|>", "<|delimiter|>", "<|extract|>"};

/// A tokenizer with its task tokens. The ids of all other tokens are those of the tokenizer before.
struct TaskTokenizer {
  Tokenizer tokenizer;
  text::TaskTokens tokens;
};

namespace detail {
template <class Bpe>
TaskTokenizer with_task_tokens(const Bpe& bpe, Index vocab_size) {
  const text::BpeVocabulary& vocabulary = bpe.vocabulary();
  std::vector<std::string> tokens = vocabulary.tokens(), special;
  for (const TokenId id : vocabulary.special_tokens()) special.push_back(vocabulary.token(id));
  text::BpeVocabulary::Merges merges;
  for (const text::BpeMerge& merge : vocabulary.merges().merges())
    merges.emplace_back(vocabulary.token(merge.left), vocabulary.token(merge.right));
  for (Index id = vocabulary.size(); id < vocab_size; ++id) {  // a model may have more rows than tokens have names
    tokens.push_back("<|unused" + std::to_string(id) + "|>");
    special.push_back(tokens.back());
  }
  for (const char* name : task_token_names) {
    tokens.emplace_back(name);
    special.emplace_back(name);
  }
  const auto first = static_cast<TokenId>(vocab_size);
  return {Bpe(std::move(tokens), merges, special), {first, first + 1, first + 2}};
}
}  // namespace detail

/// The tokenizer of a model of vocab_size tokens with start, delimiter and extract token behind them; one that has them
/// already as it is. Throws DataError for a CharTokenizer, whose tokens are single characters.
inline TaskTokenizer with_task_tokens(const Tokenizer& tokenizer, Index vocab_size) {
  return std::visit(
      [&](const auto& own) -> TaskTokenizer {
        if constexpr (requires { own.vocabulary(); }) {
          const auto start = own.vocabulary().find(task_token_names[0]);
          const auto delimiter = own.vocabulary().find(task_token_names[1]);
          const auto extract = own.vocabulary().find(task_token_names[2]);
          if (start && delimiter && extract) return {own, {*start, *delimiter, *extract}};
          return detail::with_task_tokens(own, vocab_size);
        } else {
          fail<DataError>("with_task_tokens",
                          "a tokenizer of single characters has no room for the start, delimiter and extract tokens; "
                          "pre-train with byte-pair encoding");
        }
      },
      tokenizer.variant());
}

/// What a folder of a fine-tuned model holds.
template <class T>
struct TaskFolder {
  TaskModel<T> model;
  TaskTokenizer tokenizer;
  std::vector<std::string> labels;  ///< names of the classes; empty for similarity and multiple choice
};

/// Writes what load_task_model opens, and transformers as ...ForSequenceClassification: its labels are those of `model`
/// on texts laid out by text::TaskLayout, padded on the right. The folder is made if it is not there. Throws
/// ConfigError for a model with adapters, IoError.
template <class T>
void save_task_model(const std::string& folder, const TaskFolder<T>& from) {
  TaskModel<T> model = from.model;  // handles
  detail::check_no_lora("save_task_model", model);
  check_vocabulary(folder, from.tokenizer.tokenizer, model.transformer.config);
  const Index n = model.score.weight.shape()[1];
  nlohmann::ordered_json config = detail::config_json(model.transformer.config, "ForSequenceClassification", {});
  nlohmann::ordered_json names = nlohmann::ordered_json::object(), ids = nlohmann::ordered_json::object();
  for (Index i = 0; i < n; ++i) {
    const std::string name =
        from.labels.empty() ? "LABEL_" + std::to_string(i) : from.labels.at(static_cast<std::size_t>(i));
    names[std::to_string(i)] = name;
    ids[name] = i;
  }
  config["id2label"] = names;
  config["label2id"] = ids;
  config["num_labels"] = n;
  config["problem_type"] = "single_label_classification";
  const text::TaskTokens& tokens = from.tokenizer.tokens;
  config["pad_token_id"] = tokens.start;  // transformers reads the last token that is none of these: the extract token
  config["gptlite_task"] = {{"task", std::string(name_of(model.task))}, {"labels", from.labels}};
  NamedTensors tensors = detail::published_tensors(model.transformer);
  tensors.emplace("score.weight", transpose(model.score.weight.detach(), 0, 1));  // (n, C), as torch.nn.Linear has it
  detail::save_model_files(folder, config, tensors, std::nullopt);
  save_tokenizer(folder, from.tokenizer.tokenizer);
}

/// The fine-tuned model in a folder, in evaluation mode. Throws DataError, with the path, as load_gpt and
/// load_tokenizer do, and for a folder that save_task_model did not write.
template <class T = float>
TaskFolder<T> load_task_model(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const nlohmann::json config = read_json(path);
  const auto expect = [&](bool condition, const auto&... parts) {
    check<DataError>(condition, "load_task_model", parts...);
  };
  expect(config.is_object() && config.contains("gptlite_task") && config.at("gptlite_task").is_object(), path,
         ": has no \"gptlite_task\": the folder holds no model that was fine-tuned here");
  const nlohmann::json& about = config.at("gptlite_task");
  expect(about.contains("task") && about.at("task").is_string(), path, ": \"task\" must be the name of a task");
  const Task task = task_from_name(about.at("task").get<std::string>());
  std::vector<std::string> labels;
  if (about.contains("labels")) {
    expect(about.at("labels").is_array(), path, ": \"labels\" must be a list of names");
    for (const nlohmann::json& label : about.at("labels")) {
      expect(label.is_string(), path, ": \"labels\" must be a list of names");
      labels.push_back(label.get<std::string>());
    }
  }
  GPT<T> gpt = load_gpt<T>(folder);
  SafetensorsFile weights(folder + "/model.safetensors");
  expect(weights.contains("score.weight"), folder, "/model.safetensors: has no score.weight, the head of the task");
  const Tensor<T> read = weights.read<T>("score.weight");
  const Index C = gpt.config.n_embd;
  expect(read.rank() == 2 && read.shape()[1] == C && read.shape()[0] >= 1 &&
             (task != Task::multiple_choice || read.shape()[0] == 1),
         folder, "/model.safetensors: score.weight has shape ", read.shape(), ", which does not fit ", name_of(task),
         " with ", C, " channels");
  const Index n = read.shape()[0];
  expect(labels.empty() || static_cast<Index>(labels.size()) == n, path, ": ", labels.size(), " labels for ", n,
         " classes");
  TaskTokenizer tokenizer = with_task_tokens(load_tokenizer(folder), gpt.config.vocab_size);
  check_vocabulary(folder, tokenizer.tokenizer, gpt.config);
  TaskModel<T> model(gpt, {.task = task, .n_class = n, .seed = 0});
  const Tensor<T> weight = transpose(read, 0, 1);
  std::copy_n(weight.data(), weight.size(), model.score.weight.data());
  model.eval();
  return {std::move(model), std::move(tokenizer), std::move(labels)};
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
