// SPDX-License-Identifier: Apache-2.0
// The activations phi, their derivatives phi', and exp, as branch-free scalar code that a compiler turns into vectors.
// Accuracy: a few units in the last place of float over the whole range; NaN propagates.
#ifndef LNGD_BACKEND_ACTIVATION_H
#define LNGD_BACKEND_ACTIVATION_H

#include <cmath>
#include <cstdint>
#include <cstring>

#include "backend/portable.h"
#include "lngd/lngd.h"

namespace lngd {

// exp(x) = 2^k exp(r), k = round(x / ln 2), |r| <= ln(2)/2, exp(r) by a polynomial of degree 6 (relative error below
// 1e-7). Results below the normal range are flushed to 0, above it they are Inf.
LNGD_INLINE float fast_exp(float x) {
  constexpr float kLog2e = 1.44269504088896341f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f; // ln 2 in two parts: k * high is exact
  constexpr float kRound = 12582912.0f;                               // 1.5 * 2^23: adding it rounds to a whole number
  const float clamped = x > 89.0f ? 89.0f : (x < -104.0f ? -104.0f : x);
  const float shifted = clamped * kLog2e + kRound;
  const float k = shifted - kRound;
  const float r = (clamped - k * kLn2High) - k * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // 2^k in two factors, so that k = 128 (Inf only where it must be) and k < -126 do not leave the exponent's range.
  // In unsigned arithmetic: with a NaN the bits are anything, and signed overflow would be undefined.
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const uint32_t whole = bits - 0x4B400000u; // k as an integer: the bits of 1.5 * 2^23 are 0x4B400000
  const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(whole) >> 1);
  const uint32_t first = (half + 127u) << 23, second = (whole - half + 127u) << 23;
  float scale1, scale2;
  std::memcpy(&scale1, &first, sizeof first);
  std::memcpy(&scale2, &second, sizeof second);
  return x != x ? x : p * scale1 * scale2;
}

LNGD_INLINE float sigmoid(float x) {
  const float e = fast_exp(-std::fabs(x)); // in (0, 1]: nothing overflows
  const float smaller = e / (1.0f + e);
  return x >= 0.0f ? 1.0f / (1.0f + e) : (x < 0.0f ? smaller : x);
}

// sigmoid(x) (1 - sigmoid(x)), with full relative accuracy in both tails.
LNGD_INLINE float sigmoid_slope(float x) {
  const float e = fast_exp(-std::fabs(x));
  return e / ((1.0f + e) * (1.0f + e));
}

// phi'(s).
LNGD_INLINE float activation_derivative(int32_t activation, float parameter, float s) {
  switch (activation) {
    case LNGD_ACTIVATION_RELU:
      return s > 0.0f ? 1.0f : (s <= 0.0f ? 0.0f : s);
    case LNGD_ACTIVATION_LEAKY_RELU:
      return s > 0.0f ? 1.0f : (s <= 0.0f ? parameter : s);
    case LNGD_ACTIVATION_ELU:
      return s > 0.0f ? 1.0f : parameter * fast_exp(s);
    case LNGD_ACTIVATION_TANH:
      // 1 - tanh^2(s) = 4 sigmoid'(2 s)
      return 4.0f * sigmoid_slope(2.0f * s);
    case LNGD_ACTIVATION_SIGMOID:
      return sigmoid_slope(s);
    case LNGD_ACTIVATION_SOFTPLUS:
      return sigmoid(s);
    case LNGD_ACTIVATION_GELU: {
      // Phi(s) + s N(s), Phi(s) = erfc(-s / sqrt 2) / 2
      if (std::fabs(s) > 1e4f) return s > 0.0f ? 1.0f : 0.0f;
      const float cdf = 0.5f * std::erfc(-s * 0.70710678118654752f);
      return cdf + s * 0.39894228040143268f * std::exp(-0.5f * s * s);
    }
    case LNGD_ACTIVATION_SWISH: {
      // sigmoid(s) + s sigmoid'(s); beyond 100 the second term is below the smallest float, and Inf * 0 must not show.
      const float bounded = s > 100.0f ? 100.0f : (s < -100.0f ? -100.0f : s);
      return sigmoid(bounded) + bounded * sigmoid_slope(bounded);
    }
    default: // LNGD_ACTIVATION_IDENTITY
      return s != s ? s : 1.0f;
  }
}

// phi'(s) from y = phi(s), for the activations that allow it.
LNGD_INLINE float activation_derivative_of_output(int32_t activation, float parameter, float y) {
  switch (activation) {
    case LNGD_ACTIVATION_RELU:
      return y > 0.0f ? 1.0f : (y <= 0.0f ? 0.0f : y);
    case LNGD_ACTIVATION_LEAKY_RELU:
      return y > 0.0f ? 1.0f : (y <= 0.0f ? parameter : y);
    case LNGD_ACTIVATION_ELU:
      return y > 0.0f ? 1.0f : y + parameter;
    case LNGD_ACTIVATION_TANH:
      return (1.0f - y) * (1.0f + y);
    case LNGD_ACTIVATION_SIGMOID:
      return y * (1.0f - y);
    case LNGD_ACTIVATION_SOFTPLUS:
      return 1.0f - fast_exp(-y);
    default:
      return y != y ? y : 1.0f;
  }
}

// phi(s). Not used by kernels, which never need it; scalar library functions are accurate enough and slow enough.
inline float activation_value(int32_t activation, float parameter, float s) {
  switch (activation) {
    case LNGD_ACTIVATION_RELU:
      return s > 0.0f ? s : (s <= 0.0f ? 0.0f : s);
    case LNGD_ACTIVATION_LEAKY_RELU:
      return s > 0.0f ? s : parameter * s;
    case LNGD_ACTIVATION_ELU:
      return s > 0.0f ? s : parameter * std::expm1(s);
    case LNGD_ACTIVATION_TANH:
      return std::tanh(s);
    case LNGD_ACTIVATION_SIGMOID:
      return sigmoid(s);
    case LNGD_ACTIVATION_SOFTPLUS:
      return (s > 0.0f ? s : (s <= 0.0f ? 0.0f : s)) + std::log1p(std::exp(-std::fabs(s)));
    case LNGD_ACTIVATION_GELU:
      return s * 0.5f * std::erfc(-s * 0.70710678118654752f);
    case LNGD_ACTIVATION_SWISH:
      return s * sigmoid(s);
    default:
      return s;
  }
}

} // namespace lngd
#endif
