#pragma once
// Labeled examples of a task from a TSV file: one header line, UTF-8, no quoting, no tab or new line inside a field.
// Empty lines are skipped.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/parse_number.hpp"
#include "gptlite/core/text_file.hpp"
#include "gptlite/models/task.hpp"
#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace data {

/// A labeled example. texts: one for classification, premise and hypothesis for entailment, both for similarity,
/// context and answers for multiple choice.
struct TaskExample {
  std::vector<std::string> texts;
  Index label = 0;   ///< the class, or the right answer
  double score = 0;  ///< similarity's target
  Index row = 0;     ///< line of the file, from 1; the header's is 1
};

/// The examples of a file.
struct TaskSet {
  Task task = Task::classification;
  std::string path;
  std::vector<TaskExample> examples;
  std::vector<std::string> labels;  ///< names of the classes, for classification and entailment
};

/// Options of read_task.
struct TaskSetOptions {
  /// Names of the columns: of the label or score, then of the texts. Empty: label text; label premise hypothesis; score
  /// sentence1 sentence2; label context choice0 choice1 ... as many as there are.
  std::vector<std::string> columns = {};
  /// Names of the known classes. Empty: those of the file, sorted, as for a file to train on.
  std::vector<std::string> labels = {};
  double max_score = 5;  ///< largest score of similarity; the smallest is 0
};

namespace detail {

/// A TSV file, read by row and column. Errors name file, row and column.
class TsvFile {
 public:
  explicit TsvFile(const std::string& path) : path_(path), bytes_(io::read_file(path)) {
    std::string_view rest = bytes_;
    if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
    Index number = 0;
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      ++number;
      if (line.find_first_not_of(' ') == line.npos) continue;  // as editors and spreadsheets leave them
      memory::append(rows_, split(line));
      memory::append(lines_, number);
    }
    for (std::size_t row = 1; row < rows_.size(); ++row)
      expect(rows_[row].size() == header().size(), row, "has ", rows_[row].size(), " columns, the header has ",
             header().size(), "; the separator is a tab");
    check<DataError>(rows_.size() > 1, "read_task", path_, ": there are no rows below the header");
    for (std::size_t i = 0; i < header().size(); ++i) columns_[header()[i]].push_back(i);
  }

  const std::vector<std::string_view>& header() const { return rows_.front(); }
  /// Number of rows, including the header, which is row 0.
  std::size_t size() const { return rows_.size(); }
  /// Line of a row in the file, from 1. Empty lines count, but are no rows.
  Index line(std::size_t row) const { return lines_[row]; }
  std::size_t column(std::string_view name) const {
    const auto found = columns_.find(name);
    if (found == columns_.end()) {
      std::string known;
      for (const std::string_view other : header()) known.append(known.empty() ? "" : ", ").append(other);
      raise<DataError>("read_task", path_, ": has no column \"", name, "\", only ", known);
    }
    check<DataError>(found->second.size() == 1, "read_task", path_, ": has several columns \"", name, '"');
    return found->second.front();
  }
  /// Returns a field. Throws DataError if it is not UTF-8.
  std::string_view field(std::size_t row, std::size_t column) const {
    const std::string_view field = rows_[row][column];
    for (std::size_t at = 0; at < field.size();) {
      const text::Utf8Sequence sequence = text::utf8_sequence(field, at);
      expect_field(sequence.well_formed, row, column, "invalid UTF-8 at byte ", at);
      at += sequence.length;
    }
    return field;
  }
  /// Returns a field as a text. Throws DataError if it is only white space, or as field() does.
  std::string text(std::size_t row, std::size_t column) const {
    const std::string_view field = this->field(row, column);
    expect_field(field.find_first_not_of(" \t\r\n") != field.npos, row, column, "the text is empty");
    return std::string(field);
  }

  template <class... Parts>
  void expect(bool condition, std::size_t row, const Parts&... parts) const {
    check<DataError>(condition, "read_task", path_, ", row ", line(row), ": ", parts...);
  }
  template <class... Parts>
  void expect_field(bool condition, std::size_t row, std::size_t column, const Parts&... parts) const {
    check<DataError>(condition, "read_task", path_, ", row ", line(row), ", column ", header()[column], ": ", parts...);
  }

 private:
  static std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> fields;
    for (std::size_t tab; (tab = line.find('\t')) != line.npos; line.remove_prefix(tab + 1))
      fields.push_back(line.substr(0, tab));
    fields.push_back(line);
    return fields;
  }

  std::string path_, bytes_;
  std::vector<std::vector<std::string_view>> rows_;
  std::vector<Index> lines_;                                           // line of each row
  std::map<std::string_view, std::vector<std::size_t>> columns_ = {};  // places of a name in the header
};

/// Indices of the columns that a task is read from: the label or score, then the texts.
inline std::vector<std::size_t> task_columns(const TsvFile& file, Task task, std::vector<std::string> names) {
  if (names.empty()) {
    switch (task) {
      case Task::classification:
        names = {"label", "text"};
        break;
      case Task::entailment:
        names = {"label", "premise", "hypothesis"};
        break;
      case Task::similarity:
        names = {"score", "sentence1", "sentence2"};
        break;
      case Task::multiple_choice:
        names = {"label", "context"};
        for (const std::string_view name : file.header())
          if (name.starts_with("choice")) names.emplace_back(name);
    }
  }
  const std::size_t least = task == Task::classification ? 2 : task == Task::multiple_choice ? 4 : 3;
  check<ConfigError>(task == Task::multiple_choice ? names.size() >= least : names.size() == least, "read_task",
                     name_of(task), " needs ", least, task == Task::multiple_choice ? " columns or more" : " columns",
                     ", the label or score first, got ", names.size());
  std::vector<std::size_t> columns;
  for (const std::string& name : names) columns.push_back(file.column(name));
  return columns;
}

}  // namespace detail

/// Reads a task's examples from a TSV file. Throws DataError, with file, row and column, for a row with another number
/// of columns than the header, an empty text, invalid UTF-8, an unknown label (and lists the known ones), a score
/// outside 0..max_score, no rows, or, if the labels are taken from the file, fewer than two of them; ConfigError for a
/// wrong number of column names.
inline TaskSet read_task(const std::string& path, Task task, const TaskSetOptions& options = {}) {
  const detail::TsvFile file(path);
  const std::vector<std::size_t> columns = detail::task_columns(file, task, options.columns);
  const bool classes = task == Task::classification || task == Task::entailment;
  TaskSet set{task, path, {}, options.labels};
  if (classes && set.labels.empty()) {
    std::map<std::string, Index, std::less<>> found;
    for (std::size_t row = 1; row < file.size(); ++row) ++found[std::string(file.field(row, columns[0]))];
    for (const auto& [label, count] : found) set.labels.push_back(label);
    check<DataError>(set.labels.size() >= 2, "read_task", path, ": all rows have the label \"", set.labels.front(),
                     "\"; there must be two classes at least");
  }
  std::string known;
  std::map<std::string_view, Index> classes_by_label;  // a file may have as many labels as rows
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    known.append(known.empty() ? "" : ", ").append(set.labels[i]);
    classes_by_label.emplace(set.labels[i], static_cast<Index>(i));
  }
  for (std::size_t row = 1; row < file.size(); ++row) {
    TaskExample example;
    example.row = file.line(row);
    const std::string_view target = file.field(row, columns[0]);
    if (classes) {
      const auto at = classes_by_label.find(target);
      file.expect_field(at != classes_by_label.end(), row, columns[0], "the label \"", target, "\" is not one of ",
                        known);
      example.label = at->second;
    } else if (task == Task::similarity) {
      file.expect_field(parse_number(target, example.score) && example.score >= 0 && example.score <= options.max_score,
                        row, columns[0], "\"", target, "\" is no score from 0 to ", options.max_score);
    } else {
      const Index answers = static_cast<Index>(columns.size()) - 2;
      file.expect_field(parse_number(target, example.label) && example.label >= 0 && example.label < answers, row,
                        columns[0], "\"", target, "\" is no answer from 0 to ", answers - 1);
    }
    for (std::size_t i = 1; i < columns.size(); ++i) example.texts.push_back(file.text(row, columns[i]));
    memory::append(set.examples, std::move(example));
  }
  return set;
}

}  // namespace data
}  // namespace gptlite::inline GPTLITE_ABI
