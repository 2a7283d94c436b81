// SPDX-License-Identifier: Apache-2.0
// What the gradients of a step are multiplied by as they are read: the inverse of a scaled loss, and clipping by the
// norm of all of them. On every backend.
#ifndef LNGD_BACKEND_GRADIENT_SCALE_H
#define LNGD_BACKEND_GRADIENT_SCALE_H

#include <cmath>
#include <cstdint>

#include "backend/portable.h"

namespace lngd {

// What the caller says of a step (lngd_set_gradient_scale): the loss was multiplied by S, and a flag that is not 0
// keeps the step out. What lies in host memory has been read; what lies on the device is for the device to read.
struct Scaling {
  double inverse = 1;               // 1 / S; where `scale` is not nullptr, of no account
  int32_t signals = 0;              // 1: signals that are gradients are S times what they stand for too
  int32_t skip = 0;                 // 1: the flag lay in host memory, and was set
  const float* scale = nullptr;     // S on the device
  const float* found_inf = nullptr; // the flag on the device
  bool on_device() const { return scale != nullptr || found_inf != nullptr; }
};

// Of one step of a plan. `factor` 1 leaves every bit of a gradient as it is.
struct GradientScale {
  double norm = 0;    // of all gradients, divided by S, unless nothing is clipped
  double inverse = 1; // 1 / S: on deltas
  double signals = 1; // on signals that are gradients
  float factor = 1;   // on every element of a gradient
  int32_t skip = 0;   // 1: no layer moves, and nothing that was observed is taken
};

constexpr double kSmallestFactor = 0x1p-126;
constexpr double kClippingGuard = 1e-6; // as in torch.nn.utils.clip_grad_norm_

LNGD_INLINE GradientScale unscaled(double inverse, bool signals, bool skip) {
  GradientScale scale;
  scale.inverse = inverse;
  scale.signals = signals ? inverse : 1;
  scale.factor = static_cast<float>(inverse);
  // A factor that is no normal float would make nothing, or infinity, of every gradient. (NaN fails both.)
  scale.skip = skip || !(inverse >= kSmallestFactor) || !(inverse <= 1 / kSmallestFactor);
  return scale;
}

// Where nothing lies on the device.
LNGD_INLINE GradientScale unscaled(const Scaling& from) {
  return unscaled(from.inverse, from.signals != 0, from.skip != 0);
}

// square: the sum over all elements of all gradients as the caller has them, in double, whose range no sum of squares
// of floats leaves; largest > 0.
LNGD_INLINE void clip(GradientScale& scale, double square, double largest) {
  scale.norm = std::sqrt(square) * scale.inverse;
  if (std::isfinite(scale.norm))
    scale.factor = static_cast<float>(scale.inverse * std::fmin(1.0, largest / (scale.norm + kClippingGuard)));
  else
    scale.skip = 1;
}

} // namespace lngd
#endif
