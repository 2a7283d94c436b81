// SPDX-License-Identifier: Apache-2.0
// What may change from one step to the next, as the kernels of a step read it: from device memory, never from their
// arguments. A step that was captured in a CUDA graph is so replayed with other settings by rewriting this memory,
// where arguments would have to be patched into every node. What decides the shape of the launches is not here but in
// the plan's tables: rate_samples, the kind of update, which layers there are.
#ifndef LNGD_BACKEND_CUDA_STEP_SETTINGS_H
#define LNGD_BACKEND_CUDA_STEP_SETTINGS_H

#include <cstdint>

#include "lngd/lngd.h"

namespace lngd::cuda {

struct StepSettings {
  double learning_rate;
  double factor; // of the schedule
  double weight_decay;
  double mu;
  double trust_ratio; // tau
  double averaging_window;
  double rho; // weight of the old estimate in the running averages
  float momentum;
  int32_t nesterov;  // 0 or 1
  int32_t decoupled; // weight decay: 1 into W, 0 into G
  int32_t trust;     // lngd_trust
  int32_t rate;      // lngd_rate
};

inline StepSettings step_settings(const lngd_config& c, double factor) {
  return {c.learning_rate, factor,
          c.weight_decay,  c.mu,
          c.trust_ratio,   c.averaging_window,
          c.rho,           static_cast<float>(c.momentum),
          c.nesterov,      c.decay == LNGD_DECAY_DECOUPLED ? 1 : 0,
          c.trust,         c.rate};
}

} // namespace lngd::cuda
#endif
