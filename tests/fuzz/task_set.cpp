// TSV files of all four tasks.

#include "gptlite/data/task_set.hpp"

#include <utility>

#include "fuzz/fuzz.hpp"

namespace fuzz {

using namespace gptlite;

void task_set(std::string_view bytes) {
  MemoryFiles memory;
  memory.files["f.tsv"] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  for (const Task task : {Task::classification, Task::entailment, Task::similarity, Task::multiple_choice})
    accepted([&] {
      const data::TaskSet set = data::read_task("f.tsv", task);
      always(!set.examples.empty());
      const bool classes = task == Task::classification || task == Task::entailment;
      for (const data::TaskExample& example : set.examples) {
        always(!example.texts.empty());
        always(!classes || (example.label >= 0 && example.label < static_cast<Index>(set.labels.size())));
        always(task != Task::similarity || (example.score >= 0 && example.score <= 5));
      }
    });
  accepted([&] { data::read_task("f.tsv", Task::classification, {.columns = {"a", "b"}, .labels = {"x", "y"}}); });
}

}  // namespace fuzz
