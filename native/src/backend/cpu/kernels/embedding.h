// SPDX-License-Identifier: Apache-2.0
// What embeddings have for themselves of conv_statistics, conv_fisher_rows and layer_rate. They have no entries in
// kernels.def: the arguments are those of a convolution, so the kernel of that name passes them on.
#ifndef LNGD_BACKEND_CPU_KERNELS_EMBEDDING_H
#define LNGD_BACKEND_CPU_KERNELS_EMBEDDING_H

#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

void embedding_statistics(CpuContext& context, const ConvStatisticsArgs& args);
void embedding_fisher_rows(CpuContext& context, const ConvStatisticsArgs& args, const FisherRows& out);

// C over `used` evenly spaced samples; NaN, which skips the step, where an index is none.
double embedding_curvature(CpuContext& context, const StepArgs& args, int32_t index, int64_t used);

// The index at position t of sample n, or -1: not a whole number in [0, count).
LNGD_INLINE int64_t embedding_index(const Activations& inputs, int64_t n, int64_t t, int64_t count) {
  const float value = reinterpret_cast<const caller_float*>(inputs.data)[n * inputs.stride[0] + t * inputs.stride[3]];
  if (!(value >= 0.0f && value < static_cast<float>(count))) return -1; // NaN too
  const int64_t index = static_cast<int64_t>(value);
  return static_cast<float>(index) == value ? index : -1;
}

} // namespace lngd::cpu::LNGD_ISA
#endif
