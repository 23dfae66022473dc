// Logistic regression on bags of tokens, for the tasks that finetune learns: the floor that a language model must pass.
//
//   bag_of_words --task entailment --tokenizer FOLDER --train train.tsv --dev dev.tsv --test test.tsv
//
// A feature is there or not. A text's features are its tokens; a pair's those of each text, and those of both at once.
// Each choice of a multiple choice gets a score from its tokens and those that it shares with the context. A score of
// similarity, 3.4 say, is taught as class 3 with probability 0.6 and class 4 with 0.4; what is predicted is the mean.
// The epoch that is best on --dev is tested. The last line on stdout is one JSON object with the results.

#include <chrono>
#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>
#include <numeric>
#include <set>
#include <sstream>

#include "support/command_line.hpp"

namespace {

using namespace gptlite;

struct Options {
  std::string task, tokenizer, train, dev, test, out;
  Index epochs = 20, batch_size = 32;
  double learning_rate = 3e-3, weight_decay = 0;
  int threads = 0;
  std::uint64_t seed = 1;
};

// A set of examples as features: `rows` bags an example, and the probability that each class should get.
struct Examples {
  Index rows = 1, classes = 0;
  std::vector<std::vector<TokenId>> bags;  // examples times rows, each the features that are there
  std::vector<float> targets;              // (examples, classes)
  std::vector<Index> labels;
  std::vector<double> scores;  // of similarity

  Index size() const { return static_cast<Index>(targets.size()) / classes; }
};

class FeatureMaker {
 public:
  explicit FeatureMaker(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // Features 0..V-1 are tokens of the first text, V..2V-1 of the second, 2V..3V-1 of both.
  Index features() const { return 3 * tokenizer_.vocab_size(); }

  /// classes: of the task; for a multiple choice the number of choices.
  Examples operator()(const data::TaskSet& set, Index classes) const {
    Examples result;
    result.classes = classes;
    if (set.task == Task::multiple_choice) result.rows = classes;
    for (const data::TaskExample& example : set.examples) {
      const std::set<TokenId> first = tokens(example.texts[0]);
      if (example.texts.size() == 1) result.bags.emplace_back(first.begin(), first.end());
      for (std::size_t i = 1; i < example.texts.size(); ++i)
        result.bags.push_back(pair(first, tokens(example.texts[i]), set.task != Task::multiple_choice));
      std::vector<float> target(static_cast<std::size_t>(classes));
      const double last = static_cast<double>(classes - 1);
      const double wanted =
          set.task == Task::similarity ? std::clamp(example.score, 0.0, last) : static_cast<double>(example.label);
      const auto below = static_cast<std::size_t>(wanted);
      const auto above = static_cast<float>(wanted - std::floor(wanted));
      target[below] = 1 - above;
      if (above > 0) target[below + 1] = above;
      result.targets.insert(result.targets.end(), target.begin(), target.end());
      result.labels.push_back(example.label);
      result.scores.push_back(example.score);
    }
    return result;
  }

 private:
  std::set<TokenId> tokens(const std::string& text) const {
    const std::vector<TokenId> all = tokenizer_.encode(" " + text);  // the first word is the same token as elsewhere
    return {all.begin(), all.end()};
  }
  std::vector<TokenId> pair(const std::set<TokenId>& a, const std::set<TokenId>& b, bool with_a) const {
    const auto V = static_cast<TokenId>(tokenizer_.vocab_size());
    std::vector<TokenId> bag;
    if (with_a) bag.assign(a.begin(), a.end());
    for (const TokenId token : b) {
      bag.push_back(V + token);
      if (a.contains(token)) bag.push_back(2 * V + token);
    }
    return bag;
  }

  const text::Tokenizer& tokenizer_;
};

struct LogisticRegression {
  using value_type = float;
  Tensor<float> weight, bias;  // (features, outputs), (outputs)

  LogisticRegression(Index features, Index outputs)
      : weight(Tensor<float>::zeros({features, outputs}).set_requires_grad()),
        bias(Tensor<float>::zeros({outputs}).set_requires_grad()) {}
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }

  /// Scores of the examples with the given numbers: (numbers, classes). A bag is its features, padded to the longest of
  /// the batch by features of value 0; those that are there share a length of 1.
  Tensor<float> operator()(const Examples& set, std::span<const Index> numbers) const {
    std::vector<const std::vector<TokenId>*> bags;
    for (const Index number : numbers)
      for (Index row = 0; row < set.rows; ++row)
        bags.push_back(&set.bags[static_cast<std::size_t>(number * set.rows + row)]);
    std::size_t longest = 1;
    for (const auto* bag : bags) longest = std::max(longest, bag->size());
    const auto B = static_cast<Index>(bags.size()), L = static_cast<Index>(longest);
    Tensor<TokenId> features = Tensor<TokenId>::zeros({B, L});
    Tensor<float> values = Tensor<float>::zeros({B, L, 1});
    for (Index b = 0; b < B; ++b) {
      const std::vector<TokenId>& bag = *bags[static_cast<std::size_t>(b)];
      std::copy(bag.begin(), bag.end(), features.data() + b * L);
      std::fill_n(values.data() + b * L, bag.size(), 1 / std::sqrt(static_cast<float>(bag.size())));
    }
    const Tensor<float> scores = sum(embedding(features, weight) * values, 1) + bias;
    return reshape(scores, {static_cast<Index>(numbers.size()), set.classes});
  }

  /// Mean over the examples of -sum over the classes of target log(probability).
  Tensor<float> loss(const Examples& set, std::span<const Index> numbers) const {
    std::vector<float> targets;
    for (const Index number : numbers) {
      const auto begin = set.targets.begin() + number * set.classes;
      targets.insert(targets.end(), begin, begin + set.classes);
    }
    const Tensor<float> log_probabilities = log_softmax((*this)(set, numbers));
    return sum(log_probabilities * Tensor<float>::from(targets, log_probabilities.shape())) /
           -static_cast<float>(numbers.size());
  }
};

struct Predictions {
  std::vector<Index> labels;   // the likeliest class
  std::vector<double> scores;  // the mean class
};

Predictions predict(const LogisticRegression& model, const Examples& set) {
  const NoGrad no_grad;
  std::vector<Index> all(static_cast<std::size_t>(set.size()));
  std::iota(all.begin(), all.end(), Index{0});
  const Tensor<float> probabilities = softmax(model(set, all));
  Predictions result;
  for (Index i = 0; i < set.size(); ++i) {
    const float* row = probabilities.data() + i * set.classes;
    result.labels.push_back(std::max_element(row, row + set.classes) - row);
    double mean = 0;
    for (Index c = 0; c < set.classes; ++c) mean += static_cast<double>(c) * static_cast<double>(row[c]);
    result.scores.push_back(mean);
  }
  return result;
}

void write_predictions(const std::string& path, const Predictions& predictions, const Examples& set, bool scores) {
  std::ostringstream text;
  text << "target\tpredicted\n";
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    if (scores)
      text << set.scores[i] << '\t' << predictions.scores[i] << '\n';
    else
      text << set.labels[i] << '\t' << predictions.labels[i] << '\n';
  }
  io::write_text(path, text.str());
}

int run(const Options& o) {
  check<ConfigError>(o.epochs > 0, "bag_of_words", "--epochs must be positive, got ", o.epochs);
  check<ConfigError>(o.batch_size > 0, "bag_of_words", "--batch-size must be positive, got ", o.batch_size);
  set_num_threads(o.threads);
  const Task task = parse<Task>(o.task);
  const data::TaskSet train_set = data::read_task(o.train, task, {});
  const data::TaskSet dev_set = data::read_task(o.dev, task, {.labels = train_set.labels});
  const data::TaskSet test_set = data::read_task(o.test, task, {.labels = train_set.labels});
  const std::size_t texts = train_set.examples.at(0).texts.size();
  for (const data::TaskSet* set : {&dev_set, &test_set})
    check<DataError>(set->examples.at(0).texts.size() == texts, "bag_of_words", "--dev and --test must have ", texts,
                     " texts a row as --train has, got ", set->examples.at(0).texts.size());

  auto classes = static_cast<Index>(train_set.labels.size());
  if (task == Task::multiple_choice) classes = static_cast<Index>(texts) - 1;
  if (task == Task::similarity) {
    const auto by_score = [](const auto& a, const auto& b) { return a.score < b.score; };
    const auto highest = std::max_element(train_set.examples.begin(), train_set.examples.end(), by_score);
    classes = static_cast<Index>(std::ceil(highest->score)) + 1;
  }
  const text::Tokenizer tokenizer = io::load_tokenizer(o.tokenizer);
  const FeatureMaker features(tokenizer);
  const Examples train = features(train_set, classes), dev = features(dev_set, classes),
                 test = features(test_set, classes);
  const auto metric = [task](const Predictions& predictions, const Examples& set) {
    return task == Task::similarity ? train::pearson(predictions.scores, set.scores)
                                    : train::accuracy(predictions.labels, set.labels);
  };

  const auto start = std::chrono::steady_clock::now();
  LogisticRegression model(features.features(), task == Task::multiple_choice ? 1 : classes);
  train::AdamW optimizer(model, {.learning_rate = o.learning_rate, .weight_decay = o.weight_decay});
  Generator random(o.seed, RandomUse::batches);
  std::vector<Index> order(static_cast<std::size_t>(train.size()));
  std::iota(order.begin(), order.end(), Index{0});
  double best = -2;  // below any correlation
  Index best_epoch = 0;
  Predictions best_dev, best_test;
  for (Index epoch = 1; epoch <= o.epochs; ++epoch) {
    for (Index i = train.size() - 1; i > 0; --i)  // Fisher and Yates
      std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(random.below(i + 1))]);
    double loss = 0;
    for (Index at = 0; at < train.size(); at += o.batch_size) {
      const Index count = std::min(o.batch_size, train.size() - at);
      const Tensor<float> part = model.loss(train, {order.data() + at, static_cast<std::size_t>(count)});
      part.backward();
      optimizer.step();
      loss += static_cast<double>(part.item()) * static_cast<double>(count) / static_cast<double>(train.size());
    }
    const Predictions predictions = predict(model, dev);
    const double value = metric(predictions, dev);
    std::cerr << "epoch " << epoch << ": loss " << loss << ", dev " << value << '\n';
    if (value <= best) continue;
    best = value;
    best_epoch = epoch;
    best_dev = predictions;
    best_test = predict(model, test);
  }
  if (!o.out.empty()) {
    io::make_folder(o.out);
    write_predictions(o.out + "/predictions_dev.tsv", best_dev, dev, task == Task::similarity);
    write_predictions(o.out + "/predictions_test.tsv", best_test, test, task == Task::similarity);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const std::string name = task == Task::similarity ? "pearson" : "accuracy";
  const nlohmann::ordered_json result = {{"task", o.task},
                                         {"seed", o.seed},
                                         {"metric", name},
                                         {"dev", {{name, best}}},
                                         {"test", {{name, metric(best_test, test)}}},
                                         {"best_epoch", best_epoch},
                                         {"epochs", o.epochs},
                                         {"seconds", seconds.count()}};
  std::cout << result.dump() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("bag_of_words", [&] {
    Options o;
    CLI::App app("Logistic regression on bags of tokens: the floor of the tasks that finetune learns.", "bag_of_words");
    app.option_defaults()->take_last();
    app.add_option("--task", o.task, "classification, entailment, similarity or multiple-choice")->required();
    app.add_option("--tokenizer", o.tokenizer, "folder with tokenizer.json, or vocab.json and merges.txt")
        ->type_name("PATH")
        ->required();
    app.add_option("--train", o.train, "TSV file to learn from")->type_name("PATH")->required();
    app.add_option("--dev", o.dev, "TSV file that chooses the epoch")->type_name("PATH")->required();
    app.add_option("--test", o.test, "TSV file that the best epoch is tested with")->type_name("PATH")->required();
    app.add_option("--out", o.out, "folder for predictions_dev.tsv and predictions_test.tsv")->type_name("PATH");
    app.add_option("--epochs", o.epochs, "times that all examples are seen")->capture_default_str();
    app.add_option("--batch-size", o.batch_size, "examples a step")->capture_default_str();
    app.add_option("--learning-rate", o.learning_rate, "constant")->capture_default_str();
    app.add_option("--weight-decay", o.weight_decay, "on the features' weights")->capture_default_str();
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    app.add_option("--seed", o.seed, "of the order of the examples")->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
