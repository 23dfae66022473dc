#pragma once
// Includes Eigen/Core and silences the one false warning that its AVX-512 code provokes.

// g++ 12 mistakes the deliberately undefined register of its own AVX-512 intrinsics for an error (GCC bug 105593). It
// reports at the line of the intrinsic, so the pragma must be in force while that header is read.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <Eigen/Core>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
