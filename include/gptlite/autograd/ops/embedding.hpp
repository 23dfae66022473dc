#pragma once
// Rows of a table by index: the embedding of tokens, and gather_rows.

#include <span>
#include <string_view>

#include "gptlite/autograd/node.hpp"
#include "gptlite/kernels/rows.hpp"

namespace gptlite::inline GPTLITE_ABI {

namespace detail {
template <class T>
Tensor<T> pick_rows(const char* name, const Tensor<T>& table, const Tensor<std::int32_t>& ids, Shape shape) {
  const Index count = ids.numel(), n = table.shape().numel_between(1, table.rank());
  Tensor<T> y = Tensor<T>::empty(std::move(shape));
  kernels::gather_rows_forward(y.data(), table.data(), ids.data(), count, n);
  return record(name, y, {table.without_data()}, [ids, count, n](Inputs<T> in, const Tensor<T>& dy) {
    kernels::gather_rows_backward(in[0].grad(), dy.data(), ids.data(), count, n);  // dtable[id] += dy
  });
}
}  // namespace detail

/// Throws IndexError for the first token outside the vocabulary; `where` names the operation.
inline void check_tokens(std::string_view where, std::span<const TokenId> tokens, Index vocabulary) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    check<IndexError>(tokens[i] >= 0 && tokens[i] < vocabulary, where, "token ", tokens[i], " at position ", i,
                      " is outside the vocabulary of ", vocabulary);
}

/// weight[token] for every token.
/// tokens: any shape, weight: (vocabulary, n). Returns tokens' shape with n appended.
/// Throws ShapeError if weight is not a matrix, IndexError for a token outside the vocabulary. Saves the tokens, which
/// must not be changed before backward.
template <class T>
Tensor<T> embedding(const Tensor<TokenId>& tokens, const Tensor<T>& weight) {
  check<ShapeError>(weight.rank() == 2, "embedding", "weight must be (vocabulary, features), got ", weight.shape());
  check_tokens("embedding", {tokens.data(), static_cast<std::size_t>(tokens.numel())}, weight.shape()[0]);
  std::vector<Index> shape = tokens.shape().sizes();
  shape.push_back(weight.shape()[1]);
  return detail::pick_rows("embedding", weight, tokens, Shape(std::move(shape)));
}

/// The rows x[ids[0]], x[ids[1]], ... An id may occur more than once.
/// x: (rows, ...), ids: (count). Returns (count, ...).
/// Throws ShapeError for other ranks, IndexError for an id outside the rows of x. Saves the ids, which must not be
/// changed before backward.
template <class T>
Tensor<T> gather_rows(const Tensor<T>& x, const Tensor<std::int32_t>& ids) {
  check<ShapeError>(x.rank() >= 1 && ids.rank() == 1, "gather_rows", "needs rows and a vector of ids, got x ",
                    x.shape(), ", ids ", ids.shape());
  const Index rows = x.shape()[0];
  for (Index i = 0; i < ids.numel(); ++i)
    check<IndexError>(ids.data()[i] >= 0 && ids.data()[i] < rows, "gather_rows", "id ", ids.data()[i], " at position ",
                      i, " is outside the ", rows, " rows of x");
  return detail::pick_rows("gather_rows", x, ids, x.shape().with(0, ids.numel()));
}

GPTLITE_COMPILED_FUNCTION(detail::pick_rows)

}  // namespace gptlite::inline GPTLITE_ABI
