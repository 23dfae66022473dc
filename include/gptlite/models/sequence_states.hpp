#pragma once
// What language models read from the hidden states of padded sequences: the last state of each, and the states that
// predict a token.

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "gptlite/autograd/ops/embedding.hpp"
#include "gptlite/autograd/ops/layout.hpp"
#include "gptlite/core/large_vector.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace detail {

/// Throws ShapeError, naming `where`, unless lengths are (B) for hidden states (B, T, C), and IndexError for a length
/// outside 1..T.
template <class T>
void check_lengths(std::string_view where, const Tensor<T>& hidden, const Tensor<std::int32_t>& lengths) {
  check<ShapeError>(hidden.rank() == 3 && lengths.shape() == Shape{hidden.shape()[0]}, where, "hidden ", hidden.shape(),
                    " must be (B, T, C), with a length for each sequence, got ", lengths.shape());
  for (Index b = 0; b < lengths.numel(); ++b)
    check<IndexError>(lengths.data()[b] >= 1 && lengths.data()[b] <= hidden.shape()[1], where, "length ",
                      lengths.data()[b], " of sequence ", b, " is outside 1..", hidden.shape()[1]);
}

/// The state of each sequence's last token before the padding. hidden: (B, T, C), lengths: (B). Returns (B, C). Throws
/// as check_lengths() does.
template <class T>
Tensor<T> last_states(std::string_view where, const Tensor<T>& hidden, const Tensor<std::int32_t>& lengths) {
  check_lengths(where, hidden, lengths);
  const Shape& shape = hidden.shape();
  Tensor<std::int32_t> rows = Tensor<std::int32_t>::empty({shape[0]});
  for (Index s = 0; s < shape[0]; ++s) rows.data()[s] = static_cast<std::int32_t>(s * shape[1]) + lengths.data()[s] - 1;
  return gather_rows(reshape(hidden, {shape[0] * shape[1], shape[2]}), rows);
}

/// States that predict the next token of their sequence, their targets, and weights with which the sum of the losses is
/// the mean over sequences of the mean over their tokens.
template <class T>
struct PredictingStates {
  Tensor<T> states;  // (n, C)
  Tensor<TokenId> targets;
  Tensor<T> weights;
};

/// Gathers the states that predict a token, their targets and their weights. Padding is left out before the product
/// with the vocabulary, which is most of the work. hidden: (B, T, C), tokens: (B, T), lengths: (B). Throws as
/// check_lengths() does, and DataError if no sequence has two tokens.
template <class T>
PredictingStates<T> predicting_states(std::string_view where, const Tensor<T>& hidden, const Tensor<TokenId>& tokens,
                                      const Tensor<std::int32_t>& lengths) {
  check_lengths(where, hidden, lengths);
  const Index B = tokens.shape()[0], positions = tokens.shape()[1];
  std::vector<std::int32_t> rows, targets;
  std::vector<T> weights;
  std::size_t count = 0;
  for (Index s = 0; s < B; ++s) count += static_cast<std::size_t>(std::max(lengths.data()[s] - 1, 0));
  memory::reserve(rows, count);
  memory::reserve(targets, count);
  memory::reserve(weights, count);
  for (Index s = 0; s < B; ++s) {
    const std::int32_t predicted = lengths.data()[s] - 1;
    for (std::int32_t t = 0; t < predicted; ++t) {
      rows.push_back(static_cast<std::int32_t>(s * positions) + t);
      targets.push_back(tokens.data()[s * positions + t + 1]);
      weights.push_back(T(1) / static_cast<T>(B * predicted));
    }
  }
  check<DataError>(!rows.empty(), where, "no sequence has a second token, which L1 needs");
  return {gather_rows(reshape(hidden, {B * positions, hidden.shape()[2]}), Tensor<std::int32_t>::from(rows)),
          Tensor<TokenId>::from(targets), Tensor<T>::from(weights)};
}

}  // namespace detail
}  // namespace gptlite::inline GPTLITE_ABI
