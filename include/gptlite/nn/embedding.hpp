#pragma once
// Embedding: a learned row for every token or position.

#include "gptlite/autograd/ops/embedding.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct Embedding {
  Tensor<T> weight;  // (vocabulary, n)

  /// weight ~ N(0, std^2).
  Embedding(Index vocabulary, Index n, double std, Generator& init)
      : weight(Tensor<T>::normal({vocabulary, n}, 0, std, init.fork())) {
    weight.set_requires_grad();
  }
  void visit(auto&& f) { f("weight", weight); }
  Tensor<T> operator()(const Tensor<TokenId>& tokens) const { return embedding(tokens, weight); }
};

}  // namespace gptlite::inline GPTLITE_ABI
