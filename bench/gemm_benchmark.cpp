// Speed of the matrix products of training: forward (A B), the gradient of the input (A B^T) and of the weight (A^T B),
// packing and, for bf16, rounding included.
//
//   gemm_benchmark --benchmark_filter='gemm/bf16/.*A.T'

#include <string>
#include <vector>

#include "gptlite/core/tensor.hpp"
#include "gptlite/kernels/gemm/gemm.hpp"
#include "support/report.hpp"

namespace {

using namespace gptlite;

struct Product {
  Index M, N, K;
  bool transpose_a = false, transpose_b = false;
};

// The three products of a linear layer from K to N channels for `rows` tokens.
std::vector<Product> products_of_training(Index rows, Index K, Index N) {
  return {{rows, N, K}, {rows, K, N, false, true}, {K, N, rows, true, false}};
}

std::vector<Product> all_products() {
  std::vector<Product> products;
  const auto add = [&](Index rows, Index K, Index N) {
    for (const Product& p : products_of_training(rows, K, N)) products.push_back(p);
  };
  for (const Index K : {384, 768, 1152, 1536})
    for (const Index N : {384, 768, 1152, 1536}) add(4096, K, N);
  add(768, 128, 384);                               // a small model: 12 sequences of 64
  add(768, 128, 512);                               //
  add(256, 768, 3072);                              // GPT-2, 4 sequences of 64
  products.push_back({768, 65, 128, false, true});  // a head over 65 characters
  products.push_back({256, 50257, 768, false, true});
  products.push_back({1, 768, 768});
  products.push_back({385, 331, 200});  // odd sizes: tails everywhere
  products.push_back({385, 331, 200, false, true});
  products.push_back({385, 331, 200, true, false});
  products.push_back({37, 53, 1});
  return products;
}

template <class T>
void gemm(benchmark::State& state, const Product& p, Precision precision) {
  const Tensor<T> a = Tensor<T>::normal({p.M, p.K}, 0, 1, {1, 1}), b = Tensor<T>::normal({p.K, p.N}, 0, 1, {1, 2});
  Tensor<T> c = Tensor<T>::empty({p.M, p.N});
  const kernels::MatrixView<T> view_a{a.data(), p.transpose_a ? p.M : p.K}, view_b{b.data(), p.transpose_b ? p.K : p.N};
  const double flops = 2.0 * static_cast<double>(p.M * p.N) * static_cast<double>(p.K);
  bench::time_flops(state, flops, bench::product_peak<T>(precision), [&] {
    kernels::gemm(precision, p.M, p.N, p.K, p.transpose_a ? view_a.transposed() : view_a,
                  p.transpose_b ? view_b.transposed() : view_b, c.data(), p.N, false);
  });
}

template <class T>
void add(const Product& p, Precision precision) {
  const std::string sizes = "/M:" + std::to_string(p.M) + "/N:" + std::to_string(p.N) + "/K:" + std::to_string(p.K) +
                            (p.transpose_a ? "/A^T" : "") + (p.transpose_b ? "/B^T" : "");
  bench::add("gemm/" + bench::precision_name<T>(precision) + sizes, gemm<T>, p, precision)
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  for (const Product& p : all_products()) {
    add<float>(p, Precision::fp32);
    add<double>(p, Precision::fp32);
    add<float>(p, Precision::bf16);
  }
  return bench::run(argc, argv, [] { bench::compute_peak(); });
}
