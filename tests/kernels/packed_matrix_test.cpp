// PackedMatrix: products in each format, for few and many rows, beside plain loops.

#include "gptlite/kernels/packed/packed_matrix.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gptlite/core/random.hpp"
#include "support/throws.hpp"

using namespace gptlite;
using kernels::MatrixView, kernels::PackedMatrix;

namespace {

template <class T>
std::vector<T> normal_numbers(Index count, std::uint64_t stream) {
  std::vector<T> numbers(static_cast<std::size_t>(count));
  fill_normal(numbers.data(), count, 0, 1, {1, stream});
  return numbers;
}

// The largest error of x w for M rows, as a part of the products' usual size sqrt(K). `weight` says what the format
// made of a column of w. rounds_x: the products are of bf16 numbers on both sides.
template <class T, class Weight>
double largest_error(Index M, Index K, Index N, WeightFormat format, bool transposed, Weight weight,
                     bool rounds_x = false) {
  const std::vector<T> x = normal_numbers<T>(M * K, 1), w = normal_numbers<T>(K * N, 2);
  const MatrixView<T> view = transposed ? MatrixView<T>{w.data(), K}.transposed() : MatrixView<T>{w.data(), N};
  const PackedMatrix<T> matrix(K, N, view, format);
  std::vector<T> y(static_cast<std::size_t>(M * N), T(-7));
  std::vector<int> finished(y.size());
  matrix.multiply(M, x.data(), y.data(), [&](Index row, Index rows, Index column, Index columns) {
    for (Index r = row; r < row + rows; ++r)
      for (Index c = column; c < column + columns; ++c) ++finished[static_cast<std::size_t>(r * N + c)];
  });
  CHECK(finished == std::vector<int>(y.size(), 1));
  double largest = 0;
  for (Index n = 0; n < N; ++n) {
    std::vector<double> column;
    for (Index k = 0; k < K; ++k)
      column.push_back(static_cast<double>(view.data[k * view.row_stride + n * view.column_stride]));
    weight(column);
    for (Index m = 0; m < M; ++m) {
      double sum = 0;
      for (Index k = 0; k < K; ++k) {
        const T number = x[static_cast<std::size_t>(m * K + k)];
        sum += static_cast<double>(rounds_x ? static_cast<T>(round_to_bfloat16(static_cast<float>(number))) : number) *
               column[static_cast<std::size_t>(k)];
      }
      largest = std::max(largest, std::abs(sum - static_cast<double>(y[static_cast<std::size_t>(m * N + n)])));
    }
  }
  return largest / std::sqrt(static_cast<double>(K));
}

template <class F>
void for_shapes(F&& f) {
  for (const Index M : {1, 3, 4, 7, 8, 9, 70})
    for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {33, 17}, {64, 32}, {300, 45}, {520, 100}})
      for (const bool transposed : {false, true}) {
        const Index K = sizes.first, N = sizes.second;
        INFO("M ", M, ", K ", K, ", N ", N, ", transposed ", transposed);
        f(M, K, N, transposed);
      }
}

}  // namespace

TEST_CASE("plain weights give the product") {
  for_shapes([](Index M, Index K, Index N, bool transposed) {
    const auto as_they_are = [](std::vector<double>&) {};
    CHECK(largest_error<float>(M, K, N, WeightFormat::fp32, transposed, as_they_are) < 1e-6 * 4);
    CHECK(largest_error<double>(M, K, N, WeightFormat::fp32, transposed, as_they_are) < 1e-14);
  });
}

TEST_CASE("bf16 weights give the product with rounded weights") {
  for_shapes([](Index M, Index K, Index N, bool transposed) {
    const auto round = [](std::vector<double>& column) {
      for (double& w : column) w = static_cast<double>(round_to_bfloat16(static_cast<float>(w)));
    };
    const bool rounds_x = M > 8 && kernels::bf16_products_are_fast();
    CHECK(largest_error<float>(M, K, N, WeightFormat::bf16, transposed, round, rounds_x) < 1e-6 * 4);
  });
}

TEST_CASE("int8 weights are whole multiples, at most 127, of one scale for 32 of them") {
  for_shapes([](Index M, Index K, Index N, bool transposed) {
    CHECK(largest_error<float>(M, K, N, WeightFormat::int8, transposed, [](std::vector<double>& column) {
            for (std::size_t begin = 0; begin < column.size(); begin += 32) {
              const std::size_t end = std::min(column.size(), begin + 32);
              double largest = 0;
              for (std::size_t k = begin; k < end; ++k) largest = std::max(largest, std::abs(column[k]));
              float scale = round_to_bfloat16(static_cast<float>(largest) / 127);
              if (static_cast<double>(scale) * 127 < largest)
                scale = std::bit_cast<float>(std::bit_cast<std::uint32_t>(scale) + 0x10000u);
              for (std::size_t k = begin; k < end; ++k)
                column[k] = static_cast<double>(std::nearbyint(static_cast<float>(column[k]) / scale) * scale);
            }
          }) < 1e-6 * 4);
  });
}

TEST_CASE("a row beside few others has the bits that it has alone") {
  for (const auto& sizes : {std::pair<Index, Index>{1, 1}, {37, 17}, {300, 45}, {128, 97}, {520, 200}})
    for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::bf16, WeightFormat::int8}) {
      const Index K = sizes.first, N = sizes.second;
      constexpr Index most = PackedMatrix<float>::gemv_rows;
      const std::vector<float> x = normal_numbers<float>(most * K, 1), w = normal_numbers<float>(K * N, 2);
      const PackedMatrix<float> matrix(K, N, {w.data(), N}, format);
      std::vector<float> alone(static_cast<std::size_t>(most * N));
      for (Index m = 0; m < most; ++m) matrix.multiply(1, x.data() + m * K, alone.data() + m * N, [](auto...) {});
      for (Index M = 2; M <= most; ++M) {
        INFO("M ", M, ", K ", K, ", N ", N);
        std::vector<float> y(static_cast<std::size_t>(M * N));
        matrix.multiply(M, x.data(), y.data(), [](auto...) {});
        CHECK(std::equal(y.begin(), y.end(), alone.begin()));
      }
    }
}

TEST_CASE("zeros and tiny weights keep their place in int8") {
  const Index K = 40, N = 3;
  std::vector<float> w(static_cast<std::size_t>(K * N), 0.0f), x(static_cast<std::size_t>(K), 1.0f), y(3);
  w[0] = 1e-38f;
  w[1] = 5;
  PackedMatrix<float>(K, N, {w.data(), N}, WeightFormat::int8).multiply(1, x.data(), y.data(), [](auto...) {});
  CHECK(std::abs(y[0]) < 2e-38f);
  CHECK(y[1] == doctest::Approx(5).epsilon(0.01));
  CHECK(y[2] == 0);
  w[7] = std::numeric_limits<float>::infinity();
  CHECK(message_of<DataError>([&] {
          PackedMatrix<float>(K, N, {w.data(), N}, WeightFormat::int8);
        }) == "[Int8Weights] a weight is not finite: has the model diverged?");
}

namespace {

// Row k of the matrix as the products with unit vectors give it: M of them at a time.
std::vector<float> rows_by_products(const PackedMatrix<float>& matrix, Index K, Index N, Index M) {
  std::vector<float> rows;
  for (Index first = 0; first < K; first += M) {
    std::vector<float> x(static_cast<std::size_t>(M * K)), y(static_cast<std::size_t>(M * N));
    for (Index m = 0; m < std::min(M, K - first); ++m) x[static_cast<std::size_t>(m * K + first + m)] = 1;
    matrix.multiply(M, x.data(), y.data(), [](auto...) {});
    rows.insert(rows.end(), y.begin(), y.begin() + std::min(M, K - first) * N);
  }
  return rows;
}

// Bytes of a packed matrix, by the bits of a weight; 32 more for the header of each column.
Index packed_bytes(Index K, Index N, Index bits, bool compact) {
  constexpr Index panel = kernels::Tile<float>::nr;
  return (N + panel - 1) / panel * panel * (compact ? 32 + (K + 7) / 8 * 8 * bits : K * bits) / 8;
}

std::vector<float> rounded(std::vector<float> weights, WeightFormat format) {
  if (format == WeightFormat::bf16)
    for (float& w : weights) w = round_to_bfloat16(w);
  return weights;
}

constexpr bool compact = kernels::simd::has_vectors_of_bits;

}  // namespace

TEST_CASE("short exponents keep every weight as it is") {
  const Index K = 203, N = 53;
  std::vector<float> w = normal_numbers<float>(K * N, 3);
  for (float& v : w) v = std::abs(v) < 1e-3f ? 1e-3f : v;  // no weight of a column is far below the others
  const PackedMatrix<float> fp32(K, N, {w.data(), N}, WeightFormat::fp32);
  const PackedMatrix<float> bf16(K, N, {w.data(), N}, WeightFormat::bf16);
  CHECK(fp32.bytes() == (compact ? packed_bytes(K, N, 28, true) : packed_bytes(K, N, 32, false)));
  CHECK(bf16.bytes() == (compact ? packed_bytes(K, N, 12, true) : packed_bytes(K + 1, N, 16, false)));
  for (const Index M : {1, 4, 6, 7, 40}) {
    CHECK(rows_by_products(fp32, K, N, M) == w);
    CHECK(rows_by_products(bf16, K, N, M) == rounded(w, WeightFormat::bf16));
  }
}

TEST_CASE("weights too small for a short exponent are kept apart") {
  const Index K = 403, N = 300;  // several jobs
  std::vector<float> w = normal_numbers<float>(K * N, 4);
  for (float& v : w) v = std::abs(v) < 1e-3f ? 1e-3f : v;
  const std::vector<float> some{0.0f, -0.0f, 1e-30f, -3e-6f, std::numeric_limits<float>::denorm_min(), 2e-5f};
  for (std::size_t i = 0; i < 240; ++i) w[i * 503 + 8] = some[i % some.size()];
  for (Index k = 0; k < K; ++k) {  // columns of their own kind: zeros, the smallest floats, and both ends
    w[static_cast<std::size_t>(k * N)] = 0;
    w[static_cast<std::size_t>(k * N + 1)] = static_cast<float>(k) * std::numeric_limits<float>::denorm_min();
    w[static_cast<std::size_t>(k * N + 2)] = std::ldexp(1.7e38f, -static_cast<int>(k % 14));
  }
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::bf16}) {
    const PackedMatrix<float> matrix(K, N, {w.data(), N}, format);
    if (compact) CHECK(matrix.bytes() == packed_bytes(K, N, format == WeightFormat::fp32 ? 28 : 12, true));
    const std::vector<float> expected = rounded(w, format);
    for (const Index M : {1, 4, 6, 40}) {
      const std::vector<float> rows = rows_by_products(matrix, K, N, M);
      double largest = 0;  // what is kept apart is taken off a sum: exact to the last bit of the column's base, 1e-11
      for (std::size_t i = 0; i < w.size(); ++i) {
        const bool apart = std::abs(w[i]) < 1e-4f && i % N > 2 && M <= 8;
        const bool vanishes =
            M > 8 && kernels::simd::amx_is_usable() && std::abs(w[i]) < 0x1p-100f;  // AMX has no subnormal numbers
        if (!apart && rows[i] != expected[i] && !(vanishes && std::abs(rows[i]) < 0x1p-100f)) largest = 1;
        if (apart) largest = std::max(largest, static_cast<double>(std::abs(rows[i] - expected[i])));
      }
      CHECK(largest < 1e-11);
    }
  }
}

TEST_CASE("a matrix with many zeros, with a lonely large weight or with what is not finite is held as it is") {
  const Index K = 64, N = 400;
  const auto bytes = [&](const std::vector<float>& w, WeightFormat format) {
    return PackedMatrix<float>(K, N, {w.data(), N}, format).bytes();
  };
  std::vector<float> zeros = normal_numbers<float>(K * N, 5);
  for (std::size_t i = 0; i < zeros.size(); i += 49) zeros[i] = 0;
  std::vector<float> lonely = normal_numbers<float>(K * N, 6);
  lonely[45] = 1e10f;
  std::vector<float> infinite(static_cast<std::size_t>(K * N), 1.0f);
  infinite[45] = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& w : {zeros, lonely, infinite}) {
    CHECK(bytes(w, WeightFormat::fp32) == packed_bytes(K, N, 32, false));
    CHECK(bytes(w, WeightFormat::bf16) == packed_bytes(K, N, 16, false));
  }
  CHECK(rows_by_products({K, N, {zeros.data(), N}, WeightFormat::fp32}, K, N, 1) == zeros);
  // The large weight meets a zero and leaves the others their digits.
  std::vector<float> x(static_cast<std::size_t>(K), 1.0f), y(static_cast<std::size_t>(N));
  x[0] = 0;
  PackedMatrix<float>(K, N, {lonely.data(), N}, WeightFormat::fp32).multiply(1, x.data(), y.data(), [](auto...) {});
  double sum = 0;
  for (Index k = 1; k < K; ++k) sum += static_cast<double>(lonely[static_cast<std::size_t>(k * N + 45)]);
  CHECK(y[45] == doctest::Approx(sum).epsilon(1e-5));
  PackedMatrix<float>(K, N, {infinite.data(), N}, WeightFormat::fp32).multiply(1, x.data(), y.data(), [](auto...) {});
  CHECK(y[44] == static_cast<float>(K - 1));
}

TEST_CASE("a matrix without rows gives zeros") {
  for (const WeightFormat format : {WeightFormat::fp32, WeightFormat::bf16, WeightFormat::int8})
    for (const Index M : {1, 20}) {
      std::vector<float> y(static_cast<std::size_t>(M * 5), 7.0f);
      const float none = 0;
      PackedMatrix<float>(0, 5, {&none, 5}, format).multiply(M, &none, y.data(), [](auto...) {});
      CHECK(y == std::vector<float>(y.size(), 0.0f));
    }
}
