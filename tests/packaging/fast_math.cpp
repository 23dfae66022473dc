// A program compiled with -ffast-math, which makes std::isfinite and std::isnan constant: numbers that are not finite
// are found all the same, by their bits.

#include <bit>
#include <cstdint>
#include <cstdio>
#include <string>

#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/autograd/ops/reduce.hpp"
#include "gptlite/nn/anomaly_mode.hpp"
#include "gptlite/train/adamw.hpp"
#include "gptlite/train/loop.hpp"

using namespace gptlite;

namespace {

int failures = 0;

void check_that(bool holds, const char* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

// The sum of w x.
struct Dot {
  using value_type = float;
  Tensor<float> w = Tensor<float>::from({1, 2, 3}).set_requires_grad();
  void visit(auto&& f) { f("w", w); }
  Tensor<float> loss(const Tensor<float>& x) const { return sum(w * x); }
};

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no exception";
}

}  // namespace

int main() {
#ifndef __FAST_MATH__
  std::puts("failed: not compiled with -ffast-math");
  return 1;
#endif
  for (const std::uint32_t bits : {0x7FC00000U, 0x7F800000U}) {  // NaN and infinity, which have no constants here
    const auto bad = std::bit_cast<float>(bits);
    Dot model;
    train::AdamW optimizer(model);
    train::Loop loop(optimizer, {.max_steps = 10, .stream = nullptr});
    const auto step = [&](float x) {
      loop.next();
      loop.backward(model.loss(Tensor<float>::from({1, x, 1})), 1);
      return loop.step();
    };
    for (int i = 0; i < 4; ++i) check_that(step(bad).skipped, "a step whose gradient is not finite is skipped");
    check_that(model.w.to_vector() == std::vector<float>{1, 2, 3}, "skipped steps leave the weights");
    check_that(!step(1).skipped && model.w.data()[0] != 1, "a finite step is done");
    for (int i = 0; i < 4; ++i) step(bad);
    check_that(message_of([&] { step(bad); }).find("five gradients in a row are not finite") != std::string::npos,
               "five in a row end training");

    const AnomalyMode anomaly(model);
    const std::string input = message_of([&] { model.loss(Tensor<float>::from({1, bad, 1})); });
    check_that(input.find("output 0 of mul with w is not finite: 1 of 3 numbers") != std::string::npos, input.c_str());
    check_that(input.find("; input 1 is not finite") != std::string::npos, input.c_str());
    model.loss(Tensor<float>::ones({3})).backward();
    model.w.data()[2] = bad;
    const std::string parameter = message_of([&] { model.loss(Tensor<float>::ones({3})); });
    check_that(parameter.find("; parameter w is not finite: 1 of 3 numbers, the first ") != std::string::npos,
               parameter.c_str());
  }
  std::puts(failures == 0 ? "numbers that are not finite are found" : "failed");
  return failures == 0 ? 0 : 1;
}
