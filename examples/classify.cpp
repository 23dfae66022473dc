// Answers lines with a model that finetune made.
//
//   printf 'a gem of a film\n' | classify --model runs/sst2
//
// A line holds the texts of one example, separated by tabs, as finetune read them: a text; a premise and a hypothesis;
// two sentences; a context and its choices. Each line on stdin is answered by one on stdout: the label and its
// probability, for similarity the score, for multiple choice the number of the choice, from 0; with --json an object
// with the probabilities of all. A line that cannot be read ends the program with its number; the lines before are
// answered.

#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>

#include "support/command_line.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string model;
  int threads = 0;
  bool json = false;
};

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line)
    if (c == '\t')
      fields.emplace_back();
    else
      fields.back() += c;
  return fields;
}

// Texts that a line of the task has.
void check_count(Task task, std::size_t count, Index line) {
  const std::size_t wanted = task == Task::classification ? 1 : task == Task::multiple_choice ? 3 : 2;
  check<DataError>(task == Task::multiple_choice ? count >= wanted : count == wanted, "classify", "line ", line,
                   " has ", count, count == 1 ? " text, " : " texts, ", name_of(task), " needs ", wanted,
                   task == Task::multiple_choice ? " or more" : "", ", separated by tabs");
}

int run(const Options& o) {
  set_num_threads(o.threads);
  const io::TaskFolder<float> folder = io::load_task_model(o.model);
  const text::Tokenizer& tokenizer = folder.tokenizer.tokenizer;
  const text::TaskLayout layout = folder.layout();
  const Task task = folder.model.task;
  const auto name = [&](std::size_t label) {
    return folder.labels.empty() ? std::to_string(label) : folder.labels[label];
  };
  std::string line;
  for (Index number = 1; std::cout && std::getline(std::cin, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    const std::vector<std::string> texts = split(line);
    check_count(task, texts.size(), number);
    const data::TaskSet set{task, "stdin", {{.texts = texts, .row = number}}, {}};
    const train::TaskPrediction answer =
        train::predict_task(folder.model, data::encode_task(set, tokenizer, layout))[0];
    const auto label = static_cast<std::size_t>(answer.label);
    if (o.json) {
      nlohmann::ordered_json json, probabilities;
      if (task == Task::similarity)
        json["score"] = answer.score;
      else
        json["label"] = name(label);
      for (std::size_t k = 0; k < answer.probabilities.size(); ++k) probabilities[name(k)] = answer.probabilities[k];
      json["probabilities"] = probabilities;
      std::cout << json.dump() << std::endl;
    } else if (task == Task::similarity) {
      std::cout << answer.score << std::endl;
    } else {
      std::cout << name(label) << '\t' << answer.probabilities[label] << std::endl;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("classify", [&] {
    Options o;
    CLI::App app("Answers lines of stdin with a model that finetune made.", "classify");
    app.option_defaults()->take_last();
    app.add_option("--model", o.model, "folder that finetune wrote")->type_name("PATH")->required();
    app.add_flag("--json", o.json, "an object a line, with the probabilities of all");
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
