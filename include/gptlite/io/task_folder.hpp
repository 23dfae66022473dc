#pragma once
// A fine-tuned TaskModel, its tokenizer and its labels in one folder, which transformers opens as
// OpenAIGPTForSequenceClassification or GPT2ForSequenceClassification.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gptlite/io/model_folder.hpp"
#include "gptlite/io/task_readme.hpp"
#include "gptlite/models/task_model.hpp"
#include "gptlite/text/task_tokenizer.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Contents of a folder of a fine-tuned model.
template <class T>
struct TaskFolder {
  TaskModel<GPT<T>> model;
  text::TaskTokenizer tokenizer;
  std::vector<std::string> labels;  ///< names of the classes; empty for similarity and multiple choice
  Index max_part_length = 0;        ///< that of the TaskLayout used in training

  /// Layout of texts for the model.
  text::TaskLayout layout() const { return {tokenizer.tokens, model.backbone.config.block_size, max_part_length}; }
};

namespace detail {
/// The files of a tokenizer that puts the task's tokens around a text or a pair of texts in transformers, and pads.
inline TokenizerFiles task_tokenizer_files(const text::Tokenizer& tokenizer, Index max_length) {
  TokenizerFiles files = tokenizer_files(tokenizer);
  files.tokenizer["post_processor"] = task_template(files.tokenizer["model"]["vocab"]);
  files.config["tokenizer_class"] = "PreTrainedTokenizerFast";  // GPT2Tokenizer has a post-processor of its own
  files.config["pad_token"] = text::task_token_names[0];
  files.config["padding_side"] = "right";
  files.config["model_max_length"] = max_length;
  return files;
}
}  // namespace detail

/// Writes a folder that load_task_model opens, and transformers as ...ForSequenceClassification. Its tokenizer puts
/// start, delimiter and extract tokens around a text or a pair of texts. For classification and entailment,
/// pipeline("text-classification", folder) gives the labels and probabilities of `model` on texts laid out by layout(),
/// if they are not too long. For similarity and multiple choice, transformers computes the scores of one sequence; a
/// README.md in the folder says how the answers follow from them, unless one of someone else's is there. The folder is
/// made if it is not there; a model in it is replaced whole or not at all. Throws ConfigError for a model
/// with adapters or layers that its config does not describe, DataError for labels that are not UTF-8 and for a
/// tokenizer with more tokens than the model, IoError if a file cannot be written. dtype: F32, BF16 or F16, the format
/// that weights are rounded to; nullopt: as they are.
template <class T>
void save_task_model(const std::string& folder, const TaskFolder<T>& from, std::optional<DType> dtype = std::nullopt) {
  const TaskModel<GPT<T>>& model = from.model;
  detail::check_no_lora("save_task_model", model);
  check_vocabulary(folder, from.tokenizer.tokenizer, model.backbone.config);
  for (const std::string& label : from.labels) text::decode_utf8(label);
  const Index n = model.score.weight.shape()[1];
  nlohmann::ordered_json config = detail::config_json(model.backbone.config, "ForSequenceClassification");
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
  if (n > 1) config["problem_type"] = "single_label_classification";  // transformers refuses it for one score
  const text::TaskTokens& tokens = from.tokenizer.tokens;
  config["pad_token_id"] = tokens.start;  // transformers reads the last token that is not this one: the extract token
  config["gptlite_task"] = {
      {"task", std::string(name_of(model.task))}, {"labels", from.labels}, {"max_part_length", from.max_part_length}};
  NamedTensors tensors = detail::published_tensors("save_task_model", model.backbone);
  tensors.emplace("score.weight", transpose(model.score.weight.detach(), 0, 1));  // (n, C), as torch.nn.Linear has it
  const GPTConfig& backbone = model.backbone.config;
  const detail::ModelFiles files("save_task_model", folder, detail::config_fingerprint(backbone), config,
                                 std::move(tensors), dtype, detail::tokens_checksum(from.tokenizer.tokenizer));
  const detail::TokenizerFiles tokenizer = detail::task_tokenizer_files(from.tokenizer.tokenizer, backbone.block_size);
  const bool readme = detail::has_no_other_readme(folder);
  FolderUpdate update(folder, detail::folder_file_names(folder));
  files.write(update.staging());
  detail::write_tokenizer(update.staging(), tokenizer);
  if (readme)
    write_text(update.staging() + "/README.md", detail::task_readme(model.task, from.labels, n, backbone.block_size));
  update.commit();
}

/// True if a folder holds a model that save_task_model wrote. Throws DataError, with the path, for a config.json that
/// is missing or malformed.
inline bool is_task_folder(const std::string& folder) {
  const nlohmann::json config = read_json(folder + "/config.json");
  return config.is_object() && config.contains("gptlite_task") && config.at("gptlite_task").is_object();
}

/// Loads the fine-tuned model in a folder, in evaluation mode. Throws DataError, with the path, as load_gpt and
/// load_tokenizer do, and for a folder that save_task_model did not write.
template <class T = float>
TaskFolder<T> load_task_model(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const nlohmann::json config = read_json(path);
  const auto expect = [&](bool condition, const auto&... parts) {
    check<DataError>(condition, "load_task_model", parts...);
  };
  expect(is_task_folder(folder), path, ": has no \"gptlite_task\": the folder holds no model that was fine-tuned here");
  const nlohmann::json& about = config.at("gptlite_task");
  expect(about.contains("task") && about.at("task").is_string(), path, ": \"task\" must be the name of a task");
  const std::string name = about.at("task").get<std::string>();
  const std::optional<Task> known = try_parse<Task>(name);
  expect(known.has_value(), path, ": \"", name, "\" is no task");
  const Task task = *known;
  const bool classes = task == Task::classification || task == Task::entailment;
  std::vector<std::string> labels;
  if (about.contains("labels")) {
    expect(about.at("labels").is_array(), path, ": \"labels\" must be a list of names");
    for (const nlohmann::json& label : about.at("labels")) {
      expect(label.is_string(), path, ": \"labels\" must be a list of names");
      labels.push_back(label.get<std::string>());
    }
  }
  detail::OpenGpt files(folder);
  GPT<T> gpt = detail::read_gpt<T>(files);
  ModelWeights& weights = files.weights;
  expect(weights.contains("score.weight"), weights.path(), ": has no score.weight, the head of the task");
  const Tensor<T> read = weights.read<T>("score.weight");
  const Index C = gpt.config.n_embd;
  expect(read.rank() == 2 && read.shape()[1] == C &&
             (task == Task::multiple_choice ? read.shape()[0] == 1 : read.shape()[0] >= 2),
         weights.path(), ": score.weight has shape ", read.shape(), ", which does not fit ", name_of(task), " with ", C,
         " channels");
  const Index n = read.shape()[0];
  expect(labels.empty() || (classes && static_cast<Index>(labels.size()) == n), path, ": ", labels.size(),
         " labels for ", classes ? n : 0, " classes");
  Index max_part_length = 0;
  if (about.contains("max_part_length")) {
    const nlohmann::json& length = about.at("max_part_length");
    expect(length.is_number_unsigned() && length.get<std::uint64_t>() <= 1u << 30, path,
           ": \"max_part_length\" must be a whole number");
    max_part_length = length.get<Index>();
  }
  text::TaskTokenizer tokenizer = text::with_task_tokens(load_tokenizer(folder), gpt.config.vocab_size);
  check_vocabulary(folder, tokenizer.tokenizer, gpt.config);
  detail::check_saved_together(files, tokenizer.tokenizer);
  TaskModel<GPT<T>> model(gpt, {.task = task, .n_class = n, .seed = 0});
  const Tensor<T> weight = transpose(read, 0, 1);
  std::copy_n(weight.data(), weight.numel(), model.score.weight.data());
  model.eval();
  return {std::move(model), std::move(tokenizer), std::move(labels), max_part_length};
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
