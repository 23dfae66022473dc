// read_task: the four forms of file, and what is wrong said with file, row and column.

#include "gptlite/data/task_set.hpp"

#include <doctest/doctest.h>

#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

struct Files {
  TemporaryFolder folder;
  std::string path = folder.file("a.tsv");

  data::TaskSet read(Task task, const std::string& bytes, const data::TaskSetOptions& options = {}) const {
    folder.file("a.tsv", bytes);
    return data::read_task(path, task, options);
  }
  /// The message of what is thrown, without the path.
  template <class E = DataError>
  std::string refusal(Task task, const std::string& bytes, const data::TaskSetOptions& options = {}) const {
    std::string message = message_of<E>([&] { read(task, bytes, options); });
    if (const std::size_t at = message.find(path); at != message.npos) message.replace(at, path.size(), "a.tsv");
    return message;
  }
};

}  // namespace

TEST_CASE("the four forms") {
  const Files files;
  data::TaskSet set = files.read(Task::classification, "label\ttext\npos\tgood film\nneg\tbad\n");
  CHECK(set.labels == std::vector<std::string>{"neg", "pos"});
  REQUIRE(set.examples.size() == 2);
  CHECK(set.examples[0].label == 1);
  CHECK(set.examples[0].texts == std::vector<std::string>{"good film"});
  CHECK(set.examples[1].label == 0);
  CHECK(set.examples[1].row == 3);

  set = files.read(Task::entailment, "label\tpremise\thypothesis\na\tp\th\nb\tq\ti\nc\tr\tj");  // no last new line
  CHECK(set.labels.size() == 3);
  CHECK(set.examples[2].texts == std::vector<std::string>{"r", "j"});

  set = files.read(Task::similarity, "score\tsentence1\tsentence2\n3.4\ta\tb\n0\tc\td\n5.0\te\tf\n");
  CHECK(set.labels.empty());
  CHECK(set.examples[0].score == 3.4);
  CHECK(set.examples[2].score == 5);

  set = files.read(Task::multiple_choice, "label\tcontext\tchoice0\tchoice1\tchoice2\n2\tc\tx\ty\tz\n");
  CHECK(set.examples[0].label == 2);
  CHECK(set.examples[0].texts == std::vector<std::string>{"c", "x", "y", "z"});
}

TEST_CASE("columns by name, in any order; labels of another file; Windows' line ends and byte order mark") {
  const Files files;
  data::TaskSet set = files.read(Task::classification, "\xEF\xBB\xBFid\tsentence\tclass\r\n1\tone\tb\r\n2\ttwo\ta\r\n",
                                 {.columns = {"class", "sentence"}});
  CHECK(set.labels == std::vector<std::string>{"a", "b"});
  CHECK(set.examples[1].texts[0] == "two");
  set = files.read(Task::classification, "label\ttext\nb\tone\n", {.labels = {"c", "b"}});
  CHECK(set.labels == std::vector<std::string>{"c", "b"});
  CHECK(set.examples[0].label == 1);
}

TEST_CASE("empty lines are no rows, and count where rows are named") {
  const Files files;
  const data::TaskSet set = files.read(Task::classification, "\n  \r\nlabel\ttext\n\nb\tone\n\n\na\ttwo\r\n\r\n\n   ");
  REQUIRE(set.examples.size() == 2);
  CHECK(set.examples[0].texts[0] == "one");
  CHECK(set.examples[0].row == 5);
  CHECK(set.examples[1].row == 8);
  CHECK(files.refusal(Task::classification, "\n\n") == "[read_task] a.tsv: there are no rows below the header");
}

TEST_CASE("as many labels as rows, and as many columns as fit on a line") {
  const Files files;
  std::string rows = "label\ttext\n", header = "label\tcontext", fields = "1999\tc";
  for (int i = 0; i < 50000; ++i) rows += std::to_string(i) + "\tx\n";
  const data::TaskSet set = files.read(Task::classification, rows);
  CHECK(set.labels.size() == 50000u);
  CHECK(set.labels[static_cast<std::size_t>(set.examples[49999].label)] == "49999");
  for (int i = 0; i < 2000; ++i) header += "\tchoice" + std::to_string(i), fields += "\t" + std::to_string(i);
  const data::TaskSet choices = files.read(Task::multiple_choice, header + '\n' + fields + '\n');
  CHECK(choices.examples[0].texts[2000] == "1999");
  CHECK(files.refusal(Task::multiple_choice, header + "\tlabel\n" + fields + "\t1\n") ==
        "[read_task] a.tsv: has several columns \"label\"");
  // Of a label that is given twice, the first counts.
  CHECK(files.read(Task::classification, "label\ttext\nb\tx\n", {.labels = {"a", "a", "b"}}).examples[0].label == 2);
}

TEST_CASE("what is wrong is named with file, row and column") {
  const Files files;
  const auto text = [&](const std::string& rows, const data::TaskSetOptions& options = {}) {
    return files.refusal(Task::classification, "label\ttext\n" + rows, options);
  };
  CHECK(text("a\tx\nb\n") == "[read_task] a.tsv, row 3: has 1 columns, the header has 2; the separator is a tab");
  CHECK(text("a\tx\nb\ty\tz\n") == "[read_task] a.tsv, row 3: has 3 columns, the header has 2; the separator is a tab");
  CHECK(text("a\tx\n\nb\n") == "[read_task] a.tsv, row 4: has 1 columns, the header has 2; the separator is a tab");
  CHECK(text("\n\na\tx\n\nb\t \n") == "[read_task] a.tsv, row 6, column text: the text is empty");
  CHECK(text("a\tx\n\t\n") == "[read_task] a.tsv, row 3, column text: the text is empty");
  CHECK(text("a\tx\nb\t  \n") == "[read_task] a.tsv, row 3, column text: the text is empty");
  CHECK(text("a\tx\nb\ty\xFFz\n") == "[read_task] a.tsv, row 3, column text: invalid UTF-8 at byte 1");
  CHECK(text("a\tx\nb\t\xED\xA0\x80\n") == "[read_task] a.tsv, row 3, column text: invalid UTF-8 at byte 0");
  CHECK(text("") == "[read_task] a.tsv: there are no rows below the header");
  CHECK(text("a\tx\na\ty\n") == "[read_task] a.tsv: all rows have the label \"a\"; there must be two classes at least");
  CHECK(text("a\tx\nd\ty\n", {.labels = {"a", "b"}}) ==
        "[read_task] a.tsv, row 3, column label: the label \"d\" is not one of a, b");
  CHECK(files.refusal(Task::classification, "") == "[read_file] a.tsv: the file is empty");
  CHECK(files.refusal(Task::classification, "label\tsentence\na\tb\n") ==
        "[read_task] a.tsv: has no column \"text\", only label, sentence");
  CHECK(files.refusal<ConfigError>(Task::entailment, "label\tpremise\na\tb\n", {.columns = {"label", "premise"}}) ==
        "[read_task] entailment needs 3 columns, the label or score first, got 2");
  CHECK(files.refusal<ConfigError>(Task::multiple_choice, "label\tcontext\tchoice0\n0\tb\tc\n") ==
        "[read_task] multiple-choice needs 4 columns or more, the label or score first, got 3");
  for (const std::string score : {"5.1", "-0.5", "x", "3.4x", "", "nan", "inf", " 3", "1e999"})
    CHECK(files.refusal(Task::similarity, "score\tsentence1\tsentence2\n" + score + "\ta\tb\n") ==
          "[read_task] a.tsv, row 2, column score: \"" + score + "\" is no score from 0 to 5");
  for (const std::string label : {"2", "-1", "x", "1.0", "", "99999999999999999999"})
    CHECK(files.refusal(Task::multiple_choice, "label\tcontext\tchoice0\tchoice1\n" + label + "\ta\tb\tc\n") ==
          "[read_task] a.tsv, row 2, column label: \"" + label + "\" is no answer from 0 to 1");
}
