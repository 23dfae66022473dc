// softmax and log_softmax of numbers whose exponentials no float holds.

#include "gptlite/kernels/softmax.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace gptlite;

TEST_CASE_TEMPLATE("softmax and log_softmax depend on differences alone, however large the numbers", T, float, double) {
  const std::vector<double> differences{0, -1, -2.5, -0.25, -700, -3, 0, -1.5, -9};
  const auto n = static_cast<Index>(differences.size());
  double sum = 0;
  for (const double difference : differences) sum += std::exp(difference);
  for (const double largest : {0.0, 1024.0, -1024.0, 65536.0}) {
    CAPTURE(largest);
    std::vector<T> x, y(differences.size()), logarithms(differences.size());
    for (const double difference : differences) x.push_back(static_cast<T>(largest + difference));  // exact
    kernels::softmax_forward(y.data(), x.data(), 1, n);
    kernels::log_softmax_forward(logarithms.data(), x.data(), 1, n);
    for (std::size_t i = 0; i < differences.size(); ++i) {
      CHECK(static_cast<double>(y[i]) == doctest::Approx(std::exp(differences[i]) / sum).epsilon(1e-6));
      CHECK(static_cast<double>(logarithms[i]) == doctest::Approx(differences[i] - std::log(sum)).epsilon(1e-6));
    }
  }
}
