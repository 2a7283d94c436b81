// SPDX-License-Identifier: Apache-2.0
// The part of layer_rate that convolutions have for themselves.
#ifndef LNGD_BACKEND_CPU_KERNELS_CONV_CURVATURE_H
#define LNGD_BACKEND_CPU_KERNELS_CONV_CURVATURE_H

#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

// C over `used` evenly spaced samples of layer.conv_inputs and layer.conv_deltas. False where memory runs out, which is
// then recorded in the context.
bool conv_curvature(CpuContext& context, const StepLayer& layer, int64_t used, double& curvature);

} // namespace lngd::cpu::LNGD_ISA
#endif
