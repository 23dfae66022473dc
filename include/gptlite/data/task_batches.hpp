#pragma once
// TaskBatches: the examples of a task as tokens, in batches of similar length and random order.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/core/count.hpp"
#include "gptlite/core/large_vector.hpp"
#include "gptlite/data/task_set.hpp"
#include "gptlite/text/task_layout.hpp"
#include "gptlite/core/utf8.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace data {

/// An example as the sequences of tokens that a model reads.
struct EncodedExample {
  std::vector<text::Tokens> sequences;  ///< similarity: both orders; multiple choice: one per answer
  Index label = 0;
  double score = 0;

  /// Number of tokens of the longest sequence.
  std::size_t length() const {
    std::size_t longest = 0;
    for (const text::Tokens& sequence : sequences) longest = std::max(longest, sequence.size());
    return longest;
  }
};

/// Encodes the examples of a set and lays them out for its task. tokenizer: a text::TokenizerLike, of which encode and
/// special_tokens are used. Throws DataError, with file and row, for a text that is not UTF-8, that has no tokens
/// except special ones, or that contains a token of the layout.
template <class Tokenizer>
std::vector<EncodedExample> encode_task(const TaskSet& set, const Tokenizer& tokenizer,
                                        const text::TaskLayout& layout) {
  std::vector<EncodedExample> inputs;
  const std::vector<TokenId> special = tokenizer.special_tokens();
  const std::vector<TokenId> own{layout.tokens.start, layout.tokens.delimiter, layout.tokens.extract};
  const auto in = [](const std::vector<TokenId>& list, TokenId token) {
    return std::find(list.begin(), list.end(), token) != list.end();
  };
  for (const TaskExample& example : set.examples) {
    std::vector<text::Tokens> texts;
    for (const std::string& text : example.texts) {
      for (std::size_t at = 0; at < text.size();) {
        const text::Utf8Sequence sequence = text::utf8_sequence(text, at);
        check<DataError>(sequence.well_formed, "encode_task", set.path, ", row ", example.row,
                         ": invalid UTF-8 at byte ", at);
        at += sequence.length;
      }
      const text::Tokens& tokens = texts.emplace_back(tokenizer.encode(text));
      bool plain = false;
      for (const TokenId token : tokens) {
        check<DataError>(!in(own, token), "encode_task", set.path, ", row ", example.row, ": the text \"", text,
                         "\" has a start, delimiter or extract token in it");
        plain = plain || !in(special, token);
      }
      check<DataError>(plain, "encode_task", set.path, ", row ", example.row, ": the text \"", text,
                       "\" has no tokens but special ones");
    }
    EncodedExample input{{}, example.label, example.score};
    switch (set.task) {
      case Task::classification:
        input.sequences = {layout.classification(texts[0])};
        break;
      case Task::entailment:
        input.sequences = {layout.entailment(texts[0], texts[1])};
        break;
      case Task::similarity:
        input.sequences = layout.similarity(texts[0], texts[1]);
        break;
      case Task::multiple_choice:
        input.sequences = layout.multiple_choice(texts[0], {texts.begin() + 1, texts.end()});
    }
    memory::append(inputs, std::move(input));
  }
  return inputs;
}

/// Writes a graded score as a distribution over n grades, probabilities (n): 3.4 is 0.6 of grade 3 and 0.4 of grade 4
/// (Tai et al. 2015).
template <class T>
void put_grades(T* probabilities, Index n, double score) {
  std::fill_n(probabilities, n, T(0));
  const auto below = std::min(static_cast<Index>(std::floor(score)), n - 1);
  const double above = score - static_cast<double>(below);
  probabilities[below] = static_cast<T>(1 - above);
  if (below + 1 < n) probabilities[below + 1] = static_cast<T>(above);
}

/// Makes one batch of the chosen inputs, padded on the right to its longest sequence. n_class: number of grades, for
/// similarity. Throws DataError if none is chosen or their numbers of sequences differ.
template <class T>
TaskBatch<T> collate(const std::vector<EncodedExample>& inputs, const std::vector<Index>& chosen, Task task,
                     Index n_class) {
  check<DataError>(!chosen.empty(), "collate", "a batch needs an example");
  const auto input = [&](std::size_t i) -> const EncodedExample& {
    return inputs[static_cast<std::size_t>(chosen[i])];
  };
  TaskBatch<T> batch;
  batch.sequences_per_example = static_cast<Index>(input(0).sequences.size());
  std::size_t longest = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) longest = std::max(longest, input(i).length());
  const Index B = static_cast<Index>(chosen.size()), positions = static_cast<Index>(longest);
  batch.tokens = Tensor<TokenId>::zeros({B * batch.sequences_per_example, positions});
  batch.lengths = Tensor<std::int32_t>::empty({B * batch.sequences_per_example});
  if (task == Task::similarity)
    batch.probabilities = Tensor<T>::empty({B, n_class});
  else
    batch.labels = Tensor<std::int32_t>::empty({B});
  Index row = 0;
  for (Index b = 0; b < B; ++b) {
    const EncodedExample& example = input(static_cast<std::size_t>(b));
    check<DataError>(static_cast<Index>(example.sequences.size()) == batch.sequences_per_example, "collate", "example ",
                     b, " has ", example.sequences.size(), " sequences, the first ", batch.sequences_per_example);
    for (const text::Tokens& sequence : example.sequences) {
      std::copy(sequence.begin(), sequence.end(), batch.tokens.data() + row * positions);
      batch.lengths.data()[row++] = static_cast<std::int32_t>(sequence.size());
    }
    if (task == Task::similarity)
      put_grades(batch.probabilities.data() + b * n_class, n_class, example.score);
    else
      batch.labels.data()[b] = static_cast<std::int32_t>(example.label);
  }
  return batch;
}

/// Options of TaskBatches.
struct TaskBatchesOptions {
  Index batch_size = 32;
  Index n_class = 6;  ///< number of grades, for similarity
  std::uint64_t seed = 1337;
};

/// Draws batches in epochs, each of which visits every example once, in an order of its own. Examples of similar length
/// share a batch, so there is little padding: in random order, the examples of every sixteen batches are sorted by
/// length and cut into batches, which then come in random order. The n-th batch is a function of the seed and n alone.
template <class T>
class TaskBatches {
 public:
  /// Throws ConfigError for a batch_size that is not positive, DataError without examples.
  TaskBatches(std::vector<EncodedExample> inputs, Task task, TaskBatchesOptions options)
      : inputs_(std::move(inputs)), task_(task), options_(options) {
    check<ConfigError>(options.batch_size > 0, "TaskBatches", "batch_size must be positive, got ", options.batch_size);
    check<DataError>(!inputs_.empty(), "TaskBatches", "there are no examples");
    options_.batch_size = std::min(options_.batch_size, size());
  }

  /// The next batch.
  TaskBatch<T> next() {
    const Index epoch = position_ / batches_per_epoch(), n = position_ % batches_per_epoch();
    if (epoch != epoch_) begin(epoch);
    TaskBatch<T> batch = collate<T>(inputs_, batches_[static_cast<std::size_t>(n)], task_, options_.n_class);
    ++position_;
    return batch;
  }

  Index size() const { return static_cast<Index>(inputs_.size()); }
  Index batches_per_epoch() const { return (size() + options_.batch_size - 1) / options_.batch_size; }
  /// Number of batches drawn so far. set_position() with a saved value resumes with the same batches.
  Index position() const { return position_; }
  void set_position(Index position) {
    check<ConfigError>(is_count(position), "TaskBatches", "position must be in 0..2^62, got ", position);
    position_ = position;
  }
  /// Calls f(name, state) for the state that a checkpoint keeps: "position" (std::int64_t&). Throws ConfigError if f
  /// leaves it outside 0..2^62.
  template <class F>
  void visit(F&& f) {
    std::int64_t position = position_;
    f(std::string("position"), position);
    set_position(position);
  }

 private:
  template <class Values>
  static void shuffle(Values& values, Generator& random) {  // Fisher and Yates
    for (std::size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[static_cast<std::size_t>(random.below(static_cast<Index>(i)))]);
  }

  void begin(Index epoch) {
    Generator epochs(options_.seed, RandomUse::batches);
    epochs.set_position(static_cast<std::uint64_t>(epoch));
    Generator random(epochs.fork());
    LargeVector<Index> order(inputs_.size());
    std::iota(order.begin(), order.end(), Index{0});
    shuffle(order, random);
    const Index group = 16 * options_.batch_size;
    for (auto from = order.begin(); from != order.end();) {
      const auto to = order.end() - from > group ? from + group : order.end();
      std::stable_sort(from, to, [&](Index a, Index b) {
        return inputs_[static_cast<std::size_t>(a)].length() < inputs_[static_cast<std::size_t>(b)].length();
      });
      from = to;
    }
    std::vector<std::vector<Index>> batches;
    for (std::size_t at = 0; at < order.size(); at += static_cast<std::size_t>(options_.batch_size)) {
      const std::size_t end = std::min(order.size(), at + static_cast<std::size_t>(options_.batch_size));
      memory::append(batches, std::vector<Index>(order.begin() + static_cast<std::ptrdiff_t>(at),
                                                 order.begin() + static_cast<std::ptrdiff_t>(end)));
    }
    shuffle(batches, random);
    batches_ = std::move(batches);  // at the end: if there is no memory, the next call begins again
    epoch_ = epoch;
  }

  std::vector<EncodedExample> inputs_;
  Task task_;
  TaskBatchesOptions options_;
  Index position_ = 0, epoch_ = -1;
  std::vector<std::vector<Index>> batches_;  // of the epoch of the last next()
};

}  // namespace data
}  // namespace gptlite::inline GPTLITE_ABI
