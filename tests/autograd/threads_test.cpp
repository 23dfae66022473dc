// Every registered operation gives the same bits for any number of threads, also on sizes that are cut into many jobs.

#include <doctest/doctest.h>

#include <cstring>

#include "support/operations.hpp"

using namespace gptlite;

namespace {

// The numbers of the output and of all gradients, as bits.
template <class T>
std::vector<T> values_and_gradients(operations::Case<T>& c, int threads) {
  set_num_threads(threads);
  const Tensor<T> y = c.f(c.inputs);
  std::vector<T> bits = y.to_vector();
  y.backward(operations::wave<T>(y.shape(), 5).detach());
  for (Tensor<T>& input : c.inputs) {
    if (input.has_grad()) {
      const std::vector<T> grad = input.grad().to_vector();
      bits.insert(bits.end(), grad.begin(), grad.end());
    }
    input.zero_grad();
  }
  set_num_threads(0);
  return bits;
}

template <class T>
void compare_threads(std::vector<operations::Case<T>> cases) {
  for (auto& c : cases) {
    const std::vector<T> one = values_and_gradients(c, 1);
    for (const int threads : {2, 3, 4}) {
      const std::vector<T> many = values_and_gradients(c, threads);
      REQUIRE(many.size() == one.size());
      const bool same = one.empty() || std::memcmp(one.data(), many.data(), one.size() * sizeof(T)) == 0;
      CHECK_MESSAGE(same, c.label << " differs between 1 and " << threads << " threads");
    }
  }
}

}  // namespace

TEST_CASE("every operation gives the same bits for 1, 2, 3 and 4 threads") {
  compare_threads(operations::cases<float>());
  const Autocast bf16(Precision::bf16);
  compare_threads(operations::cases<float>());
}

TEST_CASE("operations on large tensors give the same bits for 1, 2, 3 and 4 threads") {
  using Inputs = const std::vector<Tensor<float>>&;
  const auto w = [](Shape shape, int n = 0) { return operations::wave<float>(std::move(shape), n); };
  compare_threads<float>({
      {"sum_all", "sum_all/large", {w({300, 301})}, [](Inputs in) { return sum(in[0]); }},
      {"sum", "sum/large", {w({1001, 67})}, [](Inputs in) { return sum(in[0], 0); }},
      {"add", "add/large", {w({1001, 67}), w({67}, 1)}, [](Inputs in) { return in[0] + in[1]; }},
      {"matmul", "matmul/large", {w({211, 301}), w({301, 203}, 1)}, [](Inputs in) { return matmul(in[0], in[1]); }},
      {"linear",
       "linear/large",
       {w({211, 301}), w({301, 203}, 1), w({203}, 2)},
       [](Inputs in) { return linear(in[0], in[1], in[2], Activation::gelu_tanh); }},
      {"mlp",
       "mlp/large",
       {w({211, 301}), w({301, 203}, 1), w({203}, 2), w({203, 97}, 3), w({97}, 4)},
       [](Inputs in) { return mlp(in[0], in[1], in[2], in[3], in[4]); }},
      {"layer_norm",
       "layer_norm/large",
       {w({403, 67}), w({67}, 1), w({67}, 2)},
       [](Inputs in) { return layer_norm(in[0], in[1], in[2]); }},
      {"rms_norm", "rms_norm/large", {w({403, 67}), w({67}, 1)}, [](Inputs in) { return rms_norm(in[0], in[1]); }},
      {"linear_cross_entropy",
       "linear_cross_entropy/large",
       {w({211, 101}), w({331, 101}, 1)},
       [](Inputs in) {
         Tensor<TokenId> targets = Tensor<TokenId>::empty({211});
         for (Index i = 0; i < 211; ++i) targets.data()[i] = static_cast<TokenId>(i * 5 % 331);
         return linear_cross_entropy(in[0], in[1], targets);
       }},
      {"softmax", "softmax/large", {w({403, 67})}, [](Inputs in) { return softmax(in[0]); }},
      {"attention",
       "attention/large",
       {w({3, 97, 3 * 64})},
       [](Inputs in) {
         Generator generator(1);
         return attention(in[0], {.n_head = 4, .dropout = 0.1, .generator = &generator});
       }},
      {"attention", "attention/long", {w({1, 521, 3 * 32})}, [](Inputs in) { return attention(in[0], {.n_head = 4}); }},
      {"attention",
       "attention/projected_large",
       {w({3, 97, 61}), w({61, 3 * 64}, 1), w({3 * 64}, 2)},
       [](Inputs in) { return attention(in[0], in[1], in[2], {.n_head = 4}); }},
      {"lstm",
       "lstm/large",
       {w({17, 9, 61}), w({61, 4 * 203}, 1), w({67, 4 * 203}, 2), w({4 * 203}, 3), w({203, 67}, 4)},
       [](Inputs in) {
         const LstmWeights<float> weights{in[1], in[2], in[3], in[4]};
         const auto outputs = lstm<float>({{in[0], weights}, {in[0], weights, TimeOrder::reverse}});
         return outputs[0].y * outputs[1].y;
       }},
      {"dropout",
       "dropout/large",
       {w({403, 167})},
       [](Inputs in) {
         Generator generator(1);
         return dropout(in[0], 0.3, generator);
       }},
  });
}
