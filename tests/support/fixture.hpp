#pragma once
// Fixtures made by the Python scripts in tests/fixtures, and the measure that tests compare with.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gptlite/core/tensor.hpp"

inline nlohmann::json read_fixture(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(GPTLITE_FIXTURES "/" + name));
}

/// Largest difference of two sets of numbers, relative to the largest number expected (or `floor`, if that is larger).
/// Infinite if their counts differ or one is not a number.
template <class T>
double relative_error(const gptlite::Tensor<T>& got, const std::vector<double>& expected, double floor = 1e-3) {
  if (got.numel() != static_cast<gptlite::Index>(expected.size())) return HUGE_VAL;
  double largest = floor, difference = 0;
  for (gptlite::Index i = 0; i < got.numel(); ++i) {
    const double e = expected[static_cast<std::size_t>(i)], d = std::abs(static_cast<double>(got.data()[i]) - e);
    if (!(d < HUGE_VAL)) return HUGE_VAL;
    largest = std::max(largest, std::abs(e));
    difference = std::max(difference, d);
  }
  return difference / largest;
}
