// TaskBatches: every example once an epoch, of similar length; padding, grades, and texts that are none.

#include "gptlite/data/task_batches.hpp"

#include <doctest/doctest.h>

#include <set>

#include "support/throws.hpp"

using namespace gptlite;

namespace {

// A token a character: 'a' is 1, 'b' 2, ...; '<' is 50, '|' 51, '>' 52; '~', special, 53.
struct Letters {
  std::vector<TokenId> encode(const std::string& text) const {
    std::vector<TokenId> tokens;
    for (const char c : text)
      tokens.push_back(c == '<' ? 50 : c == '|' ? 51 : c == '>' ? 52 : c == '~' ? 53 : c - 'a' + 1);
    return tokens;
  }
  std::vector<TokenId> special_tokens() const { return {53}; }
};
const text::TaskLayout layout{{50, 51, 52}, 12};

data::TaskSet set_of(Task task, std::vector<std::vector<std::string>> texts) {
  data::TaskSet set{task, "a.tsv", {}, {}};
  for (std::vector<std::string>& row : texts)
    set.examples.push_back(
        {row, static_cast<Index>(set.examples.size()), 3.4, static_cast<Index>(set.examples.size()) + 2});
  return set;
}

std::vector<TokenId> ids(const Tensor<TokenId>& tensor) { return {tensor.data(), tensor.data() + tensor.numel()}; }

}  // namespace

TEST_CASE("a batch of more examples than there are is all of them") {
  const auto inputs = data::encode_task(set_of(Task::classification, {{"ab"}, {"c"}, {"d"}}), Letters(), layout);
  data::TaskBatches<float> batches(inputs, Task::classification, {.batch_size = Index{1} << 60});
  CHECK(batches.batches_per_epoch() == 1);
  CHECK(batches.next().tokens.shape() == Shape{3, 4});
}

TEST_CASE("batches are padded on the right, with the lengths") {
  const auto one = data::encode_task(set_of(Task::classification, {{"ab"}, {"cdef"}}), Letters(), layout);
  TaskBatch<float> batch = data::collate<float>(one, {1, 0}, Task::classification, 0);
  CHECK(batch.tokens.shape() == Shape{2, 6});
  CHECK(ids(batch.tokens) == std::vector<TokenId>{50, 3, 4, 5, 6, 52, 50, 1, 2, 52, 0, 0});
  CHECK(ids(batch.lengths) == std::vector<std::int32_t>{6, 4});
  CHECK(ids(batch.labels) == std::vector<std::int32_t>{1, 0});
  CHECK(batch.sequences_per_example == 1);

  const auto pair = data::encode_task(set_of(Task::similarity, {{"a", "bc"}}), Letters(), layout);
  batch = data::collate<float>(pair, {0}, Task::similarity, 6);
  CHECK(ids(batch.tokens) == std::vector<TokenId>{50, 1, 51, 2, 3, 52, 50, 2, 3, 51, 1, 52});
  CHECK(batch.sequences_per_example == 2);
  CHECK_FALSE(batch.labels.defined());
  const float grades[] = {0, 0, 0, 0.6f, 0.4f, 0};
  for (Index k = 0; k < 6; ++k) CHECK(batch.probabilities.data()[k] == doctest::Approx(grades[k]));

  const auto choice = data::encode_task(set_of(Task::multiple_choice, {{"a", "b", "c", "d"}}), Letters(), layout);
  CHECK(data::collate<float>(choice, {0}, Task::multiple_choice, 0).sequences_per_example == 3);
  const auto pairs = data::encode_task(set_of(Task::entailment, {{"a", "b"}}), Letters(), layout);
  CHECK(pairs[0].sequences == std::vector<text::Tokens>{{50, 1, 51, 2, 52}});
}

TEST_CASE("grades of the ends") {
  std::vector<double> p(6);
  data::put_grades(p.data(), 6, 5.0);
  CHECK(p == std::vector<double>{0, 0, 0, 0, 0, 1});
  data::put_grades(p.data(), 6, 0.0);
  CHECK(p == std::vector<double>{1, 0, 0, 0, 0, 0});
  data::put_grades(p.data(), 6, 0.25);
  CHECK(p == std::vector<double>{0.75, 0.25, 0, 0, 0, 0});
}

TEST_CASE("an epoch has every example once, another order the next, the same for the same seed") {
  std::vector<std::vector<std::string>> texts;
  for (int i = 0; i < 103; ++i) texts.push_back({std::string(static_cast<std::size_t>(1 + i * 7 % 10), 'a')});
  const auto inputs = data::encode_task(set_of(Task::classification, texts), Letters(), layout);
  const auto epochs = [&](std::uint64_t seed) {
    data::TaskBatches<float> batches(inputs, Task::classification, {.batch_size = 4, .seed = seed});
    CHECK(batches.batches_per_epoch() == 26);
    std::vector<std::vector<std::int32_t>> labels(2);
    Index tokens = 0, padded = 0;
    for (std::vector<std::int32_t>& epoch : labels)
      for (int n = 0; n < 26; ++n) {
        const TaskBatch<float> batch = batches.next();
        CHECK(batch.labels.numel() <= 4);
        epoch.insert(epoch.end(), batch.labels.data(), batch.labels.data() + batch.labels.numel());
        padded += batch.tokens.numel();
        for (Index s = 0; s < batch.lengths.numel(); ++s) tokens += batch.lengths.data()[s];
      }
    CHECK(static_cast<double>(padded) < 1.1 * static_cast<double>(tokens));
    return labels;
  };
  const auto labels = epochs(1);
  for (const auto& epoch : labels) CHECK(std::set<std::int32_t>(epoch.begin(), epoch.end()).size() == 103);
  CHECK(labels[0].size() == 103);
  CHECK(labels[0] != labels[1]);
  CHECK(epochs(1) == labels);
  CHECK(epochs(2) != labels);

  data::TaskBatches<float> batches(inputs, Task::classification, {.batch_size = 4, .seed = 1});
  batches.set_position(30);
  CHECK(batches.next().labels.data()[0] == labels[1][16]);
}

TEST_CASE("texts that are none, and options that cannot work") {
  CHECK(message_of<DataError>([] {
          data::encode_task(set_of(Task::classification, {{"ab"}, {"~~"}}), Letters(), layout);
        }) == "[encode_task] a.tsv, row 3: the text \"~~\" has no tokens but special ones");
  CHECK(message_of<DataError>([] {
          data::encode_task(set_of(Task::classification, {{"ab"}, {"a<b"}}), Letters(), layout);
        }) == "[encode_task] a.tsv, row 3: the text \"a<b\" has a start, delimiter or extract token in it");
  CHECK(message_of<DataError>([] {
          data::encode_task(set_of(Task::entailment, {{"ab", ""}}), Letters(), layout);
        }) == "[encode_task] a.tsv, row 2: the text \"\" has no tokens but special ones");
  CHECK(message_of<DataError>([] { data::TaskBatches<float>({}, Task::classification, {}); }) ==
        "[TaskBatches] there are no examples");
  const std::vector<data::EncodedExample> uneven{{{{1}, {2}}, 0, 0}, {{{1}}, 0, 0}};
  CHECK(message_of<DataError>([&] {
          data::collate<float>(uneven, {0, 1}, Task::multiple_choice, 0);
        }) == "[collate] example 1 has 1 sequences, the first 2");
  CHECK(message_of<ConfigError>([&] { data::TaskBatches<float>(uneven, Task::classification, {.batch_size = 0}); }) ==
        "[TaskBatches] batch_size must be positive, got 0");
}
