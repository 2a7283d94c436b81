// SPDX-License-Identifier: Apache-2.0
// The scale of the gradients of a step (backend/gradient_scale.h).
#ifndef LNGD_BACKEND_CPU_KERNELS_GRADIENT_SCALE_H
#define LNGD_BACKEND_CPU_KERNELS_GRADIENT_SCALE_H

#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

// Sets the plan's `gradients`, before anything of the step reads a gradient.
void scale_gradients(CpuContext& context, const StepArgs& args);

} // namespace lngd::cpu::LNGD_ISA
#endif
