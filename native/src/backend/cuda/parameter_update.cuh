// SPDX-License-Identifier: Apache-2.0
// The elements of a parameter outside of any layer, as its two passes see them, and the second pass: one task of
// apply_update or swap_averages by one block. The formulas are in parameter_rules.h.
//
// Our arrays are vectors, the caller's tensors are cut into rows (StepLayer). A thread takes one element at a time and
// its neighbour the next, so a warp has whole lines of all that are contiguous. Four elements a thread, 16 bytes an
// access, took 82 registers, and the layers' part of apply_update, which has none to spare, spilled.
#ifndef LNGD_BACKEND_CUDA_PARAMETER_UPDATE_CUH
#define LNGD_BACKEND_CUDA_PARAMETER_UPDATE_CUH

#include "backend/cuda/parameter.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

// A tensor of the caller's.
struct Elements {
  float* data;
  int64_t rs, cs;
  int32_t columns; // of a row; 0: element i lies at i cs

  __device__ Elements(const Strided& tensor, int32_t of_row, int32_t count)
      : data(in_global(tensor.data)),
        rs(tensor.rs),
        cs(tensor.cs),
        columns(of_row == count || tensor.rs == tensor.cs * of_row ? 0 : of_row) {}
  __device__ __forceinline__ float& at(int32_t i) const {
    return columns == 0 ? data[i * cs] : data[i / columns * rs + i % columns * cs];
  }
};

// Calls visit(i) for the elements of a task.
template <int Threads, class Visit>
__device__ __forceinline__ void visit_elements(const UpdateTask& task, const Visit& visit) {
  const int count = task.column1 - task.column0; // column1 + Threads might not fit 32 bits
  for (int k = static_cast<int>(threadIdx.x); k < count; k += Threads) visit(task.column0 + k);
}

// A task of apply_update.
template <int Threads, bool Gradients>
__device__ __forceinline__ void update_parameter(const DeviceLayer& layer, const UpdateTask& task,
                                                 const StepSettings& settings) {
  const DeviceParameter& parameter = layer.parameter;
  const LayerRecord& record = *layer.record;
  const Elements gradients(layer.weight_gradients, parameter.columns, layer.inputs);
  if (record.last_step_skipped) { // nothing moves; a gradient that is handed out becomes 0
    if constexpr (Gradients) visit_elements<Threads>(task, [&](int32_t i) { gradients.at(i) = 0; });
    return;
  }
  const Elements weights(layer.weights, parameter.columns, layer.inputs);
  float* const momentum = in_global(layer.momentum);
  float* const second = in_global(parameter.second_moment);
  float* const average = in_global(layer.average);
  const ParameterStep k = parameter_step(parameter.rules, record.moves, record.coefficient, record.decay,
                                         settings.averaging_window, settings.gradients.factor);
  visit_elements<Threads>(task, [&](int32_t i) {
    const float w = weights.at(i), g = k.gradient * gradients.at(i);
    float m = momentum[i], unused = 0, u;
    if (second) {
      float v = second[i];
      u = parameter_update<true>(k, w, g, m, v);
      second[i] = v;
    } else {
      u = parameter_update<false>(k, w, g, m, unused);
    }
    momentum[i] = m;
    const float fresh = w - u;
    if (average) average[i] += k.average * (fresh - average[i]);
    (Gradients ? gradients : weights).at(i) = Gradients ? u : fresh;
  });
}

// A task of swap_averages: moves only, no arithmetic.
template <int Threads>
__device__ __forceinline__ void swap_parameter(const DeviceLayer& layer, const UpdateTask& task) {
  const Elements weights(layer.weights, layer.parameter.columns, layer.inputs);
  float* const average = in_global(layer.average);
  visit_elements<Threads>(task, [&](int32_t i) {
    const float ours = average[i];
    average[i] = weights.at(i);
    weights.at(i) = ours;
  });
}

} // namespace lngd::cuda
#endif
