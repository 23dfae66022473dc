// Shapes and indices that do not fit an operation: the message names the operation, both shapes, and what was expected.

#include <doctest/doctest.h>

#include "gptlite/gptlite.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {
Tensor<float> zeros(Shape shape) { return Tensor<float>::zeros(std::move(shape)); }
Tensor<TokenId> ids(std::vector<TokenId> values) { return Tensor<TokenId>::from(values); }
template <class F>
std::string shape_error(F&& f) {
  return message_of<ShapeError>(f);
}
}  // namespace

TEST_CASE("shapes that do not fit") {
  CHECK(shape_error([] { zeros({3, 4}) + zeros({3}); }) == "[add] shapes do not broadcast: (3, 4) and (3)");
  CHECK(shape_error([] { zeros({2, 3}) * zeros({3, 3}); }) == "[mul] shapes do not broadcast: (2, 3) and (3, 3)");
  CHECK(shape_error([] {
          matmul(zeros({8, 64}), zeros({32, 16}));
        }) == "[matmul] inner sizes differ: (8, 64) x (32, 16)");
  CHECK(shape_error([] {
          matmul(zeros({8, 64}), zeros({64, 16}), {.transpose_b = true});
        }) == "[matmul] inner sizes differ: (8, 64) x (64, 16)^T");
  CHECK(shape_error([] { matmul(zeros({8}), zeros({8, 2})); }) == "[matmul] needs matrices, got (8) x (8, 2)");
  CHECK(shape_error([] {
          matmul(zeros({2, 3, 4}), zeros({3, 4, 5}));
        }) == "[matmul] shapes do not broadcast: (2) and (3)");
  CHECK(shape_error([] {
          linear(zeros({8, 64}), zeros({128, 512}));
        }) == "[linear] x has 64 features, weight expects 128: x (8, 64), weight (128, 512)");
  CHECK(shape_error([] {
          linear(zeros({8, 64}), zeros({64, 32}), zeros({31}));
        }) == "[linear] bias (31) does not fit weight (64, 32)");
  const auto feed_forward = [](Shape x, Shape w1, Shape b1, Shape w2, Shape b2) {
    return shape_error([&] { mlp(zeros(x), zeros(w1), zeros(b1), zeros(w2), zeros(b2)); });
  };
  CHECK(shape_error([] {
          gated_mlp(zeros({8, 4}), zeros({4, 6}), {}, zeros({6, 4}), {});
        }) == "[gated_mlp] w1 (4, 6) gives 6 features, w2 (6, 4) expects twice 6");
  CHECK(feed_forward({8, 4}, {4}, {6}, {6, 4}, {4}) == "[mlp] weights must be matrices, got (4) and (6, 4)");
  CHECK(feed_forward({8, 4}, {4, 6}, {6}, {5, 4}, {4}) == "[mlp] w1 (4, 6) gives 6 features, w2 (5, 4) expects 5");
  CHECK(feed_forward({8, 5}, {4, 6}, {6}, {6, 4}, {4}) ==
        "[mlp] x (8, 5) does not have the 4 features that w1 (4, 6) expects");
  CHECK(feed_forward({8, 4}, {4, 6}, {5}, {6, 4}, {4}) == "[mlp] b1 (5) does not fit w1 (4, 6)");
  CHECK(feed_forward({8, 4}, {4, 6}, {6}, {6, 4}, {6}) == "[mlp] b2 (6) does not fit w2 (6, 4)");
  CHECK(shape_error([] {
          layer_norm(zeros({2, 4}), zeros({4}), zeros({5}));
        }) == "[layer_norm] x has 4 features: x (2, 4), weight (4), bias (5)");
  CHECK(shape_error([] {
          add_layer_norm(zeros({2, 4}), zeros({4}), zeros({4}), zeros({4}));
        }) == "[add_layer_norm] needs two equal shapes, got (2, 4) and (4)");
  CHECK(shape_error([] {
          rms_norm(zeros({2, 4}), zeros({5}));
        }) == "[rms_norm] x has 4 features: x (2, 4), weight (5)");
  CHECK(shape_error([] {
          rms_norm(zeros({2, 4}), zeros({1, 4}));
        }) == "[rms_norm] x has 4 features: x (2, 4), weight (1, 4)");
  CHECK(shape_error([] { rms_norm(zeros({}), zeros({1})); }) == "[rms_norm] x must have features, got ()");
  CHECK(shape_error([] { softmax(zeros({})); }) == "[softmax] needs an axis, got a scalar");
  CHECK(shape_error([] { reshape(zeros({3, 4}), {5, 2}); }) == "[reshape] (3, 4) has 12 elements, (5, 2) has 10");
  CHECK(shape_error([] { reshape(zeros({3, 4}), {-1, 5}); }) == "[reshape] (3, 4) has 12 elements, no multiple of 5");
  CHECK(shape_error([] { reshape(zeros({3, 4}), {-1, -1}); }) == "[reshape] only one size can be -1");
  CHECK(shape_error([] {
          concat<float>({zeros({2, 3}), zeros({2, 4})}, 0);
        }) == "[concat] (2, 3) and (2, 4) differ outside axis 0");
  CHECK(shape_error([] { concat<float>({}, 0); }) == "[concat] needs at least one tensor");
  CHECK(shape_error([] {
          cross_entropy(zeros({2, 5}), ids({1, 2, 3}));
        }) == "[cross_entropy] logits (2, 5) need targets of the leading shape, got (3)");
  CHECK(shape_error([] {
          linear_cross_entropy(zeros({2, 5}), zeros({7, 4}), ids({1, 2}));
        }) == "[linear_cross_entropy] h (2, 5) does not fit weight (7, 4), which must be (V, C)");
  CHECK(shape_error([] {
          linear_cross_entropy(zeros({2, 5}), zeros({7, 5}), ids({1, 2, 3}));
        }) == "[linear_cross_entropy] h (2, 5) needs targets of its leading shape, got (3)");
  CHECK(message_of<ShapeError>([] {
          linear_cross_entropy(zeros({2, 5}), zeros({7, 5}), ids({1, 2}), zeros({3}));
        }) == "[linear_cross_entropy] targets (2) need row_weights of their shape, got (3)");
  CHECK(message_of<ShapeError>([] {
          cross_entropy(zeros({2, 5}), zeros({2, 4}));
        }) == "[cross_entropy] logits (2, 5) need probabilities of the same shape, got (2, 4)");
  CHECK(shape_error([] {
          attention(zeros({2, 3, 10}), {.n_head = 2});
        }) == "[attention] qkv (2, 3, 10) does not divide into q, k, v of 2 heads");
  CHECK(shape_error([] {
          glu(zeros({2, 7}), Activation::silu);
        }) == "[glu] x must have an even number of features, got (2, 7)");
  CHECK(shape_error([] {
          attention(zeros({2, 12}), {.n_head = 2, .n_kv_head = 1});
        }) == "[attention] qkv must be (B, T, C + 2 n_kv_head HS), got (2, 12)");
  CHECK(shape_error([] {
          attention(zeros({2, 3, 14}), {.n_head = 4, .n_kv_head = 2});
        }) == "[attention] qkv (2, 3, 14) does not divide into q, k, v of 4 heads of q, 2 of k and v");
  CHECK(shape_error([] {
          attention(zeros({2, 3, 12}), {.n_head = 2, .rotary = rotary_table(2, 2)});
        }) == "[attention] rotary must be (3 or more, 2) with an even head size, got (2, 2)");
  CHECK(shape_error([] {
          attention(zeros({2, 12}), {.n_head = 2});
        }) == "[attention] qkv must be (B, T, 3C), got (2, 12)");
  const auto projected = [](Shape x, Shape weight, Shape bias) {
    return shape_error([&] { attention(zeros(x), zeros(weight), zeros(bias), {.n_head = 2}); });
  };
  CHECK(projected({2, 3, 4}, {12}, {12}) == "[attention] weight must be a matrix, got (12)");
  CHECK(projected({2, 3, 5}, {4, 12}, {12}) == "[attention] x must be (B, T, 4) for weight (4, 12), got (2, 3, 5)");
  CHECK(projected({3, 4}, {4, 12}, {12}) == "[attention] x must be (B, T, 4) for weight (4, 12), got (3, 4)");
  CHECK(projected({2, 3, 4}, {4, 12}, {4}) == "[attention] bias (4) does not fit weight (4, 12)");
  CHECK(projected({2, 3, 4}, {4, 10}, {10}) == "[attention] qkv (2, 3, 10) does not divide into q, k, v of 2 heads");
  const auto recurrent = [](Shape x, Shape ih, Shape hh, Shape bias, Shape hr = {}, Shape h = {}, Shape second = {}) {
    const auto given = [](const Shape& shape) { return shape.rank() > 0 ? zeros(shape) : Tensor<float>(); };
    return shape_error([&] {
      std::vector<LstmInput<float>> inputs{
          {zeros(x), {zeros(ih), zeros(hh), given(bias), given(hr)}, TimeOrder::forward, {given(h), {}}}};
      if (second.rank() > 0) inputs.push_back({zeros(second), inputs[0].weights});
      lstm(inputs);
    });
  };
  CHECK(recurrent({2, 3}, {3, 8}, {2, 8}, {8}) == "[lstm] x must be (B, T, K), got (2, 3)");
  CHECK(recurrent({1, 2, 3}, {8}, {2, 8}, {8}) == "[lstm] weights must be matrices, got (8) and (2, 8)");
  CHECK(recurrent({1, 2, 3}, {4, 8}, {2, 8}, {8}) == "[lstm] weight_ih must be (3, 4H) for x (1, 2, 3), got (4, 8)");
  CHECK(recurrent({1, 2, 3}, {3, 9}, {2, 8}, {8}) == "[lstm] weight_ih must be (3, 4H) for x (1, 2, 3), got (3, 9)");
  CHECK(recurrent({1, 2, 3}, {3, 8}, {3, 8}, {8}) ==
        "[lstm] weight_hh must be (2, 8) for weight_ih (3, 8) and weight_hh (3, 8), got (3, 8)");
  CHECK(recurrent({1, 2, 3}, {3, 8}, {2, 8}, {}) == "[lstm] needs a bias");
  CHECK(recurrent({1, 2, 3}, {3, 8}, {2, 8}, {4}) ==
        "[lstm] bias must be (8) for weight_ih (3, 8) and weight_hh (2, 8), got (4)");
  CHECK(recurrent({1, 2, 3}, {3, 8}, {1, 8}, {8}, {1, 2}) ==
        "[lstm] weight_hr must be (2, 1) for weight_ih (3, 8) and weight_hh (1, 8), got (1, 2)");
  CHECK(recurrent({1, 2, 3}, {3, 8}, {2, 8}, {8}, {}, {2, 2}) ==
        "[lstm] carry.h must be (1, 2) for weight_ih (3, 8) and weight_hh (2, 8), got (2, 2)");
  CHECK(recurrent({1, 2, 3}, {3, 8}, {2, 8}, {8}, {}, {}, {1, 3, 3}) ==
        "[lstm] every x must be (1, 2, K) as the first is, got (1, 3, 3)");
  CHECK(shape_error([] { max_pool(zeros({2, 3})); }) == "[max_pool] x must be (B, T, C), got (2, 3)");
  CHECK(shape_error([] {
          max_pool(zeros({2, 3, 1}), ids({1}));
        }) == "[max_pool] lengths must be (2) for x (2, 3, 1), got (1)");
  CHECK(shape_error([] { lstm<float>({}); }) == "[lstm] needs an x of (B, T, K)");
}

TEST_CASE("indices outside their range") {
  const auto index_error = [](auto f) { return message_of<IndexError>(f); };
  const Tensor<TokenId> tokens = ids({1, 2, 3, 70});
  CHECK(index_error([&] {
          embedding(tokens, zeros({65, 4}));
        }) == "[embedding] token 70 at position 3 is outside the vocabulary of 65");
  CHECK(index_error([&] {
          embedding(ids({-1}), zeros({65, 4}));
        }) == "[embedding] token -1 at position 0 is outside the vocabulary of 65");
  CHECK(index_error([] {
          gather_rows(zeros({3, 4}), ids({0, 3}));
        }) == "[gather_rows] id 3 at position 1 is outside the 3 rows of x");
  CHECK(index_error([] {
          cross_entropy(zeros({1, 5}), ids({5}));
        }) == "[cross_entropy] target 5 at position 0 is outside the 5 classes");
  CHECK(index_error([] {
          linear_cross_entropy(zeros({1, 5}), zeros({7, 5}), ids({7}));
        }) == "[linear_cross_entropy] target 7 at position 0 is outside the 7 classes");
  CHECK(index_error([] {
          lstm<float>({{zeros({2, 3, 1}), {zeros({1, 4}), zeros({1, 4}), zeros({4}), {}}}}, ids({3, 4}));
        }) == "[lstm] length 4 of sequence 1 is outside 0..3");
  CHECK(index_error([] {
          max_pool(zeros({1, 3, 1}), ids({4}));
        }) == "[max_pool] length 4 of sequence 0 is outside 0..3");
  CHECK(index_error([] { sum(zeros({2, 3}), 2); }) == "[sum] axis 2 is outside a tensor of rank 2: (2, 3)");
  CHECK(index_error([] { sum(zeros({2, 3}), std::vector<Index>{0, -2}); }) == "[sum] an axis is named twice");
  CHECK(index_error([] {
          transpose(zeros({2, 3}), 0, -3);
        }) == "[transpose] axis -3 is outside a tensor of rank 2: (2, 3)");
  CHECK(index_error([] { slice(zeros({2, 3}), 1, 2, 4); }) == "[slice] 2..4 is outside axis 1 of (2, 3)");
  CHECK(index_error([] { slice(zeros({2, 3}), 1, 2, 1); }) == "[slice] 2..1 is outside axis 1 of (2, 3)");
}

TEST_CASE("options and data that cannot work") {
  Generator generator;
  CHECK(message_of<ConfigError>([] {
          attention(zeros({2, 3, 12}), {.n_head = 2, .n_kv_head = 3});
        }) == "[attention] n_kv_head must divide n_head 2, got 3");
  CHECK(message_of<ConfigError>([] { rotary_table(3, 5); }) ==
        "[rotary_table] head_size must be positive and even, got 5");
  CHECK(message_of<ConfigError>([&] { dropout(zeros({2}), 1.5, generator); }) ==
        "[dropout] dropout probability must be in 0..1, got 1.5");
  CHECK(message_of<ConfigError>([] {
          attention(zeros({1, 2, 6}), {.dropout = 0.1});
        }) == "[attention] dropout needs a generator");
  CHECK(message_of<ConfigError>([] {
          attention(zeros({1, 2, 6}), {.window = -1});
        }) == "[attention] window must be 0 or positive, got -1");
  CHECK(message_of<ConfigError>([] {
          attention(zeros({1, 2, 6}), {.n_head = 0});
        }) == "[attention] n_head must be positive, got 0");
  CHECK(message_of<ShapeError>([] {
          attention(zeros({2, 3, 6}), {.lengths = ids({3})});
        }) == "[attention] lengths must be (2) for qkv (2, 3, 6), got (1)");
  CHECK(message_of<IndexError>([] {
          attention(zeros({2, 3, 6}), {.lengths = ids({3, 4})});
        }) == "[attention] length 4 of sequence 1 is outside 0..3");
  CHECK(message_of<DataError>([] {
          cross_entropy(zeros({2, 5}), ids({ignore_index, ignore_index}));
        }) == "[cross_entropy] no target counts: all are ignored, targets (2)");
  CHECK(message_of<DataError>([] {
          linear_cross_entropy(zeros({1, 5}), zeros({7, 5}), ids({ignore_index}));
        }) == "[linear_cross_entropy] no target counts: all are ignored, targets (1)");
  CHECK(message_of<DataError>([] {
          cross_entropy(zeros({0, 5}), ids({}));
        }) == "[cross_entropy] no target counts: there are none, targets (0)");
  CHECK(message_of<DataError>([] {
          cross_entropy(zeros({0, 5}), zeros({0, 5}));
        }) == "[cross_entropy] there are no rows: logits (0, 5)");
}
