// Task metrics, against numbers worked out by hand from their definitions.

#include "gptlite/train/scores.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "support/throws.hpp"

using namespace gptlite;
using doctest::Approx;
using train::ConfusionMatrix;

namespace {
using Labels = std::vector<Index>;
using Numbers = std::vector<double>;

//               target 0        1        2
const Labels target{0, 0, 0, 0, 1, 1, 1, 2, 2, 2};
const Labels predicted{0, 0, 0, 1, 1, 1, 2, 2, 0, 0};
}  // namespace

TEST_CASE("accuracy is the share of right predictions") {
  CHECK(train::accuracy(predicted, target) == Approx(0.6));
  CHECK(train::accuracy({1}, {1}) == 1);
  CHECK(train::accuracy({1}, {0}) == 0);
}

TEST_CASE("the confusion matrix counts predictions by target") {
  const ConfusionMatrix confusion(predicted, target, 3);
  const Index counts[3][3] = {{3, 1, 0}, {0, 2, 1}, {2, 0, 1}};
  for (Index w = 0; w < 3; ++w)
    for (Index p = 0; p < 3; ++p) CHECK(confusion(w, p) == counts[w][p]);
  CHECK(confusion.target(0) == 4);
  CHECK(confusion.predicted(0) == 5);
  CHECK(confusion.predicted(2) == 2);
  CHECK(confusion.n_class() == 3);
}

TEST_CASE("macro F1 is the mean of the classes' F1, without classes that do not occur") {
  // F1: 2*3 / (5 + 4), 2*2 / (3 + 3), 2*1 / (2 + 3).
  const double f1 = (6.0 / 9 + 4.0 / 6 + 2.0 / 5) / 3;
  CHECK(train::macro_f1(ConfusionMatrix(predicted, target, 3)) == Approx(f1));
  CHECK(train::macro_f1(ConfusionMatrix(predicted, target, 7)) == Approx(f1));
  CHECK(train::macro_f1(ConfusionMatrix({0, 0}, {0, 1}, 2)) == Approx(1.0 / 3));  // class 1 is never predicted
  CHECK(train::macro_f1(ConfusionMatrix({1, 1}, {1, 1}, 2)) == 1);
}

TEST_CASE("Matthews' correlation, of two classes and of several") {
  // Two classes: (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)) with TP 3, TN 2, FP 1, FN 2.
  // (In this order: g++ 12 with AVX-512 makes eight ones of {1, 1, 1, 1, 1, 0, 0, 0}.)
  const Labels two_predicted{1, 0, 1, 0, 1, 0, 1, 0}, two_target{1, 1, 1, 0, 0, 1, 1, 0};
  CHECK(train::matthews(ConfusionMatrix(two_predicted, two_target, 2)) == Approx(4 / std::sqrt(4.0 * 5 * 3 * 4)));
  // Gorodkin: (6 * 10 - (5*4 + 3*3 + 2*3)) / sqrt((100 - 25 - 9 - 4) (100 - 16 - 9 - 9)).
  CHECK(train::matthews(ConfusionMatrix(predicted, target, 3)) == Approx(25 / std::sqrt(62.0 * 66)));
  CHECK(train::matthews(ConfusionMatrix({0, 1, 2}, {0, 1, 2}, 3)) == Approx(1));
  CHECK(train::matthews(ConfusionMatrix({1, 0}, {0, 1}, 2)) == Approx(-1));
  CHECK(train::matthews(ConfusionMatrix({1, 1}, {0, 1}, 2)) == 0);
  CHECK(train::matthews(ConfusionMatrix({1, 0}, {1, 1}, 2)) == 0);
}

TEST_CASE("Pearson's correlation") {
  // Deviations (-2, -1, 0, 3) and (-1, -2, 1, 2): 10 / sqrt(14 * 10).
  CHECK(train::pearson({1, 2, 3, 6}, {2, 1, 4, 5}) == Approx(10 / std::sqrt(140.0)));
  CHECK(train::pearson({1, 2, 3}, {10, 20, 30}) == Approx(1));
  CHECK(train::pearson({1, 2, 3}, {3, 2, 1}) == Approx(-1));
  CHECK(train::pearson({1e9 + 1, 1e9 + 2, 1e9 + 4}, {1, 2, 4}) == Approx(1));
  CHECK(train::pearson({2, 2, 2}, {1, 2, 3}) == 0);
  CHECK(train::pearson({1}, {1}) == 0);
  CHECK(train::pearson({0.1, 0.1, 0.1}, {0.1, 0.1, 0.1}) == 0);  // whose mean is rounded
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    CHECK(is_nan(train::pearson({1, bad, 3}, {1, 2, 3})));
    CHECK(is_nan(train::spearman({1, 2, 3}, {1, bad, 3})));
  }
}

TEST_CASE("Spearman's correlation sees the order alone; equal numbers share their rank") {
  CHECK(train::spearman({1, 10, 100, 1000}, {1, 2, 3, 4}) == Approx(1));
  CHECK(train::spearman({4, 3, 2, 1}, {1, 8, 9, 100}) == Approx(-1));
  // Ranks (1, 2.5, 2.5, 4) and (2, 1, 3, 4): deviations' products 1.5 * 0.5 + 0 + 0 + 1.5 * 1.5 = 3.
  CHECK(train::spearman({1, 5, 5, 9}, {20, 10, 30, 40}) == Approx(3 / std::sqrt(4.5 * 5)));
}

TEST_CASE("what cannot be measured is refused") {
  CHECK(message_of<ShapeError>([] {
          train::accuracy({1, 0}, {1});
        }) == "[accuracy] there are 2 predictions for 1 examples");
  CHECK(message_of<DataError>([] { train::accuracy({}, {}); }) == "[accuracy] there are no examples");
  CHECK(message_of<ShapeError>([] { train::pearson({1}, {}); }) == "[pearson] there are 1 predictions for 0 examples");
  CHECK(message_of<DataError>([] { train::spearman({}, {}); }) == "[spearman] there are no examples");
  CHECK(message_of<IndexError>([] {
          ConfusionMatrix({0, 3}, {0, 1}, 3);
        }) == "[ConfusionMatrix] class 3 of example 1 is outside 0..2");
  CHECK(message_of<IndexError>([] {
          ConfusionMatrix({0, 1}, {0, -1}, 3);
        }) == "[ConfusionMatrix] class -1 of example 1 is outside 0..2");
}
