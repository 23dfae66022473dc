// Vectors: their arithmetic lane by lane against scalars.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "gptlite/kernels/simd/vec.hpp"
#include "support/vectors.hpp"

using namespace gptlite;
namespace simd = gptlite::kernels::simd;

namespace {

// f(a, b, c) of vectors equals g(a, b, c) of scalars in every lane, to a few roundings.
template <class T, class F, class G>
void check_lanes(F f, G g) {
  using V = simd::Vec<T>;
  const auto a = numbers<T>(V::width, -4, 4, 1), b = numbers<T>(V::width, 0.5, 4, 2),
             c = numbers<T>(V::width, -1, 1, 3);
  const std::vector<T> result = lanes<T>(f(V::load(a.data()), V::load(b.data()), V::load(c.data())));
  for (std::size_t i = 0; i < result.size(); ++i)
    CHECK(static_cast<double>(result[i]) == doctest::Approx(static_cast<double>(g(a[i], b[i], c[i])))
                                                .epsilon(4 * static_cast<double>(std::numeric_limits<T>::epsilon())));
}

}  // namespace

TEST_CASE_TEMPLATE("operators compute lane by lane", T, float, double) {
  using V = simd::Vec<T>;
  check_lanes<T>([](V a, V b, V) { return a + b; }, [](T a, T b, T) { return a + b; });
  check_lanes<T>([](V a, V b, V) { return a - b; }, [](T a, T b, T) { return a - b; });
  check_lanes<T>([](V a, V b, V) { return a * b; }, [](T a, T b, T) { return a * b; });
  check_lanes<T>([](V a, V b, V) { return a / b; }, [](T a, T b, T) { return a / b; });
  check_lanes<T>([](V a, V, V) { return -a; }, [](T a, T, T) { return -a; });
  check_lanes<T>([](V a, V, V) { return (a + T(3)) * T(2) - T(1); }, [](T a, T, T) { return (a + 3) * 2 - 1; });
  check_lanes<T>([](V a, V b, V) { return T(3) - (T(2) + a) * T(5) / b; },
                 [](T a, T b, T) { return 3 - (2 + a) * 5 / b; });
  check_lanes<T>([](V a, V b, V) { return T(2) * (T(3) / b) - a; }, [](T a, T b, T) { return 2 * (3 / b) - a; });
}

TEST_CASE_TEMPLATE("functions compute lane by lane", T, float, double) {
  using V = simd::Vec<T>;
  check_lanes<T>([](V a, V b, V c) { return simd::fma(a, b, c); }, [](T a, T b, T c) { return std::fma(a, b, c); });
  check_lanes<T>([](V a, V b, V) { return simd::max(a, b); }, [](T a, T b, T) { return std::max(a, b); });
  check_lanes<T>([](V a, V b, V) { return simd::min(a, b); }, [](T a, T b, T) { return std::min(a, b); });
  check_lanes<T>([](V a, V, V) { return simd::abs(a); }, [](T a, T, T) { return std::abs(a); });
  check_lanes<T>([](V, V b, V) { return simd::sqrt(b); }, [](T, T b, T) { return std::sqrt(b); });
  check_lanes<T>([](V a, V b, V c) { return simd::where_less(a, c, a, b); },
                 [](T a, T b, T c) { return a < c ? a : b; });
  check_lanes<T>([](V a, V, V) { return simd::where_less(a, a, a + T(1), a); }, [](T a, T, T) { return a; });
  check_lanes<T>([](V a, V, V) { return simd::lanewise(a, [](T x) { return x * x; }); },
                 [](T a, T, T) { return a * a; });
}

TEST_CASE_TEMPLATE("sum and largest run over all lanes", T, float, double) {
  using V = simd::Vec<T>;
  for (std::size_t position = 0; position < static_cast<std::size_t>(V::width); ++position) {
    std::vector<T> a(static_cast<std::size_t>(V::width), T(-2));
    a[position] = 5;
    CHECK(simd::reduce_sum(V::load(a.data())) == T(5 - 2 * (V::width - 1)));
    CHECK(simd::reduce_max(V::load(a.data())) == 5);
  }
}

TEST_CASE_TEMPLATE("transpose exchanges rows and columns of a square", T, float, double) {
  using V = simd::Vec<T>;
  const auto a = numbers<T>(V::width * V::width, -1, 1);
  std::array<V, static_cast<std::size_t>(V::width)> rows;
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = V::load(a.data() + i * rows.size());
  simd::transpose<T>(rows);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < rows.size(); ++j) CHECK(lanes<T>(rows[i])[j] == a[j * rows.size() + i]);
}

TEST_CASE_TEMPLATE("load_first fills up and store_first leaves the rest alone", T, float, double) {
  using V = simd::Vec<T>;
  const auto a = numbers<T>(V::width, -1, 1);
  for (std::size_t count = 1; count <= a.size(); ++count) {
    const std::vector<T> loaded = lanes<T>(V::load_first(a.data(), static_cast<Index>(count), T(7)));
    std::vector<T> stored(a.size(), T(9));
    V::load(a.data()).store_first(stored.data(), static_cast<Index>(count));
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(loaded[i] == (i < count ? a[i] : T(7)));
      CHECK(stored[i] == (i < count ? a[i] : T(9)));
    }
  }
}
