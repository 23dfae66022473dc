#pragma once
// Scores of predictions against their targets: accuracy, confusion matrix, macro F1, Matthews, Pearson and Spearman
// correlation.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "gptlite/core/error.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/storage.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

namespace detail {
template <class V>
void check_pairs(const char* where, const std::vector<V>& predicted, const std::vector<V>& target) {
  check<ShapeError>(predicted.size() == target.size(), where, "there are ", predicted.size(), " predictions for ",
                    target.size(), " examples");
  check<DataError>(!predicted.empty(), where, "there are no examples");
}
inline bool constant(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [&](double value) { return value == values.front(); });
}
}  // namespace detail

/// Share of predictions that equal their target. Throws ShapeError if the sizes differ, DataError if they are 0.
inline double accuracy(const std::vector<Index>& predicted, const std::vector<Index>& target) {
  detail::check_pairs("accuracy", predicted, target);
  Index right = 0;
  for (std::size_t i = 0; i < predicted.size(); ++i) right += predicted[i] == target[i] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(predicted.size());
}

/// Counts of examples by their class and the predicted one: `confusion(target, predicted)`.
class ConfusionMatrix {
 public:
  /// Counts pairs of predicted and target class. Throws ShapeError if the sizes differ, DataError if they are 0,
  /// IndexError for a class outside 0..n_class - 1.
  ConfusionMatrix(const std::vector<Index>& predicted, const std::vector<Index>& target, Index n_class)
      : n_class_(n_class), counts_(static_cast<std::size_t>(n_class * n_class)) {
    detail::check_pairs("ConfusionMatrix", predicted, target);
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      for (const Index label : {predicted[i], target[i]})
        check<IndexError>(label >= 0 && label < n_class, "ConfusionMatrix", "class ", label, " of example ", i,
                          " is outside 0..", n_class - 1);
      ++counts_[static_cast<std::size_t>(target[i] * n_class + predicted[i])];
    }
  }

  Index n_class() const { return n_class_; }
  /// Number of examples of class `target` for which `predicted` was predicted.
  Index operator()(Index target, Index predicted) const {
    return counts_[static_cast<std::size_t>(target * n_class_ + predicted)];
  }
  /// Number of examples of a class.
  Index target(Index label) const {
    Index count = 0;
    for (Index other = 0; other < n_class_; ++other) count += (*this)(label, other);
    return count;
  }
  /// Number of predictions of a class.
  Index predicted(Index label) const {
    Index count = 0;
    for (Index other = 0; other < n_class_; ++other) count += (*this)(other, label);
    return count;
  }

 private:
  Index n_class_;
  std::vector<Index> counts_;
};

/// Mean over the classes of F1 = 2 right / (predictions + examples), the harmonic mean of precision and recall. A class
/// with neither predictions nor examples does not count.
inline double macro_f1(const ConfusionMatrix& confusion) {
  double sum = 0;
  Index classes = 0;
  for (Index k = 0; k < confusion.n_class(); ++k) {
    const Index either = confusion.predicted(k) + confusion.target(k);
    if (either == 0) continue;
    sum += 2 * static_cast<double>(confusion(k, k)) / static_cast<double>(either);
    ++classes;
  }
  return sum / static_cast<double>(classes);
}

/// Matthews' correlation of predicted and true classes, for any number of them (Gorodkin 2004): -1 to 1; 0 if all
/// predictions or all examples are of one class.
inline double matthews(const ConfusionMatrix& confusion) {
  Index right = 0, all = 0, both = 0, predicted_squares = 0, target_squares = 0;  // exact
  for (Index k = 0; k < confusion.n_class(); ++k) {
    const Index p = confusion.predicted(k), t = confusion.target(k);
    right += confusion(k, k);
    all += t;
    both += p * t;
    predicted_squares += p * p;
    target_squares += t * t;
  }
  const double scale = std::sqrt(static_cast<double>(all * all - predicted_squares)) *
                       std::sqrt(static_cast<double>(all * all - target_squares));
  return scale > 0 ? static_cast<double>(right * all - both) / scale : 0;
}

/// Pearson's correlation of two lists of numbers: -1 to 1; 0 if one of them is constant, NaN if a number is not finite.
/// Throws ShapeError if the sizes differ, DataError if they are 0.
inline double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  detail::check_pairs("pearson", a, b);
  if (!all_finite(a) || !all_finite(b)) return std::numeric_limits<double>::quiet_NaN();
  if (detail::constant(a) || detail::constant(b)) return 0;
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double both = 0, squares_a = 0, squares_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    both += (a[i] - mean_a) * (b[i] - mean_b);
    squares_a += (a[i] - mean_a) * (a[i] - mean_a);
    squares_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  const double scale = std::sqrt(squares_a) * std::sqrt(squares_b);
  return scale > 0 ? std::clamp(both / scale, -1.0, 1.0) : 0;
}

namespace detail {
/// Ranks from 1 by size; equal numbers share the mean of their ranks.
inline std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end; begin < order.size(); begin = end) {
    for (end = begin + 1; end < order.size() && values[order[end]] == values[order[begin]];) ++end;
    const double rank = static_cast<double>(begin + 1 + end) / 2;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}
}  // namespace detail

/// Spearman's correlation, Pearson's of the ranks: only the order of the numbers counts. Throws as pearson does.
inline double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  detail::check_pairs("spearman", a, b);
  if (!all_finite(a) || !all_finite(b)) return std::numeric_limits<double>::quiet_NaN();
  return pearson(detail::ranks(a), detail::ranks(b));
}

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
