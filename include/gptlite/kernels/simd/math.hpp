#pragma once
// exp, log, sigmoid, tanh and the normal distribution of vectors.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "gptlite/kernels/simd/vec.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
#endif

namespace gptlite::inline GPTLITE_ABI {
namespace kernels::simd {

template <class T>
Vec<T> exp(Vec<T> a) {
  if constexpr (Eigen::internal::packet_traits<T>::HasExp != 0)
    return {Eigen::internal::pexp(a.packet)};
  else
    return lanewise(a, [](T lane) { return std::exp(lane); });
}
#if defined(__GNUC__)
/// 2^n for an integer n, -126 to 127, given as the float 1.5 * 2^23 + 127 + n, whose last bits are the power's
/// exponent.
inline Vec<float> power_of_two(Vec<float> n_bits) {
  // Packets are also vectors of the compiler; Eigen has no integer arithmetic on all of them.
  using Bits = std::uint32_t __attribute__((vector_size(sizeof(n_bits.packet))));
  return {std::bit_cast<Vec<float>::Packet>(std::bit_cast<Bits>(n_bits.packet) << 23)};
}
#endif

/// e^x for x <= 0, as in a softmax after its maximum is subtracted; 0 below -87, NaN for NaN. Relative error 2e-7
/// (float). x = n log(2) + r with |r| <= log(2) / 2; exp(r) = 1 + r + r^2 p(r), where p has the least relative error of
/// its degree (fitted by weighted least squares, 1.1e-7). The result is multiplied by 2^n: adding n to the exponent
/// would turn a NaN into a number.
template <class T>
Vec<T> exp_nonpositive(Vec<T> x) {
  using V = Vec<T>;
#if defined(__GNUC__)
  if constexpr (std::is_same_v<T, float> && V::width > 1) {
    const auto constant = [](double value) { return V::broadcast(static_cast<float>(value)); };
    // Adding 1.5 * 2^23 rounds to an integer, which is then in the last bits; 127 is the exponent of 1.
    const V magic = constant(12582912.0 + 127);
    const V bits = fma(x, constant(1.4426950408889634), magic);
    const V n = bits - magic;
    // log(2) in two parts: n times the first is exact, even without fused multiply-add.
    const V r = fma(n, constant(-1.42860682030941723212e-6), fma(n, constant(-0.693145751953125), x));
    V p = fma(constant(0.008312477626087769), r, constant(0.041890549988649176));
    p = fma(p, r, constant(0.1666711631425196));
    p = fma(p, r, constant(0.49999228825520037));
    p = fma(p, r, constant(1));
    p = fma(p, r, constant(1));
    return where_less(x, constant(-87), V::zero(), p * power_of_two(bits));
  }
#endif
  return where_less(x, V::broadcast(T(-87)), V::zero(), exp(x));
}

template <class T>
Vec<T> log(Vec<T> a) {
  if constexpr (Eigen::internal::packet_traits<T>::HasLog != 0)
    return {Eigen::internal::plog(a.packet)};
  else
    return lanewise(a, [](T lane) { return std::log(lane); });
}
/// 1 / (1 + exp(-a)).
template <class T>
Vec<T> sigmoid(Vec<T> a) {
  return T(1) / (T(1) + exp(-a));
}
/// The standard normal distribution at the points x: cdf = Phi(x), the probability of a smaller value, and density =
/// phi(x).
template <class T>
struct Normal {
  Vec<T> cdf, density;
};
/// Phi(x) and phi(x) for each lane. Relative error of the cdf 2e-7 (float; the error of x^2 / 2 is added below -1) and
/// 1e-15 (double); 0 below -13. Phi(-a) = exp(-a^2 / 2) p((a - k) / (a + k)) / (a + k) for a >= 0, where p is the
/// Chebyshev interpolant of its degree (own fit, 8.5e-8 and 4.7e-17); the right half is 1 - Phi(-a).
template <class T>
Normal<T> normal_distribution(Vec<T> x) {
  using V = Vec<T>;
  constexpr bool single = std::is_same_v<T, float>;
  constexpr auto p = [] {
    if constexpr (single)
      return std::array{-1.62616316e-4, 1.29340123e-4, 1.57575208e-3, -3.47619646e-3, -7.52125553e-3,
                        6.03953134e-2,  -0.186524184,  0.387137559,   -0.607896596,   0.755285127};
    else
      return std::array{-8.1661926246805885e-10, 5.0373021261335164e-10, 9.446827519797919e-9,   -5.0156499397398258e-9,
                        -6.782555313315767e-8,   3.5818400515191266e-8,  4.34026259483257e-7,    -3.3106980715241258e-7,
                        -2.7693378710440474e-6,  3.977912640593053e-6,   1.6681099115863551e-5,  -4.97617711897921e-5,
                        -5.9375673286488678e-5,  5.4489883090092998e-4,  -7.9786940948080635e-4, -2.99337673822322e-3,
                        2.0795066800941615e-2,   -6.9118638708814328e-2, 0.16502036617034281,    -0.31353315667121377,
                        0.49530561596997679,     -0.66538250289005768,   0.76919304975006296};
  }();
  const auto constant = [](double value) { return V::broadcast(static_cast<T>(value)); };
  const V far = constant(40), a = where_less(abs(x), far, abs(x), far);  // finite even if x is infinite
  const V k = constant(single ? 4 : 5), inverse = T(1) / (a + k), t = (a - k) * inverse;
  V sum = constant(p[0]);
  for (std::size_t i = 1; i < p.size(); ++i) sum = fma(sum, t, constant(p[i]));
  const V bell = exp_nonpositive(x * x * constant(-0.5)), tail = bell * sum * inverse;
  return {where_less(x, V::zero(), tail, T(1) - tail), bell * constant(0.39894228040143267794)};
}
/// tanh(a): for |a| < 0.625 a rational function of a^2 (Cephes, tanh.c), which keeps the relative precision near 0;
/// beyond, 1 - 2 / (exp(2 |a|) + 1) with the sign of a.
template <class T>
Vec<T> tanh(Vec<T> a) {
  const Vec<T> s = a * a;
  const Vec<T> p =
      fma(fma(Vec<T>::broadcast(T(-9.64399179425052238628e-1)), s, Vec<T>::broadcast(T(-9.92877231001918586564e1))), s,
          Vec<T>::broadcast(T(-1.61468768441708447952e3)));
  const Vec<T> q = fma(fma(s + T(1.12811678491632931402e2), s, Vec<T>::broadcast(T(2.23548839060100448583e3))), s,
                       Vec<T>::broadcast(T(4.84406305325125486048e3)));
  const Vec<T> small = fma(a * s, p / q, a);
  const Vec<T> magnitude = abs(a);
  const Vec<T> large = T(1) - T(2) / (exp(magnitude + magnitude) + T(1));
  const Vec<T> signed_large = where_less(a, Vec<T>::zero(), -large, large);
  return where_less(magnitude, Vec<T>::broadcast(T(0.625)), small, signed_large);
}

}  // namespace kernels::simd
}  // namespace gptlite::inline GPTLITE_ABI

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
