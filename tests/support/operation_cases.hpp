#pragma once
// The cases of the registry. To add an operation: add its cases here and their PyTorch side in
// tests/fixtures/make_operations.py, then run that script.

#include "support/operations.hpp"

namespace operations {

template <class T>
std::vector<Case<T>> cases() {
  using namespace gptlite;
  using Inputs = const std::vector<Tensor<T>>&;
  std::vector<Case<T>> all;
  const auto add = [&](const char* operation, const std::string& variant, std::vector<Tensor<T>> inputs, auto f) {
    all.push_back({operation, operation + ("/" + variant), std::move(inputs), f});
  };
  const auto w = [](Shape shape, int n = 0, double low = -1.5, double high = 1.5) {
    return wave<T>(std::move(shape), n, low, high);
  };
  const auto ids = [](std::vector<TokenId> values, Shape shape) {
    return Tensor<TokenId>::from(values, std::move(shape));
  };

  // Arithmetic: shapes that broadcast in every way.
  struct Pair {
    const char* variant;
    Shape a, b;
  };
  const std::vector<Pair> pairs = {{"same", {3, 7}, {3, 7}},
                                   {"row", {3, 7}, {7}},
                                   {"column", {3, 7}, {3, 1}},
                                   {"scalar", {3, 7}, {}},
                                   {"outer", {3, 1}, {1, 5}},
                                   {"middle", {2, 3, 4}, {2, 1, 4}},
                                   {"left", {4}, {2, 3, 4}},
                                   {"one", {1}, {1}},
                                   {"empty", {0, 3}, {3}},
                                   {"long", {2, 37}, {2, 37}},
                                   {"ends", {2, 1, 3, 1}, {1, 4, 1, 2}}};
  for (const Pair& p : pairs) {
    add("add", p.variant, {w(p.a), w(p.b, 1)}, [](Inputs in) { return in[0] + in[1]; });
    add("sub", p.variant, {w(p.a), w(p.b, 1)}, [](Inputs in) { return in[0] - in[1]; });
    add("mul", p.variant, {w(p.a), w(p.b, 1)}, [](Inputs in) { return in[0] * in[1]; });
    add("div", p.variant, {w(p.a), w(p.b, 1, 0.5, 2)}, [](Inputs in) { return in[0] / in[1]; });
  }
  add("add", "reused", {w({3, 5})}, [](Inputs in) { return in[0] + in[0]; });
  add("sub", "reused", {w({3, 5})}, [](Inputs in) { return in[0] - in[0]; });
  add("mul", "reused", {w({3, 5})}, [](Inputs in) { return in[0] * in[0]; });
  add("div", "reused", {w({3, 5}, 0, 0.5, 2)}, [](Inputs in) { return in[0] / in[0]; });
  add("mul", "number", {w({3, 5})},
      [](Inputs in) { return 2 * in[0] + 1 - in[0] / 4 + (3 - in[0]) + 1 / (in[0] + 3); });
  add("neg", "odd", {w({3, 7})}, [](Inputs in) { return -in[0]; });
  add("neg", "empty", {w({0})}, [](Inputs in) { return -in[0]; });

  // Functions of one number.
  const auto unary = [&](const char* name, auto f, double low, double high) {
    add(name, "odd", {w({3, 7}, 0, low, high)}, f);
    add(name, "one", {w({1}, 1, low, high)}, f);
    add(name, "empty", {w({2, 0}, 0, low, high)}, f);
    add(name, "vectors", {w({2, 33}, 2, low, high)}, f);
  };
  unary(
      "gelu_tanh", [](Inputs in) { return gelu_tanh(in[0]); }, -3, 3);
  unary(
      "gelu_erf", [](Inputs in) { return gelu_erf(in[0]); }, -3, 3);
  unary(
      "silu", [](Inputs in) { return silu(in[0]); }, -3, 3);
  unary(
      "relu_squared", [](Inputs in) { return relu_squared(in[0]); }, -3, 3);
  unary(
      "tanh", [](Inputs in) { return tanh(in[0]); }, -2, 2);
  unary(
      "sigmoid", [](Inputs in) { return sigmoid(in[0]); }, -3, 3);
  unary(
      "exp", [](Inputs in) { return exp(in[0]); }, -2, 2);
  unary(
      "log", [](Inputs in) { return log(in[0]); }, 0.2, 4);
  unary(
      "relu", [](Inputs in) { return relu(in[0] * in[1]); }, 0.3, 1);
  for (std::size_t i = all.size() - 4; i < all.size(); ++i) {  // relu: signs alternate, far from the kink
    Tensor<T> signs = Tensor<T>::empty(all[i].inputs[0].shape());
    for (Index j = 0; j < signs.numel(); ++j) signs.data()[j] = j % 2 == 0 ? T(1) : T(-1);
    all[i].inputs.push_back(signs);
  }
  const auto gated = [&](const char* variant, Shape x, Activation activation) {
    add("glu", variant, {w(x, 0, -3, 3)}, [activation](Inputs in) { return glu(in[0], activation); });
  };
  gated("silu", {3, 10}, Activation::silu);
  gated("gelu_tanh", {2, 5, 66}, Activation::gelu_tanh);
  gated("none", {6}, Activation::none);
  gated("no_rows", {0, 4}, Activation::silu);
  gated("no_columns", {3, 0}, Activation::silu);
  add("gelu_tanh", "large", {w({3, 7}, 0, -40, 40)}, [](Inputs in) { return gelu_tanh(in[0]); });
  add("gelu_erf", "large", {w({3, 7}, 0, -40, 40)}, [](Inputs in) { return gelu_erf(in[0]); });
  add("silu", "large", {w({3, 7}, 0, -40, 40)}, [](Inputs in) { return silu(in[0]); });
  add("tanh", "large", {w({3, 7}, 0, -40, 40)}, [](Inputs in) { return tanh(in[0]); });
  add("sigmoid", "large", {w({3, 7}, 0, -40, 40)}, [](Inputs in) { return sigmoid(in[0]); });

  // Products.
  const auto product = [&](const char* variant, Shape a, Shape b, MatmulOptions options = {}) {
    add("matmul", variant, {w(a), w(b, 1)}, [options](Inputs in) { return matmul(in[0], in[1], options); });
  };
  product("plain", {3, 5}, {5, 4});
  product("transpose_a", {5, 3}, {5, 4}, {.transpose_a = true});
  product("transpose_b", {3, 5}, {4, 5}, {.transpose_b = true});
  product("transpose_both", {5, 3}, {4, 5}, {.transpose_a = true, .transpose_b = true});
  product("tiles", {19, 7}, {7, 37});
  product("tiles_transposed", {7, 19}, {37, 7}, {.transpose_a = true, .transpose_b = true});
  product("batch", {2, 3, 5}, {2, 5, 4});
  product("batch_transpose_a", {2, 5, 3}, {2, 5, 4}, {.transpose_a = true});
  product("batch_transpose_b", {2, 3, 5}, {2, 4, 5}, {.transpose_b = true});
  product("shared_b", {2, 3, 5}, {5, 4});
  product("shared_b_transpose_a", {2, 5, 3}, {5, 4}, {.transpose_a = true});
  product("shared_a", {3, 5}, {2, 5, 4});
  product("broadcast", {2, 1, 3, 2}, {1, 3, 2, 4});
  product("many", {9, 2, 3}, {9, 3, 2});
  product("one", {1, 1}, {1, 1});
  product("no_depth", {3, 0}, {0, 4});
  product("no_rows", {0, 3}, {3, 4});
  product("no_batch", {0, 2, 3}, {0, 3, 2});
  add("matmul", "reused", {w({4, 4})}, [](Inputs in) { return matmul(in[0], in[0]); });

  const auto affine = [&](const char* variant, Shape x, Index in_features, Index out, Activation activation) {
    add("linear", variant, {w(x), w({in_features, out}, 1), w({out}, 2)},
        [activation](Inputs in) { return linear(in[0], in[1], in[2], activation); });
  };
  affine("plain", {3, 5}, 5, 4, Activation::none);
  affine("gelu_tanh", {3, 5}, 5, 4, Activation::gelu_tanh);
  affine("gelu_erf", {3, 5}, 5, 4, Activation::gelu_erf);
  affine("silu", {3, 5}, 5, 4, Activation::silu);
  affine("relu", {3, 5}, 5, 4, Activation::relu);
  affine("relu_squared", {3, 5}, 5, 4, Activation::relu_squared);
  affine("tanh", {3, 5}, 5, 4, Activation::tanh);
  affine("batch", {2, 3, 5}, 5, 7, Activation::none);
  affine("batch_gelu_tanh", {2, 17, 5}, 5, 37, Activation::gelu_tanh);
  affine("vector", {5}, 5, 4, Activation::gelu_tanh);
  affine("one", {1, 1}, 1, 1, Activation::none);
  affine("no_rows", {0, 3}, 3, 4, Activation::gelu_tanh);
  add("linear", "no_bias", {w({3, 5}), w({5, 4}, 1)}, [](Inputs in) { return linear(in[0], in[1]); });
  add("linear", "reused", {w({4, 4})}, [](Inputs in) { return linear(in[0], in[0]); });

  const auto feed_forward = [&](const char* variant, Shape x, Index in_features, Index wide, Index out,
                                Activation activation = Activation::gelu_tanh) {
    add("mlp", variant, {w(x), w({in_features, wide}, 1), w({wide}, 2), w({wide, out}, 3), w({out}, 4)},
        [activation](Inputs in) { return mlp(in[0], in[1], in[2], in[3], in[4], activation); });
  };
  feed_forward("plain", {3, 5}, 5, 8, 4);
  feed_forward("batch", {2, 17, 5}, 5, 37, 6);
  feed_forward("vector", {5}, 5, 3, 2);
  feed_forward("one", {1, 1}, 1, 1, 1);
  feed_forward("no_rows", {0, 3}, 3, 4, 2);
  feed_forward("gelu_erf", {2, 17, 5}, 5, 37, 6, Activation::gelu_erf);
  feed_forward("silu", {2, 17, 5}, 5, 37, 6, Activation::silu);
  feed_forward("relu_squared", {2, 17, 5}, 5, 37, 6, Activation::relu_squared);
  feed_forward("tanh", {3, 5}, 5, 8, 4, Activation::tanh);
  add("mlp", "no_bias", {w({3, 5}), w({5, 8}, 1), w({8, 4}, 2)},
      [](Inputs in) { return mlp(in[0], in[1], {}, in[2], {}); });
  add("mlp", "reused", {w({4, 4})}, [](Inputs in) { return mlp(in[0], in[0], {}, in[0], {}); });

  const auto gated_forward = [&](const char* variant, Shape x, Index in_features, Index wide, Index out,
                                 Activation activation = Activation::silu) {
    add("gated_mlp", variant, {w(x), w({in_features, 2 * wide}, 1), w({2 * wide}, 2), w({wide, out}, 3), w({out}, 4)},
        [activation](Inputs in) { return gated_mlp(in[0], in[1], in[2], in[3], in[4], activation); });
  };
  gated_forward("plain", {3, 5}, 5, 8, 4);
  gated_forward("batch", {2, 17, 5}, 5, 37, 6);
  gated_forward("vector", {5}, 5, 3, 2, Activation::gelu_erf);
  gated_forward("no_rows", {0, 3}, 3, 4, 2);
  add("gated_mlp", "no_bias", {w({3, 5}), w({5, 16}, 1), w({8, 4}, 2)},
      [](Inputs in) { return gated_mlp(in[0], in[1], {}, in[2], {}, Activation::gelu_tanh); });
  add("gated_mlp", "reused", {w({4, 4}), w({4, 8}, 1)},
      [](Inputs in) { return gated_mlp(in[0], in[1], {}, in[0], {}); });

  // Rows: softmax, norm, loss.
  struct Rows {
    const char* variant;
    Shape shape;
    double size;
  };
  for (const Rows& r : {Rows{"odd", {3, 7}, 2}, Rows{"one", {1}, 2}, Rows{"wide", {2, 3, 35}, 2},
                        Rows{"large", {3, 7}, 60}, Rows{"no_rows", {0, 3}, 2}, Rows{"no_columns", {2, 0}, 2}}) {
    add("softmax", r.variant, {w(r.shape, 0, -r.size, r.size)}, [](Inputs in) { return softmax(in[0]); });
    add("log_softmax", r.variant, {w(r.shape, 0, -r.size, r.size)}, [](Inputs in) { return log_softmax(in[0]); });
  }
  const auto norm = [&](const char* variant, Shape x, Index n) {
    add("layer_norm", variant, {w(x), w({n}, 1), w({n}, 2)}, [](Inputs in) { return layer_norm(in[0], in[1], in[2]); });
  };
  norm("odd", {3, 7}, 7);
  norm("wide", {2, 17, 19}, 19);
  norm("two", {1, 2}, 2);
  norm("no_rows", {0, 3}, 3);
  const auto norm_of_sum = [&](const char* variant, Shape x, bool reused) {
    const Index n = x[-1];
    add("add_layer_norm", variant, {w(x), w(x, 3), w({n}, 1), w({n}, 2)}, [reused](Inputs in) {
      const auto [total, normed] = add_layer_norm(in[0], reused ? in[0] : in[1], in[2], in[3]);
      return total * 0.5 + normed;
    });
  };
  norm_of_sum("odd", {3, 7}, false);
  norm_of_sum("wide", {2, 17, 19}, false);
  norm_of_sum("no_rows", {0, 3}, false);
  norm_of_sum("reused", {3, 5}, true);
  add("layer_norm", "no_bias", {w({3, 7}), w({7}, 1)}, [](Inputs in) { return layer_norm(in[0], in[1], {}); });
  add("add_layer_norm", "no_bias", {w({3, 7}), w({3, 7}, 3), w({7}, 1)}, [](Inputs in) {
    const auto [total, normed] = add_layer_norm(in[0], in[1], in[2], {});
    return total * 0.5 + normed;
  });
  add("layer_norm", "reused", {w({5}, 3)}, [](Inputs in) { return layer_norm(in[0], in[0], in[0]); });
  const auto norm_of_squares = [&](const char* variant, Shape x, double eps = 1e-5) {
    const Index n = x[-1];
    add("rms_norm", variant, {w(x), w({n}, 1)}, [eps](Inputs in) { return rms_norm(in[0], in[1], eps); });
  };
  norm_of_squares("odd", {3, 7});
  norm_of_squares("wide", {2, 17, 33});
  norm_of_squares("vector", {5});
  norm_of_squares("eps", {3, 7}, 0.5);
  norm_of_squares("one", {1, 1}, 0.5);  // without eps a sign: its gradient would be 0
  norm_of_squares("no_rows", {0, 3});
  norm_of_squares("no_columns", {2, 0});
  add("rms_norm", "reused", {w({5}, 3)}, [](Inputs in) { return rms_norm(in[0], in[0]); });

  const auto loss = [&](const char* variant, Shape logits, std::vector<TokenId> targets, double size) {
    const Tensor<TokenId> t = ids(targets, logits.without(-1));
    add("cross_entropy", variant, {w(logits, 0, -size, size)}, [t](Inputs in) { return cross_entropy(in[0], t); });
  };
  loss("odd", {3, 7}, {6, 0, 3}, 2);
  loss("batch", {2, 3, 19}, {18, 2, 7, 7, 0, 1}, 2);
  loss("ignored", {4, 5}, {1, ignore_index, 4, ignore_index}, 2);
  loss("one", {1, 1}, {0}, 2);
  loss("large", {3, 7}, {6, 0, 3}, 60);

  for (const auto& [variant, shape] : {std::pair{"soft", Shape{3, 7}}, {"soft_batch", Shape{2, 3, 19}}})
    add("cross_entropy", variant, {w(shape, 0, -2, 2), w(shape, 1, 0.1, 0.9)},
        [](Inputs in) { return cross_entropy(in[0], in[1]); });

  const auto head_loss = [&](const char* variant, Shape h, Index V, std::vector<TokenId> targets) {
    const Tensor<TokenId> t = ids(targets, h.without(-1));
    add("linear_cross_entropy", variant, {w(h), w({V, h[-1]}, 1)},
        [t](Inputs in) { return linear_cross_entropy(in[0], in[1], t); });
  };
  head_loss("odd", {3, 5}, 7, {6, 0, 3});
  head_loss("batch", {2, 3, 4}, 19, {18, 2, 7, 7, 0, 1});
  head_loss("ignored", {4, 5}, 6, {1, ignore_index, 4, ignore_index});
  head_loss("one", {1, 1}, 1, {0});
  add("linear_cross_entropy", "weighted", {w({4, 5}), w({6, 5}, 1)},
      [t = ids({1, 5, 4, ignore_index}, {4}), weights = w({4}, 2, 0.1, 2)](Inputs in) {
        return linear_cross_entropy(in[0], in[1], t, weights);
      });
  add("linear_cross_entropy", "softcap", {w({4, 5}), w({6, 5}, 1)},
      [t = ids({1, 5, 4, ignore_index}, {4})](Inputs in) { return linear_cross_entropy(in[0], in[1], t, {}, 2.5); });
  add("linear_cross_entropy", "softcap_weighted", {w({3, 5}), w({7, 5}, 1)},
      [t = ids({6, 0, 3}, {3}), weights = w({3}, 2, 0.1, 2)](Inputs in) {
        return linear_cross_entropy(in[0], in[1], t, weights, 0.5);
      });
  add("linear_cross_entropy", "reused", {w({4, 3})},
      [t = ids({3, 0, 1, 1}, {4})](Inputs in) { return linear_cross_entropy(in[0], in[0], t); });

  // Rows by index, dropout.
  const auto table = [&](const char* variant, std::vector<TokenId> rows, Shape shape) {
    const Tensor<TokenId> t = ids(rows, std::move(shape));
    add("embedding", variant, {w({6, 5})}, [t](Inputs in) { return embedding(t, in[0]); });
  };
  table("repeated", {3, 0, 3, 5, 3, 1}, {2, 3});
  table("one", {5}, {1});
  table("none", {}, {0});
  add("gather_rows", "repeated", {w({4, 2, 3})},
      [t = ids({3, 3, 0}, {3})](Inputs in) { return gather_rows(in[0], t); });
  add("gather_rows", "wide", {w({3, 70})}, [t = ids({2, 0, 2, 1}, {4})](Inputs in) { return gather_rows(in[0], t); });
  add("gather_rows", "none", {w({4, 3})}, [t = ids({}, {0})](Inputs in) { return gather_rows(in[0], t); });
  for (const double p : {0.0, 0.3, 1.0})
    add("dropout", std::to_string(p).substr(0, 3), {w({5, 61})}, [p](Inputs in) {
      Generator generator(7);
      return dropout(in[0], p, generator);
    });

  // Attention.
  struct Attention {
    const char* variant;
    Index B, positions, n_head, head_size;
    Index window = 0;
    double p = 0;
    bool causal = true;
    std::vector<std::int32_t> lengths = {};
    double scale = 0;
  };
  for (const Attention& a : {Attention{"heads", 2, 5, 3, 4},
                             {"odd", 1, 33, 2, 5},
                             {"one_position", 2, 1, 2, 3},
                             {"window", 1, 37, 2, 3, 4},
                             {"window_one", 1, 6, 1, 3, 1},
                             {"window_wide", 1, 6, 1, 3, 99},
                             {"dropout", 1, 9, 2, 3, 0, 0.4},
                             {"window_dropout", 1, 41, 1, 2, 9, 0.4},
                             {"long", 1, 261, 1, 1},
                             {"no_positions", 2, 0, 2, 3},
                             {"no_batch", 0, 3, 2, 3},
                             {"both_sides", 2, 19, 2, 3, 0, 0, false},
                             {"both_sides_window", 1, 37, 2, 3, 4, 0, false},
                             {"both_sides_lengths", 3, 19, 2, 3, 0, 0, false, {19, 1, 7}},
                             {"both_sides_dropout", 2, 41, 1, 2, 30, 0.4, false, {30, 12}},
                             {"lengths", 3, 19, 2, 3, 0, 0, true, {7, 19, 1}},
                             {"lengths_zero", 2, 5, 1, 3, 0, 0, false, {0, 5}},
                             {"lengths_blind", 2, 9, 1, 3, 2, 0, true, {3, 9}},
                             {"scale", 1, 37, 2, 3, 0, 0, true, {}, 0.2},
                             {"scale_window", 2, 19, 2, 3, 4, 0, true, {}, 1.5}})
    add("attention", a.variant, {w({a.B, a.positions, 3 * a.n_head * a.head_size})}, [=](Inputs in) {
      Generator generator(7);
      return attention(in[0], {.n_head = a.n_head,
                               .causal = a.causal,
                               .window = a.window,
                               .lengths = a.lengths.empty() ? Tensor<std::int32_t>() : ids(a.lengths, {a.B}),
                               .dropout = a.p,
                               .generator = &generator,
                               .scale = a.scale});
    });
  // Shared heads of k and v, QK-norm and rotary positions, each alone and together, alone and after a projection.
  struct Heads {
    const char* variant;
    Index B, positions, n_head, n_kv_head, head_size;
    bool qk_norm, rotary;
    Index window = 0;
    double p = 0;
    std::vector<std::int32_t> lengths = {};
  };
  for (const Heads& a : {Heads{"kv_heads", 2, 5, 4, 2, 3, false, false},
                         {"one_kv_head", 1, 37, 3, 1, 5, false, false, 4},
                         {"qk_norm", 2, 5, 3, 3, 5, true, false},
                         {"rotary", 2, 9, 2, 2, 6, false, true},
                         {"rotary_wide", 1, 5, 1, 1, 70, false, true},
                         {"all_of_heads", 2, 11, 4, 2, 6, true, true, 4},
                         {"all_of_heads_dropout", 2, 11, 4, 2, 6, true, true, 4, 0.3},
                         {"all_of_heads_lengths", 2, 9, 2, 1, 4, true, true, 0, 0, {4, 9}},
                         {"all_of_heads_no_batch", 0, 3, 2, 1, 4, true, true}}) {
    const Index N = (a.n_head + 2 * a.n_kv_head) * a.head_size;
    const auto options = [=](Generator& generator) {
      return AttentionOptions{.n_head = a.n_head,
                              .window = a.window,
                              .lengths = a.lengths.empty() ? Tensor<std::int32_t>() : ids(a.lengths, {a.B}),
                              .dropout = a.p,
                              .generator = &generator,
                              .n_kv_head = a.n_kv_head,
                              .qk_norm = a.qk_norm,
                              .rotary = a.rotary ? rotary_table(a.positions + 1, a.head_size, 100) : Tensor<double>()};
    };
    add("attention", a.variant, {w({a.B, a.positions, N})}, [=](Inputs in) {
      Generator generator(7);
      return attention(in[0], options(generator));
    });
    add("attention", std::string("projected_") + a.variant, {w({a.B, a.positions, 7}), w({7, N}, 1), w({N}, 2)},
        [=](Inputs in) {
          Generator generator(7);
          return attention(in[0], in[1], in[2], options(generator));
        });
  }
  // x (B, T, K), projected to 3C = 3 * heads * head size.
  const auto project = [&](const char* variant, Index B, Index positions, Index K, Index n_head, Index C, double p) {
    add("attention", variant, {w({B, positions, K}), w({K, 3 * C}, 1), w({3 * C}, 2)}, [=](Inputs in) {
      Generator generator(7);
      return attention(in[0], in[1], in[2], {.n_head = n_head, .dropout = p, .generator = &generator});
    });
  };
  project("projected", 2, 5, 7, 3, 12, 0);
  project("projected_dropout", 1, 9, 4, 2, 6, 0.4);
  project("projected_no_batch", 0, 3, 4, 2, 6, 0);
  add("attention", "projected_no_bias", {w({1, 4, 3}), w({3, 6}, 1)},
      [](Inputs in) { return attention(in[0], in[1], {}, {.n_head = 2}); });

  // LSTMs in one direction or both. All outputs in one row: y, h and c.
  struct LstmCase {
    const char* variant;
    Index B, steps, K, H, P, directions;
    bool carried;
    std::vector<std::int32_t> lengths;
  };
  for (const LstmCase& l : {LstmCase{"plain", 2, 5, 3, 4, 0, 1, false, {}},
                            {"odd", 3, 3, 5, 37, 0, 1, false, {}},
                            {"one", 1, 1, 1, 1, 0, 1, false, {}},
                            {"projected", 2, 4, 3, 5, 2, 1, false, {}},
                            {"both", 2, 5, 3, 4, 0, 2, false, {}},
                            {"both_projected", 2, 4, 3, 5, 2, 2, false, {}},
                            {"carry", 2, 3, 2, 4, 0, 1, true, {}},
                            {"both_carry", 2, 3, 2, 4, 3, 2, true, {}},
                            {"lengths", 3, 5, 2, 3, 0, 1, true, {2, 5, 1}},
                            {"both_lengths", 3, 5, 2, 3, 0, 2, true, {2, 5, 1}},
                            {"both_projected_lengths", 3, 5, 2, 4, 3, 2, false, {4, 1, 5}},
                            {"many_rows", 35, 2, 2, 3, 0, 2, false, {}}}) {
    const Index P = l.P > 0 ? l.P : l.H;
    std::vector<Tensor<T>> inputs{w({l.B, l.steps, l.K})};
    for (Index d = 0; d < l.directions; ++d) {
      const auto weight = [&](Shape shape, Index n) {
        inputs.push_back(w(std::move(shape), static_cast<int>(4 * d + n), -0.6, 0.6));
      };
      weight({l.K, 4 * l.H}, 1);
      weight({P, 4 * l.H}, 2);
      weight({4 * l.H}, 3);
      if (l.P > 0) weight({l.H, P}, 4);
    }
    for (Index d = 0; l.carried && d < l.directions; ++d) {
      inputs.push_back(w({l.B, P}, static_cast<int>(11 + d)));
      inputs.push_back(w({l.B, l.H}, static_cast<int>(13 + d)));
    }
    add("lstm", l.variant, std::move(inputs), [=](Inputs in) {
      std::vector<LstmInput<T>> lstms;
      std::size_t at = 1;
      for (Index d = 0; d<l.directions; ++d, at += l.P> 0 ? 4 : 3)
        lstms.push_back({in[0],
                         {in[at], in[at + 1], in[at + 2], l.P > 0 ? in[at + 3] : Tensor<T>()},
                         d == 1 ? TimeOrder::reverse : TimeOrder::forward});
      for (Index d = 0; l.carried && d < l.directions; ++d, at += 2)
        lstms[static_cast<std::size_t>(d)].carry = {in[at], in[at + 1]};
      const auto outputs = lstm(lstms, l.lengths.empty() ? Tensor<std::int32_t>() : ids(l.lengths, {l.B}));
      std::vector<Tensor<T>> row;
      for (const auto& output : outputs) row.push_back(reshape(output.y, {-1}));
      for (const auto& output : outputs) row.push_back(reshape(output.carry.h, {-1}));
      for (const auto& output : outputs) row.push_back(reshape(output.carry.c, {-1}));
      return concat(row, 0);
    });
  }

  add("max_pool", "odd", {w({2, 3, 33})}, [](Inputs in) { return max_pool(in[0]); });
  add("max_pool", "lengths", {w({3, 4, 3})}, [=](Inputs in) { return max_pool(in[0], ids({2, 4, 1}, {3})); });
  add("max_pool", "no_steps", {w({2, 3, 5})}, [=](Inputs in) { return max_pool(in[0], ids({0, 3}, {2})); });
  add("max_pool", "one", {w({1, 1, 1})}, [](Inputs in) { return max_pool(in[0]); });
  add("max_pool", "no_batch", {w({0, 3, 5})}, [](Inputs in) { return max_pool(in[0]); });

  // Sums and arrangement.
  add("sum", "first", {w({3, 7})}, [](Inputs in) { return sum(in[0], 0); });
  add("sum", "last", {w({3, 7})}, [](Inputs in) { return sum(in[0], -1); });
  add("sum", "middle", {w({2, 5, 3})}, [](Inputs in) { return sum(in[0], 1, true); });
  add("sum", "several", {w({2, 5, 3})}, [](Inputs in) { return sum(in[0], std::vector<Index>{0, 2}); });
  add("sum", "many_rows", {w({131, 3})}, [](Inputs in) { return sum(in[0], 0); });
  add("sum", "empty_axis", {w({2, 0})}, [](Inputs in) { return sum(in[0], 1); });
  add("sum", "mean", {w({2, 5, 3})}, [](Inputs in) { return mean(in[0], -2); });
  add("sum", "mean_several", {w({2, 5, 3})}, [](Inputs in) { return mean(in[0], std::vector<Index>{1, 2}, true); });
  add("sum_all", "odd", {w({3, 7})}, [](Inputs in) { return sum(in[0]); });
  add("sum_all", "mean", {w({3, 7})}, [](Inputs in) { return mean(in[0]); });
  add("sum_all", "empty", {w({0, 7})}, [](Inputs in) { return sum(in[0]); });
  add("reshape", "flat", {w({3, 4})}, [](Inputs in) { return reshape(in[0], {12}); });
  add("reshape", "inferred", {w({3, 4})}, [](Inputs in) { return reshape(in[0], {2, -1, 3}); });
  add("reshape", "empty", {w({0, 4})}, [](Inputs in) { return reshape(in[0], {2, 0}); });
  add("reshape", "reused", {w({3, 4})}, [](Inputs in) { return reshape(in[0], {4, 3}) * reshape(in[0], {4, 3}); });
  add("transpose", "matrix", {w({3, 7})}, [](Inputs in) { return transpose(in[0], 0, 1); });
  add("transpose", "middle", {w({2, 3, 4, 5})}, [](Inputs in) { return transpose(in[0], 1, 2); });
  add("transpose", "ends", {w({2, 3, 4})}, [](Inputs in) { return transpose(in[0], -1, 0); });
  add("transpose", "same", {w({2, 3})}, [](Inputs in) { return transpose(in[0], 1, 1); });
  add("transpose", "empty", {w({2, 0, 3})}, [](Inputs in) { return transpose(in[0], 0, 1); });
  add("slice", "rows", {w({5, 3})}, [](Inputs in) { return slice(in[0], 0, 1, 4); });
  add("slice", "columns", {w({2, 7, 3})}, [](Inputs in) { return slice(in[0], 1, 2, 7); });
  add("slice", "nothing", {w({5, 3})}, [](Inputs in) { return slice(in[0], 1, 2, 2); });
  add("concat", "rows", {w({2, 3}), w({1, 3}, 1)}, [](Inputs in) { return concat<T>({in[0], in[1]}, 0); });
  add("concat", "columns", {w({2, 3}), w({2, 0}, 1), w({2, 2}, 2)}, [](Inputs in) { return concat(in, 1); });
  add("concat", "reused", {w({2, 3, 2})}, [](Inputs in) { return concat<T>({in[0], in[0]}, -1); });
  return all;
}

}  // namespace operations
