#pragma once
// Embedding: one learned row per token or position.

#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/nn/init.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Embedding layer: one learned row of n numbers per token or position.
template <class T>
struct Embedding {
  Tensor<T> weight;  // (vocabulary, n)

  /// A layer without a weight.
  Embedding() = default;
  /// Makes a layer whose weight is drawn as `init` says.
  Embedding(Index vocabulary, Index n, Init init, Generator& generator)
      : weight(init.parameter<T>({vocabulary, n}, generator)) {}
  void visit(auto&& f) { f("weight", weight); }
  /// Looks up the row of each token. tokens: any shape (...). Returns (..., n). Throws IndexError for a token outside
  /// the vocabulary.
  Tensor<T> operator()(const Tensor<TokenId>& tokens) const { return embedding(tokens, weight); }
};

}  // namespace gptlite::inline GPTLITE_ABI
