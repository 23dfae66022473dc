// The AdamW kernels against plain loops in double, over several steps and several jobs' worth of numbers.

#include "gptlite/kernels/adamw.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "gptlite/core/random.hpp"

using namespace gptlite;

namespace {

template <class T>
struct State {
  std::vector<T> p, m, v;
};

// Steps 1 to `steps` from fixed random numbers and gradients: by the kernel, and by the formulas in double.
template <class T>
std::pair<State<T>, State<double>> stepped(Index size, int steps) {
  const auto n = static_cast<std::size_t>(size);
  State<T> state{std::vector<T>(n), std::vector<T>(n), std::vector<T>(n)};
  fill_normal(state.p.data(), size, 0, 1, {.seed = 1, .stream = 0});
  State<double> plain{std::vector<double>(state.p.begin(), state.p.end()), std::vector<double>(n),
                      std::vector<double>(n)};
  const double rate = 0.01, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0.1, scale = 0.5;
  for (int t = 1; t <= steps; ++t) {
    std::vector<T> grad(n);
    fill_normal(grad.data(), size, 0, 1, {.seed = 1, .stream = static_cast<std::uint64_t>(t)});
    const double correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
    // In two parameters, of a third of the numbers and the rest.
    const kernels::AdamWStep step{rate, beta1, beta2, eps, decay, scale, correction1, correction2};
    const Index third = size / 3;
    kernels::adamw<T>({{state.p.data(), state.m.data(), state.v.data(), grad.data(), third, step},
                       {state.p.data() + third, state.m.data() + third, state.v.data() + third, grad.data() + third,
                        size - third, step}});
    for (std::size_t i = 0; i < n; ++i) {
      const double g = scale * static_cast<double>(grad[i]);
      plain.m[i] = beta1 * plain.m[i] + (1 - beta1) * g;
      plain.v[i] = beta2 * plain.v[i] + (1 - beta2) * g * g;
      plain.p[i] -= rate * decay * plain.p[i];
      plain.p[i] -= rate / correction1 * plain.m[i] / (std::sqrt(plain.v[i] / correction2) + eps);
    }
  }
  return {state, plain};
}

template <class T>
double largest_difference(const std::vector<T>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

}  // namespace

TEST_CASE_TEMPLATE("adamw follows the formulas for every size", T, float, double) {
  const double tolerance = 20 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const Index size : {Index{0}, Index{1}, Index{19}, kernels::elementwise_grain + 3}) {
    const auto [state, plain] = stepped<T>(size, 10);
    CHECK(largest_difference(state.p, plain.p) < tolerance);
    CHECK(largest_difference(state.m, plain.m) < tolerance);
    CHECK(largest_difference(state.v, plain.v) < tolerance);
  }
}

TEST_CASE("adamw and sum_of_squares have the same bits for any number of threads") {
  const Index size = 3 * kernels::elementwise_grain + 5;
  std::vector<float> serial;
  double serial_squares = 0;
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    const std::vector<float> p = stepped<float>(size, 2).first.p;
    const double squares = kernels::sum_of_squares<float>({p, {p.data(), 5}});
    if (threads == 1) serial = p, serial_squares = squares;
    CHECK((p == serial));
    CHECK(squares == serial_squares);
  }
  set_num_threads(0);
}

TEST_CASE_TEMPLATE("sum_of_squares adds up all squares", T, float, double) {
  for (const std::size_t size : {0u, 1u, 19u, 40001u}) {
    std::vector<T> x(size);
    double expected = 0;
    for (std::size_t i = 0; i < size; ++i) {
      x[i] = static_cast<T>(static_cast<int>(i % 7) - 3);
      expected += static_cast<double>(x[i] * x[i]);
    }
    CHECK(kernels::sum_of_squares<T>({x}) == expected);
    CHECK(kernels::sum_of_squares<T>({x, {}, x}) == 2 * expected);
  }
}
