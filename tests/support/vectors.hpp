#pragma once
// What the tests of vectors share: random numbers to load, and the lanes of a vector.

#include <cstdint>
#include <vector>

#include "gptlite/core/random.hpp"
#include "gptlite/kernels/simd/vec.hpp"

template <class T>
std::vector<T> numbers(gptlite::Index size, double low, double high, std::uint64_t seed = 1) {
  std::vector<T> values(static_cast<std::size_t>(size));
  gptlite::fill_uniform(values.data(), size, low, high, {.seed = seed, .stream = 0});
  return values;
}

template <class T>
std::vector<T> lanes(gptlite::kernels::simd::Vec<T> v) {
  std::vector<T> out(static_cast<std::size_t>(gptlite::kernels::simd::Vec<T>::width));
  v.store(out.data());
  return out;
}
