// SPDX-License-Identifier: Apache-2.0
// apply_update: momentum, weight decay, weights, averaged weights (spec section 7), all layers of a plan in one launch:
//
//   zeta = coefficient D                                  M <- tau M + zeta
//   u = lr factor wd W - (M, or with Nesterov tau M + zeta)
//   W <- W - u      or, for frameworks that subtract, G <- u
//   avg <- avg + c/(c + t) ((W - u) - avg)                t = moves of the layer before this one
//
// Bound by memory: 4 streams read, 3 written. What layer_rate decided is read from the layer's record, so the host need
// not know it. Rows whose four streams allow it go by 16 bytes a thread, what is left of them and the bias by 4.
#include "backend/cuda/kernels.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;

struct Coefficients {
  float zeta, momentum, momentum_part, zeta_part, decay, average;
};

// Called by every thread; the few doubles cost less than a barrier would.
__device__ Coefficients coefficients(const UpdateSettings& s, const LayerRecord& record) {
  const double t = static_cast<double>(record.moves - 1); // layer_rate has counted this one
  return {static_cast<float>(record.coefficient),
          s.momentum,
          s.nesterov ? s.momentum : 1.0f,
          s.nesterov ? 1.0f : 0.0f,
          static_cast<float>(s.decay),
          static_cast<float>(s.window / (s.window + t))};
}

// One element; returns u.
__device__ __forceinline__ float update(const Coefficients& k, float d, float& momentum, float* average, float w) {
  const float zeta = k.zeta * d;
  momentum = k.momentum * momentum + zeta;
  const float u = k.decay * w - (k.momentum_part * momentum + k.zeta_part * zeta);
  // w - u is what a framework that subtracts u will hold: the same bits in both modes.
  if (average) *average += k.average * ((w - u) - *average);
  return u;
}

__device__ __forceinline__ bool by_quads(const Strided& m) {
  return m.cs == 1 && m.rs % 4 == 0 && reinterpret_cast<uintptr_t>(m.data) % 16 == 0;
}

__device__ __forceinline__ float4& quad(float* p) { return *reinterpret_cast<float4*>(p); }

// Where element (row, column) of the caller's matrix and bias lies.
__device__ __forceinline__ float* element(const Strided& matrix, const Strided& bias, int inputs, int row, int column) {
  return column < inputs ? matrix.data + row * matrix.rs + column * matrix.cs : bias.data + row * bias.rs;
}

template <bool Gradients>
__device__ void update_quad(const Coefficients& k, const DeviceLayer& layer, int row, int column) {
  const int64_t own = row * layer.ldw + column;
  const float4 d = quad(layer.direction + own);
  const float4 w = quad(layer.weights.data + row * layer.weights.rs + column);
  float4 m = quad(layer.momentum + own), a{}, u;
  if (layer.average) a = quad(layer.average + own);
  u.x = update(k, d.x, m.x, layer.average ? &a.x : nullptr, w.x);
  u.y = update(k, d.y, m.y, layer.average ? &a.y : nullptr, w.y);
  u.z = update(k, d.z, m.z, layer.average ? &a.z : nullptr, w.z);
  u.w = update(k, d.w, m.w, layer.average ? &a.w : nullptr, w.w);
  quad(layer.momentum + own) = m;
  if (layer.average) quad(layer.average + own) = a;
  if (Gradients) {
    quad(layer.weight_gradients.data + row * layer.weight_gradients.rs + column) = u;
  } else {
    quad(layer.weights.data + row * layer.weights.rs + column) =
        make_float4(w.x - u.x, w.y - u.y, w.z - u.z, w.w - u.w);
  }
}

template <bool Gradients>
__device__ void update_one(const Coefficients& k, const DeviceLayer& layer, int row, int column) {
  const int64_t own = row * layer.ldw + column;
  float* const at = element(layer.weights, layer.bias, layer.inputs, row, column);
  const float w = *at;
  float m = layer.momentum[own], a = 0;
  if (layer.average) a = layer.average[own];
  const float u = update(k, layer.direction[own], m, layer.average ? &a : nullptr, w);
  layer.momentum[own] = m;
  if (layer.average) layer.average[own] = a;
  if (Gradients) {
    *element(layer.weight_gradients, layer.bias_gradients, layer.inputs, row, column) = u;
  } else {
    *at = w - u;
  }
}

template <bool Gradients>
__global__ void __launch_bounds__(kThreads)
    apply_update_kernel(const DeviceLayer* layers, const UpdateTask* tasks, UpdateSettings settings) {
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  const int rows = task.row1 - task.row0, columns = layer.inputs + layer.bias_column;
  const int thread = static_cast<int>(threadIdx.x);
  if (layer.record->last_step_skipped) { // nothing moves; a gradient that is handed out becomes 0
    for (int i = thread; Gradients && i < rows * columns; i += kThreads)
      *element(layer.weight_gradients, layer.bias_gradients, layer.inputs, task.row0 + i / columns, i % columns) = 0;
    return;
  }
  const Coefficients k = coefficients(settings, *layer.record);
  const bool vector = by_quads(layer.weights) && (!Gradients || by_quads(layer.weight_gradients));
  const int quads = vector ? layer.inputs / 4 : 0, rest = columns - 4 * quads;
  for (int i = thread; i < rows * quads; i += kThreads)
    update_quad<Gradients>(k, layer, task.row0 + i / quads, 4 * (i % quads));
  for (int i = thread; i < rows * rest; i += kThreads)
    update_one<Gradients>(k, layer, task.row0 + i / rest, 4 * quads + i % rest);
}

// Exchanged as integers: a NaN keeps its bits.
__global__ void __launch_bounds__(kThreads) swap_averages_kernel(const DeviceLayer* layers, const UpdateTask* tasks) {
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  if (layer.record->moves == 0 || !layer.average) return;
  const int columns = layer.inputs + layer.bias_column, count = (task.row1 - task.row0) * columns;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    const int row = task.row0 + i / columns, column = i % columns;
    float* const kept = layer.average + row * layer.ldw + column;
    float* const callers = element(layer.weights, layer.bias, layer.inputs, row, column);
    const int ours = __float_as_int(*kept), theirs = __float_as_int(*callers);
    *kept = __int_as_float(theirs);
    *callers = __int_as_float(ours);
  }
}

} // namespace

cudaError_t launch_apply_update(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                const UpdateSettings& settings, cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(settings.gradients ? apply_update_kernel<true> : apply_update_kernel<false>,
                dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, layers, tasks, settings);
}

cudaError_t launch_swap_averages(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                 cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(swap_averages_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, layers,
                tasks);
}

} // namespace lngd::cuda
