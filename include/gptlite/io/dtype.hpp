#pragma once
// DType: the number formats of safetensors files, and their C++ types.

#include <array>
#include <cstddef>
#include <cstdint>

#include "gptlite/core/enum_names.hpp"
#include "gptlite/io/float16.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Number formats of safetensors, in the order by which the Python package sorts tensors: formats of 8 bytes come last.
enum class DType {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64
};

constexpr auto enum_names(DType) {
  return EnumNames<DType, 22>{"number format",
                              {{{"BOOL", DType::BOOL},
                                {"F4", DType::F4},
                                {"F6_E2M3", DType::F6_E2M3},
                                {"F6_E3M2", DType::F6_E3M2},
                                {"U8", DType::U8},
                                {"I8", DType::I8},
                                {"F8_E5M2", DType::F8_E5M2},
                                {"F8_E4M3", DType::F8_E4M3},
                                {"F8_E8M0", DType::F8_E8M0},
                                {"F8_E4M3FNUZ", DType::F8_E4M3FNUZ},
                                {"F8_E5M2FNUZ", DType::F8_E5M2FNUZ},
                                {"I16", DType::I16},
                                {"U16", DType::U16},
                                {"F16", DType::F16},
                                {"BF16", DType::BF16},
                                {"I32", DType::I32},
                                {"U32", DType::U32},
                                {"F32", DType::F32},
                                {"C64", DType::C64},
                                {"F64", DType::F64},
                                {"I64", DType::I64},
                                {"U64", DType::U64}}}};
}

/// Size of one number in bits, which may be 4 or 6.
constexpr unsigned bits_of(DType dtype) {
  constexpr std::array<unsigned, 22> bits{8, 4, 6, 6, 8, 8, 8, 8, 8, 8, 8, 16, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64};
  return bits[static_cast<std::size_t>(dtype)];
}

/// The format of the elements of a Tensor<T>.
template <class T>
inline constexpr DType dtype_of = T::has_no_dtype;
template <>
inline constexpr DType dtype_of<float> = DType::F32;
template <>
inline constexpr DType dtype_of<double> = DType::F64;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::I32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::I64;

/// Calls f with a number of the C++ type that stores a floating-point format. Returns false, without a call, for any
/// other format.
template <class F>
bool with_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::F16:
      f(Float16());
      return true;
    case DType::BF16:
      f(BFloat16());
      return true;
    case DType::F32:
      f(float());
      return true;
    case DType::F64:
      f(double());
      return true;
    default:
      return false;
  }
}

}  // namespace io
}  // namespace gptlite::inline GPTLITE_ABI
