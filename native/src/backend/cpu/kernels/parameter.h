// SPDX-License-Identifier: Apache-2.0
// Parameters outside of any layer in the kernels of a step (parameter_rules.h). A task's rows are elements here.
#ifndef LNGD_BACKEND_CPU_KERNELS_PARAMETER_H
#define LNGD_BACKEND_CPU_KERNELS_PARAMETER_H

#include "backend/cpu/kernels/kernels.h"
#include "backend/parameter_rules.h"

namespace lngd::cpu::LNGD_ISA {

// Calls run(element, count, row, column) for each run of a task's elements that lies in one row of the caller's.
template <typename Run>
LNGD_INLINE void for_runs(const StepLayer& layer, const UpdateTask& task, const Run& run) {
  for (int64_t element = task.row0; element < task.row1;) {
    const int64_t row = element / layer.columns, column = element % layer.columns;
    const int64_t count = std::min(task.row1 - element, layer.columns - column);
    run(element, count, row, column);
    element += count;
  }
}

// The first pass, in precondition, and what layer_rate makes of it.
void parameter_sums(CpuContext& context, const StepArgs& args);
void rate_parameter(const StepArgs& args, int32_t index);
// Tasks of apply_update (of a parameter that is not skipped, and of one that is) and of swap_averages.
void update_parameter(const StepArgs& args, const UpdateTask& task);
void zero_parameter(const StepLayer& layer, const UpdateTask& task);
void exchange_parameter(const StepLayer& layer, const UpdateTask& task);

// Exchanged as integers: a NaN keeps its bits.
typedef uint32_t caller_bits __attribute__((aligned(1), may_alias));

LNGD_INLINE void exchange(caller_bits* kept, caller_bits* callers, int64_t stride, int64_t count) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) {
    const uint32_t ours = kept[j];
    kept[j] = callers[j * stride];
    callers[j * stride] = ours;
  }
}

} // namespace lngd::cpu::LNGD_ISA
#endif
