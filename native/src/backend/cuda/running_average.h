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

// The sum of a factor and its running average, lower triangles as a BlockLayout has them.
struct AverageFactor {
  float* sum;
  float* average;
  int32_t d, block; // of the BlockLayout
  int64_t group_floats;
};

inline AverageFactor average_factor(const BlockLayout& blocks, float* sum, float* average) {
  return {sum, average, static_cast<int32_t>(blocks.d), static_cast<int32_t>(blocks.block), blocks.group_floats()};
}

// A layer's statistics; device pointers.
struct AverageLayer {
  LayerRecord* record;
  double* denominator;  // groups
  AverageFactor phi;    // of a diagonal Phi only `average` and d
  double* diagonal_sum; // d; nullptr unless Phi is diagonal
  // The second factor: a diagonal, or a matrix.
  double* psi_sum; // outputs
  float* psi;
  AverageFactor second;
  double* totals; // 2 groups + 1: sum c of each group, sum r, and the rows; nullptr where it is a diagonal
  int32_t outputs, groups;
  bool second_by_rows;                    // KFAC: divided by the rows, not by the denominator
  bool gradient_signals, phi_has_signals; // what a scaled loss shows in (backend.h)
};

inline AverageLayer average_layer(const LayerShape& shape, const LayerMemory& memory) {
  AverageLayer layer{};
  layer.record = memory.record;
  layer.denominator = memory.denominator;
  layer.phi = average_factor(shape.blocks, memory.phi_sum, memory.phi);
  layer.diagonal_sum = memory.phi_diagonal_sum;
  layer.psi_sum = memory.psi_sum;
  layer.psi = memory.psi;
  if (shape.second_matrix()) layer.second = average_factor(shape.second, memory.second_sum, memory.second);
  layer.totals = shape.second_matrix() ? memory.totals : nullptr;
  layer.outputs = static_cast<int32_t>(shape.outputs);
  layer.groups = static_cast<int32_t>(shape.groups);
  layer.second_by_rows = shape.approximation != LNGD_APPROXIMATION_TKFAC;
  layer.gradient_signals = shape.fisher == LNGD_FISHER_PROVIDED;
  layer.phi_has_signals = phi_has_signals(shape);
  return layer;
}

enum class AveragePart : int32_t { Phi, Diagonal, Psi, Second };

// Rows [row0, row1) of a layer's Phi (elements, where it is diagonal), psi or second factor. The rows of a factor are
// counted through its groups: row r is row r % d of group r / d, in block r % d / block of that. So a task is as large
// as it should be whether the layer has one factor of 4608 or a thousand of 9.
struct AverageTask {
  int32_t layer, row0, row1;
  AveragePart part;
};
constexpr int32_t kAverageElements = 8192; // about as many elements as a task should have

inline void append_average_tasks(int32_t index, const AverageLayer& layer, int32_t elements,
                                 std::vector<AverageTask>& tasks) {
  const auto append = [&](AveragePart part, int32_t rows, int32_t step) {
    for (int32_t row = 0; row < rows; row += step) tasks.push_back({index, row, std::min(rows, row + step), part});
  };
  // A row of a lower triangle has half the columns of its block on average.
  const auto step = [elements](const AverageFactor& factor) {
    return std::max(1, elements / std::max(1, factor.block / 2));
  };
  if (layer.diagonal_sum)
    append(AveragePart::Diagonal, layer.phi.d, elements);
  else
    append(AveragePart::Phi, layer.groups * layer.phi.d, step(layer.phi));
  if (layer.totals)
    append(AveragePart::Second, layer.groups * layer.second.d, step(layer.second));
  else
    append(AveragePart::Psi, layer.outputs, elements);
}

// Called once before the first launch.
cudaError_t prepare_running_average();
// Layer i takes part where due[i] is not 0; `due` is device memory, rewritten for each step.
cudaError_t launch_running_average(const StepSettings* settings, const AverageLayer* layers, const int32_t* due,
                                   int32_t layer_count, const AverageTask* tasks, int32_t task_count,
                                   cudaStream_t stream);

} // namespace lngd::cuda
#endif
