// SPDX-License-Identifier: Apache-2.0
// What may change from one step to the next, as the kernels of a step read it: from device memory, never from their
// arguments. A step that was captured in a CUDA graph is so replayed with other settings by rewriting this memory,
// where arguments would have to be patched into every node. What decides the shape of the launches is not here but in
// the plan's tables: rate_samples, the kind of update, which layers there are.
#ifndef LNGD_BACKEND_CUDA_STEP_SETTINGS_H
#define LNGD_BACKEND_CUDA_STEP_SETTINGS_H

#include <cstdint>

#include "backend/gradient_scale.h"
#include "backend/portable.h"
#include "backend/step_rules.h"
#include "lngd/lngd.h"

namespace lngd::cuda {

struct StepSettings {
  StepRules rules;
  double averaging_window;
  double rho; // weight of the old estimate in the running averages
  float momentum;
  float fresh;      // 1 - momentum: what G counts where momentum averages gradients (orthogonalise)
  int32_t nesterov; // 0 or 1
  Scaling scaling;
  GradientScale gradients; // where gradients are clipped, or the scaling lies on the device, by gradient_scale.cu
};

inline StepSettings step_settings(const lngd_config& c, double factor, const Scaling& scaling = {}) {
  return {step_rules(c, factor),
          c.averaging_window,
          c.rho,
          static_cast<float>(c.momentum),
          static_cast<float>(1.0 - c.momentum),
          c.nesterov,
          scaling,
          unscaled(scaling)};
}

// What of W is added to G before it is preconditioned; the other decays are in the layer's record.
LNGD_INLINE float coupled_decay(const StepSettings& s, float multiplier) {
  return s.rules.decay == LNGD_DECAY_COUPLED ? static_cast<float>(s.rules.weight_decay) * multiplier : 0.0f;
}

} // namespace lngd::cuda
#endif
