#pragma once
// DType: the number formats of safetensors files, and which C++ type each is.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gptlite/io/float16.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace io {

/// Number formats, in the order by which the Python package sorts tensors: those of 8 bytes come last.
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

namespace detail {
struct DTypeInfo {
  std::string_view name;
  unsigned bits;
};
inline constexpr std::array<DTypeInfo, 22> dtypes{
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};
}  // namespace detail

constexpr std::string_view name_of(DType dtype) { return detail::dtypes[static_cast<std::size_t>(dtype)].name; }
/// Size of one number, in bits: 4 and 6 too.
constexpr unsigned bits_of(DType dtype) { return detail::dtypes[static_cast<std::size_t>(dtype)].bits; }
/// The format of that name, if there is one.
inline std::optional<DType> dtype_named(std::string_view name) {
  const auto found =
      std::find_if(detail::dtypes.begin(), detail::dtypes.end(), [&](auto& d) { return d.name == name; });
  if (found == detail::dtypes.end()) return std::nullopt;
  return static_cast<DType>(found - detail::dtypes.begin());
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

/// Calls f with a number of the C++ type that stores a floating-point format. False, and no call, for any other format.
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
