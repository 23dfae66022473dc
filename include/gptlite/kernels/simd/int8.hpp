#pragma once
// 8-bit numbers, four in the bits of a float: a lane stores adjacent numbers of the summed axis, the layout of the
// processors' instructions for products of bytes.

#include <bit>
#include <cstdint>

#include "gptlite/kernels/simd/vec.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace kernels::simd {

#if defined(__GNUC__)
// Packets are also vectors of the compiler; Eigen does not convert integers on all of them.
using SignedBits = std::int32_t __attribute__((vector_size(sizeof(Vec<float>::Packet))));
using FloatLanes = float __attribute__((vector_size(sizeof(Vec<float>::Packet))));
#endif

/// Number i (0..3, the lowest byte first) of each lane's four, as a float.
inline Vec<float> number_of_quads(Vec<float> quads, int i) {
  const int up = 24 - 8 * i;  // shifts the byte to the top; shifting back extends its sign
#if defined(__GNUC__)
  if constexpr (Vec<float>::width > 1) {
    const auto bits = std::bit_cast<SignedBits>(quads.packet);
    return {std::bit_cast<Vec<float>::Packet>(__builtin_convertvector(bits << up >> 24, FloatLanes))};
  }
#endif
  return lanewise(quads, [up](float lane) {
    return static_cast<float>(static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(lane) << up) >> 24);
  });
}

}  // namespace kernels::simd
}  // namespace gptlite::inline GPTLITE_ABI

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
