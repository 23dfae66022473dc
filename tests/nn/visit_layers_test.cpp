// visit_layers and visit_parameters: which layers are found, in which order, by which names.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gptlite/models/gpt.hpp"
#include "gptlite/nn/freeze.hpp"

using namespace gptlite;

namespace {

// Layers in vectors of vectors, tensors in a vector, and a type that holds itself.
struct Tree {
  using value_type = double;
  std::vector<Tensor<double>> tensors;
  std::vector<std::vector<Linear<double>>> grid;
  std::vector<Tree> branches;

  void visit(auto&& f) {
    f("tensors", tensors);
    f("grid", grid);
    f("branches", branches);
  }
};

struct Wrapper {
  using value_type = float;
  GPT<float> transformer;
  Linear<float> score;

  void visit(auto&& f) {
    f("transformer", transformer);
    f("score", score);
  }
};

const GPTConfig small{.vocab_size = 7, .block_size = 5, .n_layer = 2, .n_head = 2, .n_embd = 4};

template <class Layer, class Module>
std::vector<std::string> layer_names(Module& module, const std::string& prefix = "") {
  std::vector<std::string> names;
  visit_layers<Layer>(
      module, [&](const std::string& name, Layer&) { names.push_back(name); }, prefix);
  return names;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the layers of a type are visited in order, under the names of their parameters") {
  GPT<float> model(small);
  CHECK(layer_names<Linear<float>>(model) == Names{"h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.mlp.c_fc",
                                                   "h.0.mlp.c_proj", "h.1.attn.c_attn", "h.1.attn.c_proj",
                                                   "h.1.mlp.c_fc", "h.1.mlp.c_proj"});
  CHECK(layer_names<Embedding<float>>(model) == Names{"wte", "wpe"});
  CHECK(layer_names<MLP<float>>(model, "model.") == Names{"model.h.0.mlp", "model.h.1.mlp"});
  CHECK(layer_names<Linear<double>>(model).empty());
  CHECK(layer_names<GPT<float>>(model).empty());  // inside, not itself
}

TEST_CASE("layers are the model's own, not copies") {
  GPT<float> model(small);
  std::vector<Linear<float>*> found;
  visit_layers<Linear<float>>(model, [&](const std::string&, Linear<float>& layer) { found.push_back(&layer); });
  REQUIRE(found.size() == 8);
  CHECK(found[0] == &model.h[0].attn.c_attn);
  CHECK(found[7] == &model.h[1].mlp.c_proj);
}

TEST_CASE("a model inside another has its names behind a prefix") {
  Generator init(1);
  Wrapper model{GPT<float>(small), Linear<float>(4, 3, Init::normal(0.02), init)};
  const Names names = layer_names<Linear<float>>(model);
  REQUIRE(names.size() == 9);
  CHECK(names.front() == "transformer.h.0.attn.c_attn");
  CHECK(names.back() == "score");
  CHECK(layer_names<GPT<float>>(model) == Names{"transformer"});
}

TEST_CASE("vectors may be nested, hold tensors, and the layer that is looked for may hold its own kind") {
  Generator init(1);
  const Linear<double> layer(2, 3, Init::normal(0.02), init);
  Tree tree{.tensors = {Tensor<double>::ones({2}), {}, Tensor<double>::ones({3})},
            .grid = {{layer}, {}, {layer, layer}},
            .branches = {}};
  tree.branches = {tree, tree};
  CHECK(layer_names<Linear<double>>(tree) == Names{"grid.0.0", "grid.2.0", "grid.2.1", "branches.0.grid.0.0",
                                                   "branches.0.grid.2.0", "branches.0.grid.2.1", "branches.1.grid.0.0",
                                                   "branches.1.grid.2.0", "branches.1.grid.2.1"});
  tree.branches[0].branches = {Tree{}};
  CHECK(layer_names<Tree>(tree) == Names{"branches.0", "branches.0.branches.0", "branches.1"});
  Names names;
  visit_parameters(
      tree, [&](const std::string& name, auto&) { names.push_back(name); }, "tree/");
  REQUIRE(names.size() == 3 * 8);
  CHECK(names[0] == "tree/tensors.0");
  CHECK(names[1] == "tree/tensors.2");  // undefined tensors are passed over
  CHECK(names[2] == "tree/grid.0.0.weight");
  CHECK(names[23] == "tree/branches.1.grid.2.1.bias");
}

TEST_CASE("a const model is visited, counted and searched, and its tensors are const") {
  GPT<float> model(small);
  const GPT<float>& constant = model;
  std::vector<std::string> names, const_names;
  visit_parameters(model, [&](const std::string& name, Tensor<float>&) { names.push_back(name); });
  visit_parameters(constant, [&](const std::string& name, auto& tensor) {
    static_assert(std::is_const_v<std::remove_reference_t<decltype(tensor)>>);
    const_names.push_back(name);
  });
  CHECK(names == const_names);
  CHECK(parameter_count(constant) == parameter_count(model));
  CHECK(trainable_count(constant) == parameter_count(model));
  Index linears = 0;
  visit_layers<Linear<float>>(constant, [&](const std::string&, const Linear<float>&) { ++linears; });
  CHECK(linears == 8);
}
