#pragma once
// Embedding: a learned row for every token or position.

#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/nn/init.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class T>
struct Embedding {
  Tensor<T> weight;  // (vocabulary, n)

  /// weight as `init` says.
  Embedding(Index vocabulary, Index n, Init init, Generator& generator)
      : weight(init.parameter<T>({vocabulary, n}, generator)) {}
  void visit(auto&& f) { f("weight", weight); }
  /// tokens: any shape. Returns that shape and n.
  Tensor<T> operator()(const Tensor<TokenId>& tokens) const { return embedding(tokens, weight); }
};

}  // namespace gptlite::inline GPTLITE_ABI
