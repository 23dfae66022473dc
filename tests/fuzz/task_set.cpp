// TSV files of all four tasks, from the file to a batch.

#include "gptlite/data/task_set.hpp"

#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "gptlite/data/task_batches.hpp"
#include "gptlite/text/char_tokenizer.hpp"

namespace fuzz {

using namespace gptlite;

namespace {

void check_set(const data::TaskSet& set) {
  always(!set.examples.empty());
  const bool classes = set.task == Task::classification || set.task == Task::entailment;
  Index row = 1;
  for (const data::TaskExample& example : set.examples) {
    always(example.row > row);
    row = example.row;
    always(example.texts.size() >= (set.task == Task::classification ? 1u : 2u));
    always(example.label >= 0);
    if (classes) always(example.label < static_cast<Index>(set.labels.size()));
    if (set.task == Task::multiple_choice) always(example.label + 1 < static_cast<Index>(example.texts.size()));
    always(example.score >= 0 && example.score <= 5);
  }
}

// Lays the examples out as a model reads them.
void check_batch(const data::TaskSet& set, const text::CharTokenizer& tokenizer) {
  const auto first = static_cast<TokenId>(tokenizer.vocab_size());
  const text::TaskLayout layout{{first, first + 1, first + 2}, 9, 5};
  const std::vector<data::EncodedExample> inputs = data::encode_task(set, tokenizer, layout);
  always(inputs.size() == set.examples.size());
  for (const data::EncodedExample& input : inputs)
    for (const text::Tokens& sequence : input.sequences)
      always(sequence.size() <= 9 && sequence.front() == first && sequence.back() == first + 2);
  const TaskBatch<float> batch = data::collate<float>(inputs, {0}, set.task, 6);
  always(batch.tokens.shape()[0] == batch.sequences_per_example && batch.tokens.shape()[1] <= 9);
}

void read_as(Task task) {
  accepted([&] {
    const data::TaskSet set = data::read_task("f.tsv", task);
    check_set(set);
    std::string texts;
    for (const data::TaskExample& example : set.examples)
      for (const std::string& text : example.texts) texts += text;
    always(accepted([&] { check_batch(set, text::CharTokenizer(texts)); }));
  });
}

}  // namespace

void task_set(std::string_view bytes) {
  MemoryFiles memory;
  memory.files["f.tsv"] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  // Each task reads what names one of its columns; all read a table that names none.
  const auto names = [header = bytes.substr(0, bytes.find('\n'))](const char* column) {
    return header.find(column) != header.npos;
  };
  const bool any = !names("text") && !names("premise") && !names("score") && !names("choice") && !names("a");
  if (any || names("text")) read_as(Task::classification);
  if (any || names("premise")) read_as(Task::entailment);
  if (any || names("score")) read_as(Task::similarity);
  if (any || names("choice")) read_as(Task::multiple_choice);
  if (any || (names("a\t") && names("b")))
    accepted([&] {
      check_set(data::read_task("f.tsv", Task::classification, {.columns = {"a", "b"}, .labels = {"x", "y"}}));
    });
}

}  // namespace fuzz
