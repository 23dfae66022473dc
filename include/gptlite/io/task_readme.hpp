#pragma once
// README.md of a fine-tuned folder: how transformers computes the model's answers, and what it cannot.

#include <string>
#include <vector>

#include "gptlite/core/text_file.hpp"
#include "gptlite/models/task.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {
namespace detail {

/// First line of such a file. A README.md without it is someone else's, and stays.
inline constexpr const char* readme_mark =
    "<!-- Written with the model, and replaced with it. Without this line it stays. -->\n";

/// True if a folder's README.md may be replaced or removed with the model.
inline bool has_no_other_readme(const std::string& folder) {
  std::string text;
  if (file_calls().read_file((folder + "/README.md").c_str(), text) < 0) return !path_exists(folder + "/README.md");
  return text.starts_with(readme_mark);
}

inline std::string task_readme(Task task, const std::vector<std::string>& labels, Index classes, Index max_length) {
  std::string text = std::string(readme_mark) + "# GPT, fine-tuned: " + std::string(name_of(task)) + "\n\n";
  if (!labels.empty()) {
    text += "Classes:";
    for (const std::string& label : labels) text += " `" + label + "`";
    text += "\n\n";
  }
  text += "In C++: `gptlite::io::load_task_model(folder)`. In Python:\n\n```python\n";
  const std::string model =
      "import torch\nfrom transformers import AutoModelForSequenceClassification, AutoTokenizer\n"
      "tokenizer = AutoTokenizer.from_pretrained(folder)\n"
      "model = AutoModelForSequenceClassification.from_pretrained(folder).eval()\n";
  switch (task) {
    case Task::classification:
      text +=
          "from transformers import pipeline\nclassify = pipeline(\"text-classification\", folder)\nclassify(\"a "
          "text\")\n";
      break;
    case Task::entailment:
      text +=
          "from transformers import pipeline\nclassify = pipeline(\"text-classification\", folder)\n"
          "classify({\"text\": \"a premise\", \"text_pair\": \"a hypothesis\"})\n";
      break;
    case Task::similarity:
      text += model +
              "# The model reads two texts in both orders; transformers reads one.\n"
              "logits = sum(model(**tokenizer(*pair, return_tensors=\"pt\")).logits[0] for pair in ((a, b), (b, a)))\n"
              "score = (logits.softmax(-1) * torch.arange(" +
              std::to_string(classes) + ")).sum()\n";
      break;
    case Task::multiple_choice:
      text +=
          model +
          "# The model scores each choice; transformers does not compare them.\n"
          "logits = [model(**tokenizer(context, choice, return_tensors=\"pt\")).logits[0, 0] for choice in choices]\n"
          "probabilities = torch.stack(logits).softmax(0)\n";
  }
  text += "```\n\n";
  if (task == Task::similarity || task == Task::multiple_choice)
    text += "`pipeline(\"text-classification\", folder)` gives the scores of one sequence, which are not the answer.\n";
  text += "Texts of more than " + std::to_string(max_length) + " tokens are cut by the two in different places.\n";
  return text;
}

}  // namespace detail
}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
