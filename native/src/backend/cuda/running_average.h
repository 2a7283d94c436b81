// SPDX-License-Identifier: Apache-2.0
// What running_average.cu takes: tables that a plan writes once, and the launcher.
#ifndef LNGD_BACKEND_CUDA_RUNNING_AVERAGE_H
#define LNGD_BACKEND_CUDA_RUNNING_AVERAGE_H

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/step_settings.h"

namespace lngd::cuda {

// A layer's statistics; device pointers.
struct AverageLayer {
  LayerRecord* record;
  double* denominator; // groups
  float* phi_sum;      // lower triangles, as BlockLayout has them
  float* phi;
  double* psi_sum; // outputs
  float* psi;
  int32_t outputs, groups;
  int32_t d, block; // of the BlockLayout
  int64_t group_floats;
};

inline AverageLayer average_layer(const LayerShape& shape, const LayerMemory& memory) {
  return {memory.record,
          memory.denominator,
          memory.phi_sum,
          memory.phi,
          memory.psi_sum,
          memory.psi,
          static_cast<int32_t>(shape.outputs),
          static_cast<int32_t>(shape.groups),
          static_cast<int32_t>(shape.d),
          static_cast<int32_t>(shape.blocks.block),
          shape.blocks.group_floats()};
}

// Rows [row0, row1) of a layer's Phi, or of its psi. The rows of Phi are counted through its groups: row r is row r % d
// of group r / d, in block r % d / block of that. So a task is as large as it should be whether the layer has one
// factor of 4608 or a thousand of 9.
struct AverageTask {
  int32_t layer, row0, row1;
  int32_t of_psi;
};
constexpr int32_t kAverageElements = 8192; // about as many elements as a task should have

inline void append_average_tasks(int32_t index, const AverageLayer& layer, int32_t elements,
                                 std::vector<AverageTask>& tasks) {
  const int32_t rows = layer.groups * layer.d, columns = std::max(1, layer.block / 2); // of a row, on average
  const int32_t step = std::max(1, elements / columns);
  for (int32_t row = 0; row < rows; row += step) tasks.push_back({index, row, std::min(rows, row + step), 0});
  for (int32_t row = 0; row < layer.outputs; row += elements)
    tasks.push_back({index, row, std::min(layer.outputs, row + elements), 1});
}

// Called once before the first launch.
cudaError_t prepare_running_average();
// Layer i takes part where due[i] is not 0; `due` is device memory, rewritten for each step.
cudaError_t launch_running_average(const StepSettings* settings, const AverageLayer* layers, const int32_t* due,
                                   int32_t layer_count, const AverageTask* tasks, int32_t task_count,
                                   cudaStream_t stream);

} // namespace lngd::cuda
#endif
