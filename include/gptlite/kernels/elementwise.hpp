#pragma once
// Element-wise loops: the parallel form of simd::transform, sums of arrays, and binary functions that broadcast.

#include <algorithm>
#include <vector>

#include "gptlite/core/large_vector.hpp"
#include "gptlite/core/parallel.hpp"
#include "gptlite/kernels/simd/math.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace kernels {

/// Elements per job of an element-wise loop: enough to be worth a thread, few enough for a cache.
inline constexpr Index elementwise_grain = 1 << 14;

/// A part of one of several arrays, at most elementwise_grain long.
struct ArrayPiece {
  std::size_t array;
  Index begin, end;
};
/// The pieces of arrays of these sizes, in order. With them one parallel region covers many small arrays.
inline LargeVector<ArrayPiece> pieces_of(const std::vector<Index>& sizes) {
  LargeVector<ArrayPiece> pieces;
  for (std::size_t array = 0; array < sizes.size(); ++array)
    for (Index begin = 0; begin < sizes[array]; begin += elementwise_grain)
      pieces.push_back({array, begin, std::min(sizes[array], begin + elementwise_grain)});
  return pieces;
}

/// out[i] = f(in[i]...) for i in 0..n-1, in parallel. f takes and returns simd::Vec<T>; out may be one of the inputs.
template <class T, class F, class... In>
void transform(T* out, Index n, F&& f, const In*... in) {
  parallel_for_ranges(n, elementwise_grain,
                      [&](Index begin, Index end) { simd::transform(out + begin, end - begin, f, (in + begin)...); });
}

/// Target of a gradient for a backward kernel. The kernel adds to `data` or, if nothing was added before, overwrites
/// it, so no gradient is filled with zeros first. Null data: no gradient is needed.
template <class T>
struct GradTarget {
  T* data = nullptr;
  bool accumulate = false;

  explicit operator bool() const { return data != nullptr; }
  GradTarget offset(Index n) const { return {data + n, accumulate}; }
};

namespace simd {
/// to[i] (+)= f(in[i]...) for i in 0..n-1.
template <class T, class F, class... In>
void add_to(GradTarget<T> to, Index n, F&& f, const In*... in) {
  if (to.accumulate)
    simd::transform(
        to.data, n, [&](Vec<T> sum, auto... v) { return sum + f(v...); }, to.data, in...);
  else
    simd::transform(to.data, n, f, in...);
}
}  // namespace simd

/// to[i] (+)= f(in[i]...) for i in 0..n-1, in parallel.
template <class T, class F, class... In>
void add_to(GradTarget<T> to, Index n, F&& f, const In*... in) {
  parallel_for_ranges(n, elementwise_grain,
                      [&](Index begin, Index end) { simd::add_to(to.offset(begin), end - begin, f, (in + begin)...); });
}

/// sum[i] += x[i] for i in 0..n-1, in parallel.
template <class T>
void accumulate(T* sum, const T* x, Index n) {
  using V = simd::Vec<T>;
  transform(
      sum, n, [](V a, V b) { return a + b; }, sum, x);
}

/// An operand of a binary function: its numbers, and its shape, which broadcasts to the output's.
template <class T>
struct Operand {
  const T* data;
  const Shape& shape;
};

namespace detail {

/// The axes of a broadcast loop. Neighboring axes are merged if both operands step through them alike. The last axis is
/// the inner loop, in which each operand moves by 1 or stays.
struct BroadcastAxes {
  struct Axis {
    Index size, step_a, step_b;
  };
  std::vector<Axis> outer;
  Axis inner{1, 0, 0};

  BroadcastAxes(const Shape& out, const Shape& a, const Shape& b) {
    Index stride_a = 1, stride_b = 1;
    bool first = true;
    for (Index axis = 1; axis <= out.rank(); ++axis) {
      const Index size = out[-axis];
      const Index size_a = axis <= a.rank() ? a[-axis] : 1, size_b = axis <= b.rank() ? b[-axis] : 1;
      const Axis next{size, size_a == 1 ? 0 : stride_a, size_b == 1 ? 0 : stride_b};
      stride_a *= size_a;
      stride_b *= size_b;
      if (size == 1) continue;
      Axis& last = outer.empty() ? inner : outer.back();
      if (first)
        inner = next;
      else if (next.step_a == last.step_a * last.size && next.step_b == last.step_b * last.size)
        last.size *= size;
      else
        outer.push_back(next);
      first = false;
    }
  }
};

}  // namespace detail

/// out = f(a, b) with NumPy's broadcasting. `shape` is the shape that both broadcast to; out may be the data of an
/// operand of that shape. f takes and returns simd::Vec<T>.
template <class T, class F>
void broadcast(T* out, const Shape& shape, Operand<T> a, Operand<T> b, F&& f) {
  using V = simd::Vec<T>;
  if (shape.numel() == 0) return;
  const detail::BroadcastAxes axes(shape, a.shape, b.shape);
  const Index n = axes.inner.size, rows = shape.numel() / n;
  // A job is a piece of one long row, or several short rows.
  const Index pieces = (n + elementwise_grain - 1) / elementwise_grain;
  const Index rows_per_job = pieces > 1 ? 1 : std::max<Index>(1, elementwise_grain / n);
  const Index row_jobs = (rows + rows_per_job - 1) / rows_per_job;
  parallel_for(row_jobs * pieces, [&](Index job) {
    const Index begin = job % pieces * elementwise_grain, count = std::min(elementwise_grain, n - begin);
    const Index first_row = job / pieces * rows_per_job, last_row = std::min(rows, first_row + rows_per_job);
    for (Index row = first_row; row < last_row; ++row) {
      const T *from_a = a.data + begin * axes.inner.step_a, *from_b = b.data + begin * axes.inner.step_b;
      Index rest = row;
      for (const auto& axis : axes.outer) {
        from_a += rest % axis.size * axis.step_a;
        from_b += rest % axis.size * axis.step_b;
        rest /= axis.size;
      }
      T* to = out + row * n + begin;
      if (axes.inner.step_a == 1 && axes.inner.step_b == 1) {
        simd::transform(to, count, f, from_a, from_b);
      } else if (axes.inner.step_a == 1) {
        const V all_b = V::broadcast(*from_b);
        simd::transform(
            to, count, [&](V x) { return f(x, all_b); }, from_a);
      } else if (axes.inner.step_b == 1) {
        const V all_a = V::broadcast(*from_a);
        simd::transform(
            to, count, [&](V x) { return f(all_a, x); }, from_b);
      } else {  // one element
        f(V::broadcast(*from_a), V::broadcast(*from_b)).store_first(to, count);
      }
    }
  });
}

GPTLITE_COMPILED_FUNCTION(accumulate)

}  // namespace kernels
}  // namespace gptlite::inline GPTLITE_ABI
