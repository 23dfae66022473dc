// Operations, forward and backward, with each of their sizes 0 in turn: empty results, or sums of nothing.

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "gptlite/gptlite.hpp"
#include "support/free_memory.hpp"
#include "support/operations.hpp"

using namespace gptlite;

namespace {

using Sizes = std::vector<Index>;
using Doubles = std::vector<Tensor<double>>;

/// An operation on inputs whose shapes follow from the sizes.
struct Operation {
  std::string name;
  Index sizes;
  std::function<std::vector<Shape>(const Sizes&)> shapes;
  std::function<Tensor<double>(const Doubles&, const Sizes&)> f;
};

Tensor<std::int32_t> ids(Index n) { return Tensor<std::int32_t>::zeros({n}); }

std::vector<Operation> all_operations() {
  std::vector<Operation> all;
  const auto add = [&](std::string name, Index sizes, auto shapes, auto f) {
    all.push_back({std::move(name), sizes, shapes, f});
  };
  const auto two = [](const Sizes& s) { return std::vector<Shape>{{s[0], s[1]}}; };
  add(
      "add", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {s[1]}};
      },
      [](const Doubles& x, const Sizes&) { return x[0] + x[1]; });
  add(
      "mul", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {s[0], 1}};
      },
      [](const Doubles& x, const Sizes&) { return x[0] * x[1]; });
  add("sub", 2, two, [](const Doubles& x, const Sizes&) { return x[0] - x[0]; });
  add("div", 2, two, [](const Doubles& x, const Sizes&) { return x[0] / x[0]; });
  add("neg", 2, two, [](const Doubles& x, const Sizes&) { return -x[0]; });
  add("gelu_tanh", 2, two, [](const Doubles& x, const Sizes&) { return gelu_tanh(x[0]); });
  add("gelu_erf", 2, two, [](const Doubles& x, const Sizes&) { return gelu_erf(x[0]); });
  add("silu", 2, two, [](const Doubles& x, const Sizes&) { return silu(x[0]); });
  add("relu", 2, two, [](const Doubles& x, const Sizes&) { return relu(x[0]); });
  add("relu_squared", 2, two, [](const Doubles& x, const Sizes&) { return relu_squared(x[0]); });
  add("sigmoid", 2, two, [](const Doubles& x, const Sizes&) { return sigmoid(x[0]); });
  add("exp", 2, two, [](const Doubles& x, const Sizes&) { return exp(x[0]); });
  add("log", 2, two, [](const Doubles& x, const Sizes&) { return log(x[0]); });
  add("dropout", 2, two, [](const Doubles& x, const Sizes&) {
    Generator generator(7);
    return dropout(x[0], 0.5, generator);
  });
  add("tanh", 2, two, [](const Doubles& x, const Sizes&) { return tanh(x[0]); });
  add("softmax", 2, two, [](const Doubles& x, const Sizes&) { return softmax(x[0]); });
  add("log_softmax", 2, two, [](const Doubles& x, const Sizes&) { return log_softmax(x[0]); });
  add("sum of an axis", 2, two, [](const Doubles& x, const Sizes&) { return sum(x[0], 0); });
  add("sum_all", 2, two, [](const Doubles& x, const Sizes&) { return sum(x[0]); });
  add("transpose", 2, two, [](const Doubles& x, const Sizes&) { return transpose(x[0], 0, 1); });
  add("reshape", 2, two, [](const Doubles& x, const Sizes& s) { return reshape(x[0], {s[1], s[0]}); });
  add("slice", 2, two, [](const Doubles& x, const Sizes& s) { return slice(x[0], 0, s[0] / 2, s[0]); });
  add(
      "concat", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {2, s[1]}};
      },
      [](const Doubles& x, const Sizes&) {
        return concat<double>({x[0], x[1]}, 0);
      });
  add(
      "matmul", 4,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], s[2]}, {s[2], s[3]}};
      },
      [](const Doubles& x, const Sizes&) { return matmul(x[0], x[1]); });
  add(
      "matmul of batches", 4,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], s[2]}, {s[0], s[3], s[2]}};
      },
      [](const Doubles& x, const Sizes&) { return matmul(x[0], x[1], {.transpose_b = true}); });
  add(
      "linear", 4,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], s[2]}, {s[2], s[3]}, {s[3]}};
      },
      [](const Doubles& x, const Sizes&) { return linear(x[0], x[1], x[2], Activation::gelu_tanh); });
  add(
      "mlp", 3,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {s[1], s[2]}, {s[2]}, {s[2], s[1]}, {s[1]}};
      },
      [](const Doubles& x, const Sizes&) { return mlp(x[0], x[1], x[2], x[3], x[4]); });
  add(
      "gated_mlp", 3,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {s[1], 2 * s[2]}, {2 * s[2]}, {s[2], s[1]}, {s[1]}};
      },
      [](const Doubles& x, const Sizes&) { return gated_mlp(x[0], x[1], x[2], x[3], x[4]); });
  add(
      "layer_norm", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {s[1]}, {s[1]}};
      },
      [](const Doubles& x, const Sizes&) { return layer_norm(x[0], x[1], x[2]); });
  add(
      "add_layer_norm", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {s[0], s[1]}, {s[1]}, {s[1]}};
      },
      [](const Doubles& x, const Sizes&) {
        const auto [total, normed] = add_layer_norm(x[0], x[1], x[2], x[3]);
        return total + normed;
      });
  add(
      "rms_norm", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1]}, {s[1]}};
      },
      [](const Doubles& x, const Sizes&) { return rms_norm(x[0], x[1]); });
  add(
      "attention", 3,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], 3 * 2 * s[2]}};
      },
      [](const Doubles& x, const Sizes&) { return attention(x[0], {.n_head = 2}); });
  add(
      "attention of padded sequences in both directions", 3,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], 3 * 2 * s[2]}};
      },
      [](const Doubles& x, const Sizes& s) {
        return attention(x[0], {.n_head = 2, .causal = false, .lengths = ids(s[0])});
      });
  add(
      "attention with its projection", 4,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], s[2]}, {s[2], 3 * 2 * s[3]}, {3 * 2 * s[3]}};
      },
      [](const Doubles& x, const Sizes&) { return attention(x[0], x[1], x[2], {.n_head = 2}); });
  add(
      "lstm", 4,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], s[2]}, {s[2], 4 * 5}, {s[3], 4 * 5}, {4 * 5}, {5, s[3]}};
      },
      [](const Doubles& x, const Sizes&) {
        const LstmWeights<double> weights{x[1], x[2], x[3], x[4]};
        const auto outputs = lstm<double>({{x[0], weights}, {x[0], weights, TimeOrder::reverse}});
        return sum(outputs[0].y) + sum(outputs[1].carry.c);
      });
  add(
      "glu", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], 2 * s[1]}};
      },
      [](const Doubles& x, const Sizes&) { return glu(x[0], Activation::silu); });
  add(
      "max_pool", 3,
      [](const Sizes& s) {
        return std::vector<Shape>{{s[0], s[1], s[2]}};
      },
      [](const Doubles& x, const Sizes&) { return max_pool(x[0]); });
  add(
      "embedding", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{5, s[1]}};
      },
      [](const Doubles& x, const Sizes& s) { return embedding(ids(s[0]), x[0]); });
  add(
      "gather_rows", 2,
      [](const Sizes& s) {
        return std::vector<Shape>{{5, s[1]}};
      },
      [](const Doubles& x, const Sizes& s) { return gather_rows(x[0], ids(s[0])); });
  add(
      "linear_cross_entropy", 1,
      [](const Sizes& s) {
        return std::vector<Shape>{{3, s[0]}, {4, s[0]}};
      },
      [](const Doubles& x, const Sizes&) { return linear_cross_entropy(x[0], x[1], ids(3)); });
  return all;
}

}  // namespace

TEST_CASE("every registered operation is tried with sizes of 0") {
  std::set<std::string> tried;
  for (const Operation& operation : all_operations()) tried.insert(operation.name.substr(0, operation.name.find(' ')));
  for (const auto& c : operations::cases<double>())
    if (c.operation != "cross_entropy")  // refuses them: a mean of no targets
      CHECK_MESSAGE(tried.count(c.operation) == 1, c.operation);
}

TEST_CASE("operations take every size 0, and none of their gradients is left unwritten") {
  for (const Operation& operation : all_operations())
    for (Index zero = 0; zero < operation.sizes; ++zero) {
      INFO(operation.name, ", size ", zero, " is 0");
      Sizes sizes(static_cast<std::size_t>(operation.sizes), 3);
      sizes[static_cast<std::size_t>(zero)] = 0;
      Doubles inputs;
      for (const Shape& shape : operation.shapes(sizes))
        inputs.push_back(Tensor<double>::ones(shape).set_requires_grad());
      fill_free_memory_with_nan();
      const Tensor<double> y = operation.f(inputs, sizes);
      fill_free_memory_with_nan();
      sum(y).backward();
      for (const Tensor<double>& input : inputs)
        if (input.has_grad())
          for (const double number : input.grad().to_vector()) CHECK(is_finite(number));
    }
}

TEST_CASE("the logits of no sequences, and of sequences of no tokens, are empty") {
  const GPT<float> model({.vocab_size = 7, .block_size = 4, .n_layer = 1, .n_head = 1, .n_embd = 4});
  CHECK(model.logits(Tensor<TokenId>::zeros({0, 3})).shape() == Shape{0, 3, 7});
  CHECK(model.logits(Tensor<TokenId>::zeros({2, 0})).shape() == Shape{2, 0, 7});
}
