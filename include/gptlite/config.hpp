#pragma once
// Compile-time switches, and the inline namespace that keeps differently built copies of the library apart.

#include "gptlite/version.hpp"

// Macros that would rewrite these headers.
#ifdef check
#error \
    "gptlite: a macro named `check` is defined (macOS's AssertMacros.h, or a test framework). Include gptlite before it, or #undef check."
#endif
#if defined(min) || defined(max)
#error \
    "gptlite: a macro named `min` or `max` is defined (windows.h does so: define NOMINMAX before it). Or #undef min and max."
#endif

/// 1: parallel_for uses several threads, as many as OpenMP says. 0: everything runs on the calling thread. Default: 1
/// if the compiler is asked for OpenMP (-fopenmp).
#ifndef GPTLITE_OPENMP
#ifdef _OPENMP
#define GPTLITE_OPENMP 1
#else
#define GPTLITE_OPENMP 0
#endif
#endif

/// 1: freed tensor memory is kept for the next tensor of that size. 0: each tensor allocates from the system, which
/// AddressSanitizer needs to see a use after free.
#ifndef GPTLITE_RECYCLE
#if defined(__SANITIZE_ADDRESS__)
#define GPTLITE_RECYCLE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GPTLITE_RECYCLE 0
#endif
#endif
#ifndef GPTLITE_RECYCLE
#define GPTLITE_RECYCLE 1
#endif
#endif

// 1 if Eigen is told to use no vectors.
#if defined(EIGEN_DONT_VECTORIZE)
#define GPTLITE_SCALAR 1
#elif defined(EIGEN_MAX_ALIGN_BYTES)
#if EIGEN_MAX_ALIGN_BYTES == 0
#define GPTLITE_SCALAR 1
#endif
#endif
#ifndef GPTLITE_SCALAR
#define GPTLITE_SCALAR 0
#endif

// 1 if the compiler's target multiplies pairs of bfloat16 (VDPBF16PS).
#if defined(__AVX512BF16__) && !GPTLITE_SCALAR
#define GPTLITE_HAS_BF16_PAIRS 1
#else
#define GPTLITE_HAS_BF16_PAIRS 0
#endif

// The instruction set of the compiler's target. It decides the packet type and the tiles of every kernel template.
// SSE4A identifies AMD: no other vendor has it.
#if GPTLITE_SCALAR
#define GPTLITE_ISA scalar
#elif defined(__AVX512BF16__) && defined(__SSE4A__)
#define GPTLITE_ISA avx512bf16_amd
#elif defined(__AVX512BF16__) && defined(__AMX_TILE__) && defined(__AMX_BF16__)
#define GPTLITE_ISA avx512bf16_amx
#elif defined(__AVX512BF16__)
#define GPTLITE_ISA avx512bf16
#elif defined(__AVX512F__)
#define GPTLITE_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define GPTLITE_ISA avx2fma
#elif defined(__AVX__)
#define GPTLITE_ISA avx
#elif defined(__SSE4_2__)
#define GPTLITE_ISA sse42
#elif defined(__ARM_NEON)
#define GPTLITE_ISA neon
#else
#define GPTLITE_ISA base
#endif

#define GPTLITE_JOIN_(a, b, c, isa, omp, recycle) v##a##_##b##_##c##_##isa##_omp##omp##_recycle##recycle
#define GPTLITE_JOIN(a, b, c, isa, omp, recycle) GPTLITE_JOIN_(a, b, c, isa, omp, recycle)

/// Inline namespace of every name in the library. Two translation units built with different flags get different
/// symbols, so the linker never puts one of the library's kernels into a part of the program that was built without its
/// instructions. This covers the library's names and the templates of others that are instantiated with them, but not
/// the rest of the standard library and of Eigen: if both units emit an inline function out of line, such as
/// std::vector<int>::push_back, the linker keeps one, and it may be the one with AVX instructions. A program that must
/// also run on processors without them keeps each build in its own shared library with hidden visibility
/// (tests/packaging/two_builds_test.sh looks at the symbols).
#define GPTLITE_ABI                                                                                              \
  GPTLITE_JOIN(GPTLITE_VERSION_MAJOR, GPTLITE_VERSION_MINOR, GPTLITE_VERSION_PATCH, GPTLITE_ISA, GPTLITE_OPENMP, \
               GPTLITE_RECYCLE)

// Compiled mode. With GPTLITE_COMPILED set to 1 the most expensive templates come from the library that src/ builds
// (gptlite::compiled in CMake) instead of being instantiated for float and double in every translation unit. Each
// header ends with a list of its templates of this kind. Headers that src/ includes after gptlite/src/define.hpp define
// the templates they list.
#ifndef GPTLITE_COMPILED
#define GPTLITE_COMPILED 0
#endif
#if GPTLITE_COMPILED
#define GPTLITE_EXTERN extern
/// Declares the function template `name` for float and double; in src/, defines it.
#define GPTLITE_COMPILED_FUNCTION(name)                      \
  GPTLITE_EXTERN template decltype(name<float>) name<float>; \
  GPTLITE_EXTERN template decltype(name<double>) name<double>;
#define GPTLITE_COMPILED_CLASS(name)         \
  GPTLITE_EXTERN template class name<float>; \
  GPTLITE_EXTERN template class name<double>;
#define GPTLITE_COMPILED_STRUCT(name)         \
  GPTLITE_EXTERN template struct name<float>; \
  GPTLITE_EXTERN template struct name<double>;
#else
#define GPTLITE_COMPILED_FUNCTION(name)
#define GPTLITE_COMPILED_CLASS(name)
#define GPTLITE_COMPILED_STRUCT(name)
#endif
