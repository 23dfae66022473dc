// gemm against three plain loops, in small whole numbers so that every order of adding is exact.

#include "gptlite/kernels/gemm/gemm.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gptlite/core/random.hpp"

using namespace gptlite;
using namespace gptlite::kernels;

namespace {

struct Sizes {
  Index M, N, K;
};

// A rows x columns matrix in memory, as it is or transposed, with unused numbers between its rows.
template <class T>
struct Matrix {
  std::vector<T> memory;
  MatrixView<T> view;

  Matrix(Index rows, Index columns, bool transposed, int seed) {
    const Index lines = transposed ? columns : rows, stride = (transposed ? rows : columns) + 3;
    memory.resize(static_cast<std::size_t>(lines * stride + 1));
    for (std::size_t i = 0; i < memory.size(); ++i)
      memory[i] = static_cast<T>(static_cast<int>((i * 7 + static_cast<std::size_t>(seed)) * 31 % 17) - 8);
    view = MatrixView<T>{memory.data(), stride};
    if (transposed) view = view.transposed();
  }
  T operator()(Index i, Index j) const { return view.data[i * view.row_stride + j * view.column_stride]; }
};

template <class T>
void check_product(Sizes size, bool transpose_a, bool transpose_b, bool accumulate) {
  const Index M = size.M, N = size.N, K = size.K;
  INFO("M ", M, ", N ", N, ", K ", K, ", transposed ", transpose_a, transpose_b, ", accumulate ", accumulate);
  const Matrix<T> a(M, K, transpose_a, 1), b(K, N, transpose_b, 2);
  const Index ldc = N + 2;
  std::vector<T> c(static_cast<std::size_t>(M * ldc + 1), T(5)), expected = c;
  for (Index m = 0; m < M; ++m)
    for (Index n = 0; n < N; ++n) {
      T sum = accumulate ? T(5) : T(0);
      for (Index k = 0; k < K; ++k) sum += a(m, k) * b(k, n);
      expected[static_cast<std::size_t>(m * ldc + n)] = sum;
    }
  gemm(Precision::fp32, M, N, K, a.view, b.view, c.data(), ldc, accumulate);
  CHECK((c == expected));  // what stands between the rows included
}

// Beyond one block in every direction, and whole in none.
template <class T>
const Sizes large{1024 + Tile<T>::mr + 5, 4 * Tile<T>::nr + 3, 256 + 33};

}  // namespace

TEST_CASE_TEMPLATE("products of all views and sizes are those of plain loops", T, float, double) {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true})
      for (const bool accumulate : {false, true}) {
        const auto check_size = [&](Sizes size) { check_product<T>(size, transpose_a, transpose_b, accumulate); };
        check_size(large<T>);
        for (const Index M : {1, 3, 17})
          for (const Index N : {1, 5, 33})
            for (const Index K : {1, 7, 40}) check_size({M, N, K});
        check_size({Tile<T>::mr, Tile<T>::nr, Tile<T>::nr});  // one whole tile
        check_size({2 * Tile<T>::mr + 1, 2 * Tile<T>::nr + 1, 513});
        check_size({1, 300, 2});
        check_size({300, 1, 2});
      }
}

TEST_CASE_TEMPLATE("without depth C is zero or stays", T, float, double) {
  for (const bool accumulate : {false, true})
    for (const bool transposed : {false, true}) {
      check_product<T>({5, 7, 0}, transposed, transposed, accumulate);
      check_product<T>({large<T>.M, large<T>.N, 0}, transposed, transposed, accumulate);
    }
}

TEST_CASE_TEMPLATE("bias is added to every row of a product", T, float, double) {
  for (const Sizes size : {large<T>, Sizes{1, 1, 1}, Sizes{3, Tile<T>::nr, 5}, Sizes{3, 2, 0}})
    for (const bool accumulate : {false, true}) {
      const Index M = size.M, N = size.N, K = size.K;
      const Matrix<T> a(M, K, false, 1), b(K, N, false, 2);
      const std::vector<T> bias = Matrix<T>(1, N, false, 3).memory;
      std::vector<T> c(static_cast<std::size_t>(M * N), T(5)), expected = c;
      gemm(Precision::fp32, M, N, K, a.view, b.view, expected.data(), N, accumulate);
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += bias[i % static_cast<std::size_t>(N)];
      gemm(Precision::fp32, M, N, K, a.view, b.view, c.data(), N, accumulate, GemmOptions<T>{.bias = bias.data()},
           NoEpilogue{});
      CHECK((c == expected));
    }
}

TEST_CASE_TEMPLATE("a product adds up the columns of B on the way", T, float, double) {
  for (const int threads : {1, 3})
    for (const Precision precision : {Precision::fp32, Precision::bf16})
      for (const Sizes size :
           {large<T>, Sizes{1, 1, 1}, Sizes{64, Tile<T>::nr, 700}, Sizes{3, 2, 0}, Sizes{1, 900, 300}})
        for (const bool accumulate : {false, true}) {
          set_num_threads(threads);
          const Index M = size.M, N = size.N, K = size.K;
          const Matrix<T> a(M, K, false, 1), b(K, N, false, 2);
          std::vector<T> c(static_cast<std::size_t>(M * N)), sums(static_cast<std::size_t>(N), T(7)), expected = sums,
                                                                                                      alone = sums;
          for (Index n = 0; n < N; ++n) {
            T& sum = expected[static_cast<std::size_t>(n)];
            if (!accumulate) sum = 0;
            for (Index k = 0; k < K; ++k) sum += b(k, n);
          }
          gemm(precision, M, N, K, a.view, b.view, c.data(), N, false,
               GemmOptions<T>{.b_sums = {sums.data(), accumulate}}, NoEpilogue{});
          CHECK((sums == expected));
          column_sums_of_product(precision, N, K, b.view, GradTarget<T>{alone.data(), accumulate});
          CHECK((alone == expected));
        }
  set_num_threads(0);
}

TEST_CASE("without rows or columns nothing is written and no epilogue called") {
  float c = 5;
  int calls = 0;
  const Matrix<float> a(4, 4, false, 1);
  const auto epilogue = [&](const GemmPart<float>&) { ++calls; };
  gemm(Precision::fp32, 0, 4, 4, a.view, a.view, &c, 4, false, GemmOptions<float>{}, epilogue);
  gemm(Precision::fp32, 4, 0, 4, a.view, a.view, &c, 4, false, GemmOptions<float>{}, epilogue);
  CHECK(c == 5);
  CHECK(calls == 0);
}

TEST_CASE_TEMPLATE("the epilogue sees every element of C once and finished", T, float, double) {
  for (const Sizes size : {large<T>, Sizes{1, 1, 1}, Sizes{3, 2, 0}}) {
    const Index M = size.M, N = size.N, K = size.K;
    const Matrix<T> a(M, K, false, 1), b(K, N, false, 2);
    std::vector<T> plain(static_cast<std::size_t>(M * N)), c(plain.size());
    std::vector<int> calls(plain.size());
    gemm(Precision::fp32, M, N, K, a.view, b.view, plain.data(), N, false);
    gemm(Precision::fp32, M, N, K, a.view, b.view, c.data(), N, false, GemmOptions<T>{}, [&](const GemmPart<T>& part) {
      CHECK(part.data == c.data() + part.row * N + part.column);
      for (Index m = part.row; m < part.row + part.rows; ++m)
        for (Index n = part.column; n < part.column + part.columns; ++n) {
          const auto at = static_cast<std::size_t>(m * N + n);
          ++calls[at];
          c[at] = 3 - c[at];
        }
    });
    std::vector<T> seen(plain.size());  // the same without a C
    gemm(Precision::fp32, M, N, K, a.view, b.view, static_cast<T*>(nullptr), 0, false, GemmOptions<T>{},
         [&](const GemmPart<T>& part) {
           for (Index m = 0; m < part.rows; ++m)
             for (Index n = 0; n < part.columns; ++n)
               seen[static_cast<std::size_t>((part.row + m) * N + part.column + n)] = part.data[m * part.stride + n];
         });
    CHECK((seen == plain));
    for (T& value : plain) value = 3 - value;
    CHECK((c == plain));
    CHECK((calls == std::vector<int>(plain.size(), 1)));
  }
}

TEST_CASE("an operand held as bfloat16 gives the bits of one rounded while it is packed") {
  for (const Sizes size : {large<float>, Sizes{1, 1, 1}, Sizes{5, 70, 33}, Sizes{67, 19, 700}}) {
    const Index M = size.M, N = size.N, K = size.K;
    for (const bool transpose : {false, true}) {
      const Matrix<float> a(M, K, transpose, 1), b(K, N, transpose, 2);
      const auto rounded = [](const Matrix<float>& m) {
        std::vector<BFloat16> all;
        for (const float number : m.memory) all.push_back(BFloat16(number));
        return all;
      };
      const std::vector<BFloat16> a16 = rounded(a), b16 = rounded(b);
      const MatrixView<BFloat16> a_view{a16.data(), a.view.row_stride, a.view.column_stride};
      const MatrixView<BFloat16> b_view{b16.data(), b.view.row_stride, b.view.column_stride};
      std::vector<float> expected(static_cast<std::size_t>(M * N)), left = expected, right = expected;
      gemm(Precision::bf16, M, N, K, a.view, b.view, expected.data(), N, false);
      gemm(Precision::bf16, M, N, K, a_view, b.view, left.data(), N, false);
      gemm(Precision::bf16, M, N, K, a.view, b_view, right.data(), N, false);
      CHECK((left == expected));
      CHECK((right == expected));
    }
  }
}

TEST_CASE_TEMPLATE("products have the same bits for any number of threads", T, float, double) {
  const Index M = large<T>.M, N = large<T>.N, K = large<T>.K;
  std::vector<T> a(static_cast<std::size_t>(M * K)), b(static_cast<std::size_t>(K * N));
  fill_normal(a.data(), M * K, 0, 1, {.seed = 1, .stream = 1});
  fill_normal(b.data(), K * N, 0, 1, {.seed = 1, .stream = 2});
  const MatrixView<T> view_a{a.data(), K}, view_b{b.data(), N};
  std::vector<T> serial;
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    std::vector<T> c(static_cast<std::size_t>(M * N), T(0.1));
    gemm(Precision::fp32, M, N, K, view_a, view_b, c.data(), N, true);
    if (threads == 1) serial = c;
    CHECK((c == serial));
  }
  set_num_threads(0);
}

TEST_CASE("products in bf16 have the same bits for any number of threads") {
  const Index M = 1100, N = 70, K = 300;
  std::vector<float> a(static_cast<std::size_t>(M * K)), b(static_cast<std::size_t>(K * N));
  fill_normal(a.data(), M * K, 0, 1, {.seed = 1, .stream = 1});
  fill_normal(b.data(), K * N, 0, 1, {.seed = 1, .stream = 2});
  std::vector<float> serial;
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    std::vector<float> c(static_cast<std::size_t>(M * N), 0.1f);
    gemm(Precision::bf16, M, N, K, MatrixView<float>{a.data(), K}, MatrixView<float>{b.data(), N}, c.data(), N, true);
    if (threads == 1) serial = c;
    CHECK((c == serial));
  }
  set_num_threads(0);
}

TEST_CASE("bf16 rounds both operands to nearest even and sums in fp32") {
  // 1 + 2^-8 lies between two bfloat16 numbers and rounds to 1, the even one; 1 + 3 * 2^-8 rounds up to 1 + 2^-6.
  const std::vector<float> a{1 + 0x1p-8f, 1, 1, 1 + 3 * 0x1p-8f}, b{1, 0x1p-20f, 1 + 0x1p-8f, 1};
  float c = 0;
  gemm(Precision::bf16, 1, 1, 4, MatrixView<float>{a.data(), 4}, MatrixView<float>{b.data(), 1}, &c, 1, false);
  CHECK(c == 3 + 0x1p-6f + 0x1p-20f);
}

// The forms are tried directly: which of them bf16 takes depends on the machine.
TEST_CASE_TEMPLATE("each form multiplies as plain loops over its rounded numbers do", Format, PlainFormat<float>,
                   PlainFormat<double>, RoundedFormat, PairFormat, AmxFormat, Bf16x3Format) {
  using T = typename Format::Number;
  constexpr bool needs_amx = AmxTiled<Format>;
  if constexpr ((std::is_same_v<Format, PairFormat> && !simd::has_bf16_pairs) || (needs_amx && !simd::has_amx)) {
    MESSAGE("skipped: the compiler's target has no such products");
  } else {
    if (needs_amx && !simd::amx_is_usable()) {
      MESSAGE("skipped: AMX is not for this process");
      return;
    }
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const Sizes size :
             {Sizes{1, 1, 1}, Sizes{3, 2, 5}, Sizes{Tile<T>::mr + 1, Tile<T>::nr + 1, 77},
              Sizes{2 * Tile<T>::mr + 9, 3 * Tile<T>::nr, 2 * Tile<T>::kc + 31}, Sizes{65, 65, 4 * Tile<T>::kc + 2},
              Sizes{2 * FormatTile<Format>::mr, 4 * Tile<T>::nr + 5,
                    (FormatTile<Format>::kc + 40) * Format::k_per_element + 1}}) {
          const Index M = size.M, N = size.N, K = size.K;
          INFO("M ", M, ", N ", N, ", K ", K, ", transposed ", transpose_a, transpose_b);
          const Matrix<T> a(M, K, transpose_a, 1), b(K, N, transpose_b, 2);
          std::vector<T> packed(static_cast<std::size_t>(sizes_of<Format>.packed_size(K, N)), T(99));
          std::vector<T> c(static_cast<std::size_t>(M * N));
          for (std::size_t i = 0; i < c.size(); ++i) c[i] = static_cast<T>(static_cast<int>(i % 23) - 5);
          std::vector<T> expected = c;
          pack_b<Format>(packed.data(), sizes_of<Format>.panel_size(K), K, N, b.view);
          multiply_packed(format_of<Format>, M, N, K, a.view, packed.data(), sizes_of<Format>.panel_size(K), c.data(),
                          N, true);
          for (Index m = 0; m < M; ++m)
            for (Index n = 0; n < N; ++n)
              for (Index k = 0; k < K; ++k) expected[static_cast<std::size_t>(m * N + n)] += a(m, k) * b(k, n);
          CHECK((c == expected));  // small whole numbers are bfloat16 numbers
        }
  }
}

// A product of floats as sums of bfloat16. No whole numbers here: those are in the first plane alone.
TEST_CASE("fp32 on AMX: floats times the unit matrix are the same bits, and errors are not those of bfloat16") {
  if (!simd::amx_is_usable()) {
    MESSAGE("skipped: AMX is not for this process");
    return;
  }
  for (const bool transposed : {false, true}) {
    const Index M = 67, K = 2 * FormatTile<Bf16x3Format>::kc + 37;
    INFO("transposed ", transposed);
    std::vector<float> numbers(static_cast<std::size_t>(M * K)), unit(static_cast<std::size_t>(K * K));
    fill_normal(numbers.data(), M * K, 0, 1, {.seed = 1, .stream = 1});
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] *= std::ldexp(1.0f, static_cast<int>(i % 60) - 30);
    for (Index k = 0; k < K; ++k) unit[static_cast<std::size_t>(k * K + k)] = 1;
    const auto view = [&](const std::vector<float>& matrix, Index rows, Index columns) {
      return transposed ? MatrixView<float>{matrix.data(), rows}.transposed()
                        : MatrixView<float>{matrix.data(), columns};
    };
    const auto at = [&](Index m, Index k) {
      return numbers[static_cast<std::size_t>(transposed ? k * M + m : m * K + k)];
    };
    std::vector<float> left(numbers.size()), right(numbers.size());
    gemm(Precision::fp32, M, K, K, view(numbers, M, K), view(unit, K, K), left.data(), K, false);
    gemm(Precision::fp32, K, M, K, view(unit, K, K), view(numbers, M, K).transposed(), right.data(), M, false);
    Index wrong = 0;
    for (Index m = 0; m < M; ++m)
      for (Index k = 0; k < K; ++k) {
        wrong += left[static_cast<std::size_t>(m * K + k)] != at(m, k);
        wrong += right[static_cast<std::size_t>(k * M + m)] != at(m, k);
      }
    CHECK(wrong == 0);
  }
  for (const Index K : {5, 384, 1536, 5000}) {
    INFO("K ", K);
    const Index M = 40, N = 50;
    std::vector<float> a(static_cast<std::size_t>(M * K)), b(static_cast<std::size_t>(K * N));
    fill_normal(a.data(), M * K, 0, 1, {.seed = 1, .stream = 1});
    fill_normal(b.data(), K * N, 0, 1, {.seed = 1, .stream = 2});
    const auto error_of = [&](auto&& multiply) {
      std::vector<float> c(static_cast<std::size_t>(M * N), 3);
      multiply(c.data());
      double squares = 0;
      for (Index m = 0; m < M; ++m)
        for (Index n = 0; n < N; ++n) {
          double sum = 3;
          for (Index k = 0; k < K; ++k)
            sum += static_cast<double>(a[static_cast<std::size_t>(m * K + k)]) *
                   static_cast<double>(b[static_cast<std::size_t>(k * N + n)]);
          const double error = static_cast<double>(c[static_cast<std::size_t>(m * N + n)]) - sum;
          squares += error * error;
        }
      return std::sqrt(squares / static_cast<double>(M * N));
    };
    const MatrixView<float> view_a{a.data(), K}, view_b{b.data(), N};
    const double split = error_of([&](float* c) { gemm(Precision::fp32, M, N, K, view_a, view_b, c, N, true); });
    const double plain = error_of([&](float* c) {
      using Format = PlainFormat<float>;
      std::vector<float> packed(static_cast<std::size_t>(sizes_of<Format>.packed_size(K, N)));
      pack_b<Format>(packed.data(), sizes_of<Format>.panel_size(K), K, N, view_b);
      multiply_packed(format_of<Format>, M, N, K, view_a, packed.data(), sizes_of<Format>.panel_size(K), c, N, true);
    });
    CHECK(split < 1.1 * plain);
  }
}

TEST_CASE_TEMPLATE("a number that is not finite spoils its row or column of C alone", T, float, double) {
  const Index size = 50;
  for (const Precision precision : {Precision::fp32, Precision::bf16})
    for (const T bad : {std::numeric_limits<T>::infinity(), std::numeric_limits<T>::quiet_NaN()}) {
      std::vector<T> a(static_cast<std::size_t>(size * size), T(0.7)), b = a, c(a.size());
      a[static_cast<std::size_t>(7 * size + 9)] = bad;
      b[static_cast<std::size_t>(40 * size + 33)] = bad;
      const MatrixView<T> view_a{a.data(), size}, view_b{b.data(), size};
      gemm(precision, size, size, size, view_a, view_b, c.data(), size, false);
      Index wrong = 0;
      for (Index m = 0; m < size; ++m)
        for (Index n = 0; n < size; ++n)
          wrong += std::isfinite(c[static_cast<std::size_t>(m * size + n)]) != (m != 7 && n != 33);
      CHECK(wrong == 0);
    }
}

TEST_CASE_TEMPLATE("packing lays panels of columns out one after the other and pads the last with zeros", T, float,
                   double) {
  using Format = PlainFormat<T>;
  constexpr Index columns = Tile<T>::nr;
  const Index K = columns + 3, N = 2 * columns + 1;
  CHECK(sizes_of<Format>.panel_size(K) == columns * K);
  for (const bool transposed : {false, true}) {
    const Matrix<T> b(K, N, transposed, 3);
    std::vector<T> packed(static_cast<std::size_t>(sizes_of<Format>.packed_size(K, N)), T(99)), expected;
    pack_b<Format>(packed.data(), sizes_of<Format>.panel_size(K), K, N, b.view);
    for (Index n = 0; n < N; n += columns)
      for (Index k = 0; k < K; ++k)
        for (Index j = n; j < n + columns; ++j) expected.push_back(j < N ? b(k, j) : T(0));
    REQUIRE(packed.size() >= expected.size());
    CHECK(std::equal(expected.begin(), expected.end(), packed.begin()));
  }
}
