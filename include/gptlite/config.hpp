#pragma once
// Compile-time switches, and the inline namespace that keeps differently built copies of the library apart.

#include "gptlite/version.hpp"

/// 1: parallel_for uses OpenMP. 0: everything runs on the calling thread. Default: what the compiler was asked for.
#ifndef GPTLITE_OPENMP
#ifdef _OPENMP
#define GPTLITE_OPENMP 1
#else
#define GPTLITE_OPENMP 0
#endif
#endif

/// 1: freed tensor memory is kept for the next tensor of that size. 0: each tensor asks the system, which is what
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

// Instruction set as the compiler will see it: it decides the packet type and the tiles of every kernel template. SSE4A
// is AMD's alone.
#if defined(EIGEN_DONT_VECTORIZE)
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
/// symbols, so the linker can never take an AVX-512 kernel for a program part that was built without it.
#define GPTLITE_ABI                                                                                              \
  GPTLITE_JOIN(GPTLITE_VERSION_MAJOR, GPTLITE_VERSION_MINOR, GPTLITE_VERSION_PATCH, GPTLITE_ISA, GPTLITE_OPENMP, \
               GPTLITE_RECYCLE)
