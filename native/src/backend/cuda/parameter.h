// SPDX-License-Identifier: Apache-2.0
// Parameters outside of any layer on CUDA: their table entries, tasks, and the launcher of their first pass. The second
// one is part of apply_update's launch (parameter_update.cuh).
#ifndef LNGD_BACKEND_CUDA_PARAMETER_H
#define LNGD_BACKEND_CUDA_PARAMETER_H

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/cuda/kernels.h"
#include "backend/parameter_rules.h"

namespace lngd::cuda {

// Elements [column0, column1) of a parameter as one task of apply_update. They stand behind the tasks of the layers, so
// that parameter_sums has a list of its own.
inline void append_parameter_tasks(int32_t index, const DeviceLayer& layer, int32_t elements,
                                   std::vector<UpdateTask>& tasks) {
  for (int64_t first = 0; first < layer.inputs; first += elements)
    tasks.push_back({index, 0, 1, static_cast<int32_t>(first),
                     static_cast<int32_t>(std::min<int64_t>(layer.inputs, first + elements))});
}

// parameter_sums.cu; sums has one entry for each task. prepare_parameter_sums is called once before.
cudaError_t prepare_parameter_sums();
cudaError_t launch_parameter_sums(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks,
                                  int32_t task_count, ParameterSums* sums, cudaStream_t stream);

} // namespace lngd::cuda
#endif
