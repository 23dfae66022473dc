// Elmo, ElmoEncoder and LstmLm: PyTorch's losses, features and gradients from the same weights; padding, threads,
// errors.

#include "gptlite/models/elmo.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/models/elmo_encoder.hpp"
#include "gptlite/models/lstm_lm.hpp"
#include "gptlite/models/task_model.hpp"
#include "gptlite/nn/freeze.hpp"
#include "support/fixture.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {

struct ElmoFixture {
  nlohmann::json json = read_fixture("elmo.json");
  Index size(const char* name) const { return json["sizes"][name].get<Index>(); }
  ElmoConfig config() const {
    return {.vocab_size = size("V"), .n_embd = size("C"), .hidden_size = size("H"), .n_layer = size("L"), .dropout = 0};
  }
  /// The stream's columns from `first` on, one fewer than it has.
  Tensor<TokenId> tokens(std::size_t first) const {
    std::vector<TokenId> all;
    for (const auto& row : json["stream"])
      for (std::size_t t = 0; t < 7; ++t) all.push_back(row[first + t].get<TokenId>());
    return Tensor<TokenId>::from(all, {3, 7});
  }
  /// Copies the weights into a layer whose parameters have the fixture's names, after `prefix`.
  template <class T, class Module>
  void load(Module& module, const std::string& prefix = "", const std::string& from = "",
            const std::string& to = "") const {
    visit_parameters(module, [&](const std::string& name, Tensor<T>& tensor) {
      const auto numbers = json["weights"].at(prefix + renamed(name, from, to)).get<std::vector<double>>();
      REQUIRE(tensor.numel() == static_cast<Index>(numbers.size()));
      for (Index i = 0; i < tensor.numel(); ++i)
        tensor.data()[i] = static_cast<T>(numbers[static_cast<std::size_t>(i)]);
    });
  }
  template <class T, class Module>
  void compare_gradients(const Module& module, const char* which, double most, const std::string& prefix = "",
                         const std::string& from = "", const std::string& to = "") const {
    visit_parameters(module, [&](const std::string& name, const Tensor<T>& tensor) {
      const std::string full = prefix + renamed(name, from, to);
      CAPTURE(full);
      CHECK(relative_error(tensor.grad(), json[which].at(full).get<std::vector<double>>()) < most);
    });
  }
  static std::string renamed(const std::string& name, const std::string& from, const std::string& to) {
    return !from.empty() && name.starts_with(from) ? to + name.substr(from.size()) : name;
  }
};

template <class T>
void compare_elmo(double outputs, double gradients) {
  const ElmoFixture fixture;
  Elmo<T> model(fixture.config());
  fixture.load<T>(model);
  const std::vector<Tensor<T>> features = model.features(fixture.tokens(0));
  REQUIRE(features.size() == 3);
  for (std::size_t j = 0; j < 3; ++j)
    CHECK(relative_error(features[j], fixture.json["features"][j].get<std::vector<double>>()) < outputs);
  Tensor<T> loss = model.loss(fixture.tokens(0), fixture.tokens(1));
  CHECK(static_cast<double>(loss.item()) == doctest::Approx(fixture.json["loss"].get<double>()).epsilon(outputs));
  loss.backward();
  fixture.compare_gradients<T>(model, "gradients", gradients);
}

template <class T>
void compare_encoder(double outputs, double gradients) {
  const ElmoFixture fixture;
  Elmo<T> elmo(fixture.config());
  fixture.load<T>(elmo);
  constexpr TokenId start = 0, delimiter = 1, extract = 2;
  TaskModel<ElmoEncoder<T>> model(
      ElmoEncoder<T>(elmo, {.hidden_size = fixture.size("U"), .separator = delimiter, .dropout = 0}),
      {.task = Task::entailment, .n_class = 3, .dropout = 0});
  fixture.load<T>(model.backbone.mix, "mix.");
  fixture.load<T>(model.backbone.bilstm, "bilstm.");
  const auto score = fixture.json["weights"]["score"].get<std::vector<double>>();
  for (Index i = 0; i < model.score.weight.numel(); ++i)
    model.score.weight.data()[i] = static_cast<T>(score[static_cast<std::size_t>(i)]);
  TaskBatch<T> batch;
  batch.tokens = Tensor<TokenId>::zeros({3, 10});
  batch.lengths = Tensor<std::int32_t>::empty({3});
  batch.labels = Tensor<std::int32_t>::from(fixture.json["labels"].get<std::vector<std::int32_t>>());
  for (Index b = 0; b < 3; ++b) {
    std::vector<TokenId> row{start};
    for (const auto& text : fixture.json["pairs"][static_cast<std::size_t>(b)]) {
      if (row.size() > 1) row.push_back(delimiter);
      for (const auto& token : text) row.push_back(token.get<TokenId>());
    }
    row.push_back(extract);
    std::copy(row.begin(), row.end(), batch.tokens.data() + b * 10);
    batch.lengths.data()[b] = static_cast<std::int32_t>(row.size());
  }
  Tensor<T> loss = model.loss(batch);
  CHECK(static_cast<double>(loss.item()) == doctest::Approx(fixture.json["task"].get<double>()).epsilon(outputs));
  loss.backward();
  fixture.compare_gradients<T>(model.backbone.elmo, "task_gradients", gradients);
  fixture.compare_gradients<T>(model.backbone.mix, "task_gradients", gradients, "mix.");
  fixture.compare_gradients<T>(model.backbone.bilstm, "task_gradients", gradients, "bilstm.");
  CHECK(relative_error(model.score.weight.grad(), fixture.json["task_gradients"]["score"].get<std::vector<double>>()) <
        gradients);
}

template <class T>
void compare_lstm_lm(double outputs, double gradients) {
  const ElmoFixture fixture;
  LstmLm<T> model({.vocab_size = fixture.size("V"),
                   .n_embd = fixture.size("C"),
                   .hidden_size = fixture.size("H"),
                   .n_layer = fixture.size("L")});
  fixture.load<T>(model, "", "lstm.", "");
  Tensor<T> loss = model.loss(fixture.tokens(0), fixture.tokens(1));
  CHECK(static_cast<double>(loss.item()) == doctest::Approx(fixture.json["language"].get<double>()).epsilon(outputs));
  loss.backward();
  fixture.compare_gradients<T>(model, "language_gradients", gradients, "", "lstm.", "");
}

}  // namespace

TEST_CASE("Elmo: features, loss and gradients of PyTorch") {
  compare_elmo<double>(1e-9, 1e-9);
  compare_elmo<float>(1e-5, 1e-4);
}

TEST_CASE("ElmoEncoder: loss and gradients of PyTorch on pairs of texts") {
  compare_encoder<double>(1e-9, 1e-9);
  compare_encoder<float>(1e-5, 1e-4);
}

TEST_CASE("LstmLm: loss and gradients of PyTorch") {
  compare_lstm_lm<double>(1e-9, 1e-9);
  compare_lstm_lm<float>(1e-5, 1e-4);
}

TEST_CASE("ElmoEncoder: a frozen Elmo keeps its weights, and the rest trains") {
  const ElmoFixture fixture;
  TaskModel<ElmoEncoder<float>> model(ElmoEncoder<float>(Elmo<float>(fixture.config()), {.hidden_size = 4}), {});
  freeze(model, std::vector<std::string>{"backbone.elmo.*"});
  TaskBatch<float> batch;
  batch.tokens = fixture.tokens(0);
  batch.lengths = Tensor<std::int32_t>::from({7, 4, 3});
  batch.labels = Tensor<std::int32_t>::from({0, 1, 1});
  model.loss(batch).backward();
  visit_parameters(model, [](const std::string& name, const Tensor<float>& weight) {
    CHECK_MESSAGE(weight.has_grad() == !name.starts_with("backbone.elmo."), name);
  });
}

TEST_CASE("Elmo and LstmLm: the same bits for 1, 2, 3 and 4 threads, also under dropout") {
  const auto bits = [](int threads) {
    set_num_threads(threads);
    const ElmoFixture fixture;
    std::vector<float> all;
    const auto train = [&](auto model) {
      Tensor<float> loss = model.loss(fixture.tokens(0), fixture.tokens(1));
      loss.backward();
      all.push_back(loss.item());
      visit_parameters(model, [&](const std::string&, const Tensor<float>& weight) {
        const std::vector<float> gradient = weight.grad().to_vector();
        all.insert(all.end(), gradient.begin(), gradient.end());
      });
    };
    train(Elmo<float>({.vocab_size = 29, .n_embd = 40, .hidden_size = 70, .dropout = 0.2}));
    train(LstmLm<float>({.vocab_size = 29, .n_embd = 40, .hidden_size = 70, .n_layer = 2, .dropout = 0.2}));
    set_num_threads(0);
    return all;
  };
  const std::vector<float> one = bits(1);
  for (const int threads : {2, 3, 4}) {
    const std::vector<float> many = bits(threads);
    REQUIRE(many.size() == one.size());
    CHECK(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)) == 0);
  }
}

TEST_CASE("LstmLm: as the backbone of a task it reads each sequence's last token, and has L1") {
  const TaskModel<LstmLm<double>> model(LstmLm<double>({.vocab_size = 29, .n_embd = 6, .hidden_size = 9}), {});
  TaskBatch<double> batch;
  batch.tokens = ElmoFixture().tokens(0);
  batch.lengths = Tensor<std::int32_t>::from({7, 4, 3});
  batch.labels = Tensor<std::int32_t>::from({0, 1, 1});
  const TaskLosses<double> losses = model.losses(batch, 0.5);
  CHECK(losses.l3.item() == doctest::Approx(losses.l2.item() + 0.5 * losses.l1.item()));
  const std::vector<double> before =
      model.backbone.summary(model.backbone.pass(batch.tokens, batch.lengths), batch.lengths).to_vector();
  batch.tokens.data()[7 + 4] = 0;  // padding
  CHECK(model.backbone.summary(model.backbone.pass(batch.tokens, batch.lengths), batch.lengths).to_vector() == before);
}

TEST_CASE("Elmo, ElmoEncoder and LstmLm: what cannot work is refused") {
  const auto error = [](auto make) { return message_of<ConfigError>(make); };
  CHECK(error([] { Elmo<float> model({.n_embd = 4}); }) == "[ElmoConfig] vocab_size must be positive, got 0");
  CHECK(error([] { Elmo<float> model({.vocab_size = 9, .n_embd = 4, .hidden_size = 4}); }) ==
        "[ElmoConfig] n_embd must be positive and below hidden_size 4, got 4");
  CHECK(error([] { LstmLm<float> model({.vocab_size = 9, .n_embd = 4, .hidden_size = 8, .n_layer = 0}); }) ==
        "[LstmLmConfig] n_layer must be positive, got 0");
  CHECK(error([] { LstmLm<float> model({.vocab_size = 9, .n_embd = 4, .hidden_size = 8, .dropout = 1}); }) ==
        "[LstmLmConfig] dropout must be at least 0 and below 1, got 1");
  const Elmo<float> elmo({.vocab_size = 29, .n_embd = 4, .hidden_size = 8});
  CHECK(message_of<ShapeError>([&] {
          elmo.loss(Tensor<TokenId>::zeros({2, 3}), Tensor<TokenId>::zeros({2, 4}));
        }) == "[Elmo] tokens (2, 3) and targets (2, 4) must have one shape");
  const ElmoEncoder<float> encoder(elmo, {.hidden_size = 4, .separator = 5});
  CHECK(message_of<DataError>([&] {
          encoder.pass(Tensor<TokenId>::zeros({1, 3}), Tensor<std::int32_t>::from({3}));
        }) == "[ElmoEncoder] sequence 0 has no separator 5");
  CHECK(message_of<IndexError>([&] {
          encoder.pass(Tensor<TokenId>::zeros({1, 3}), Tensor<std::int32_t>::from({4}));
        }) == "[ElmoEncoder] length 4 of sequence 0 is outside 2..3");
  CHECK(message_of<ShapeError>([&] {
          encoder.pass(Tensor<TokenId>::zeros({2, 3}), Tensor<std::int32_t>::from({3}));
        }) == "[ElmoEncoder] tokens (2, 3) must be (B, T), with a length for each sequence, got (1)");
  const LstmLm<float> lstm({.vocab_size = 9, .n_embd = 4, .hidden_size = 8});
  const Tensor<float> hidden = lstm.pass(Tensor<TokenId>::zeros({2, 3}));
  CHECK(message_of<IndexError>([&] {
          lstm.summary(hidden, Tensor<std::int32_t>::from({3, 0}));
        }) == "[LstmLm] length 0 of sequence 1 is outside 1..3");
}
