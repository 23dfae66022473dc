#pragma once
// AMX, the matrix unit of Intel's server cores from Sapphire Rapids on: permission to use it, and its registers.

#include "gptlite/core/shape.hpp"

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && GPTLITE_HAS_BF16_PAIRS && defined(__linux__)
#define GPTLITE_HAS_AMX 1
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#else
#define GPTLITE_HAS_AMX 0
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace kernels::simd {

inline constexpr bool has_amx = GPTLITE_HAS_AMX == 1;

/// Rows of a tile register, and its 32-bit numbers per row.
inline constexpr Index amx_rows = 16;

#if GPTLITE_HAS_AMX
/// True if the processor has AMX and Linux lets this process use it. Linux is asked once, for all threads.
inline bool amx_is_usable() {
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool usable = syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return usable;
}

/// Configures the eight tile registers of the calling thread, 16 rows of 64 bytes each, and releases them when
/// destroyed. Configuring takes as long as 15 products of tiles (90 ns), so a job does it once for all of its products.
class AmxRegisters {
 public:
  AmxRegisters() { _tile_loadconfig(&configuration); }
  ~AmxRegisters() { _tile_release(); }
  AmxRegisters(const AmxRegisters&) = delete;
  AmxRegisters& operator=(const AmxRegisters&) = delete;

 private:
  /// Palette 1, then from byte 16 on the bytes per row, 16 bits each, and from byte 48 on the rows. It is static: g++
  /// does not see how much of it is read.
  alignas(64) static constexpr std::uint8_t configuration[64] = {
      1,  0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 64, 0, 64, 0,  64, 0,  64, 0,  64, 0,
      64, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0,  0, 16, 16, 16, 16, 16, 16, 16, 16};
};
#else
inline bool amx_is_usable() { return false; }
#endif

}  // namespace kernels::simd
}  // namespace gptlite::inline GPTLITE_ABI
