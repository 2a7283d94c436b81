// SPDX-License-Identifier: Apache-2.0
// apply_update: momentum, weight decay, weights, averaged weights (spec section 7), all layers of a plan in one launch:
//
//   zeta = coefficient D                                  M <- tau M + zeta
//   u = lr factor wd W - (M, or with Nesterov tau M + zeta)
//   W <- W - u      or, for frameworks that subtract, G <- u
//   avg <- avg + c/(c + t) ((W - u) - avg)                t = moves of the layer before this one
//
// Bound by memory: 4 streams read, 3 written. What layer_rate decided is read from the layer's record, so the host need
// not know it.
//
// A thread takes four neighbours of a row: 16 bytes of each of our arrays. The caller's tensors
//   by rows, aligned       16 bytes as well
//   by columns             4 bytes four times; a warp is 8 rows by 16 columns, so each access is four whole sectors of
//   32
//                          bytes. Transposing through shared memory would make them 128 bytes in one line, which is the
//                          same traffic, and cost two barriers a tile.
//   by rows, not aligned   4 bytes, and a warp goes along the row, for our arrays too: four accesses 16 bytes apart
//   would
//                          write each sector four times (stores are not gathered in the first cache)
#include "backend/cuda/kernels.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;

struct Coefficients {
  float zeta, momentum, momentum_part, zeta_part, decay, average;
};

// Called by every thread; the few doubles cost less than a barrier would.
__device__ Coefficients coefficients(const StepSettings& s, const LayerRecord& record) {
  const double t = static_cast<double>(record.moves - 1); // layer_rate has counted this one
  return {static_cast<float>(record.coefficient),
          s.momentum,
          s.nesterov ? s.momentum : 1.0f,
          s.nesterov ? 1.0f : 0.0f,
          s.decoupled ? static_cast<float>(s.learning_rate * s.factor * s.weight_decay) : 0.0f,
          static_cast<float>(s.averaging_window / (s.averaging_window + t))};
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

// What a tile of rows and columns is cut into for the threads.
enum class Way { Quads, Elements, Columns };

__device__ __forceinline__ bool aligned(const Strided& m) {
  return m.cs == 1 && m.rs % 4 == 0 && reinterpret_cast<uintptr_t>(m.data) % 16 == 0;
}
__device__ __forceinline__ bool along_columns(const Strided& m) {
  return (m.rs < 0 ? -m.rs : m.rs) < (m.cs < 0 ? -m.cs : m.cs);
}
// `other` counts where it is written.
__device__ __forceinline__ Way way(const Strided& weights, const Strided& other, bool counts) {
  if (along_columns(weights) || (counts && along_columns(other))) return Way::Columns;
  return aligned(weights) && (!counts || aligned(other)) ? Way::Quads : Way::Elements;
}

__device__ __forceinline__ float4& quad(float* p) { return *reinterpret_cast<float4*>(p); }

// Where element (row, column) of the caller's matrix and bias lies.
__device__ __forceinline__ float* element(const Strided& matrix, const Strided& bias, int inputs, int row, int column) {
  return column < inputs ? matrix.data + row * matrix.rs + column * matrix.cs : bias.data + row * bias.rs;
}
__device__ __forceinline__ float* weight_at(const DeviceLayer& layer, int row, int column) {
  return element(layer.weights, layer.bias, layer.inputs, row, column);
}
__device__ __forceinline__ float* gradient_at(const DeviceLayer& layer, int row, int column) {
  return element(layer.weight_gradients, layer.bias_gradients, layer.inputs, row, column);
}

// Calls visit(row, column) over a task's tile, for one element or (Quads) four at once. What is left of a row beyond
// its whole quads, and the bias, are `visit_one`'s.
template <class Visit, class VisitOne>
__device__ __forceinline__ void visit_tile(const UpdateTask& task, int inputs, Way way, const Visit& visit,
                                           const VisitOne& visit_one) {
  const int thread = static_cast<int>(threadIdx.x), rows = task.row1 - task.row0;
  const int quads = way == Way::Elements ? 0 : max(0, min(task.column1, inputs) - task.column0) / 4;
  const int rest0 = task.column0 + 4 * quads, rest = task.column1 - rest0;
  if (way == Way::Columns) {
    // A warp: 8 rows by 4 quads; its lanes run along the rows first. Both numbers are rounded up.
    const int bands = (rows + 7) / 8, count = bands * ((quads + 3) / 4) * 32;
    for (int i = thread; i < count; i += kThreads) {
      const int row = i / 32 % bands * 8 + i % 8, column = i / 32 / bands * 4 + i % 32 / 8;
      if (row < rows && column < quads) visit(task.row0 + row, task.column0 + 4 * column);
    }
    for (int i = thread; i < rows * rest; i += kThreads) visit_one(task.row0 + i % rows, rest0 + i / rows);
  } else {
    for (int i = thread; i < rows * quads; i += kThreads) visit(task.row0 + i / quads, task.column0 + 4 * (i % quads));
    for (int i = thread; i < rows * rest; i += kThreads) visit_one(task.row0 + i / rest, rest0 + i % rest);
  }
}

// Four neighbours of a row; `vector`: the caller's too lie so that 16 bytes can be taken.
template <bool Gradients>
__device__ __forceinline__ void update_quad(const Coefficients& k, const DeviceLayer& layer, bool vector, int row,
                                            int column) {
  const int64_t own = row * layer.ldw + column;
  const int64_t ws = layer.weights.cs;
  float* const weights = layer.weights.data + row * layer.weights.rs + column * ws;
  const float4 d = quad(layer.direction + own);
  const float4 w = vector ? quad(weights) : make_float4(weights[0], weights[ws], weights[2 * ws], weights[3 * ws]);
  float4 m = quad(layer.momentum + own), a{}, u;
  if (layer.average) a = quad(layer.average + own);
  u.x = update(k, d.x, m.x, layer.average ? &a.x : nullptr, w.x);
  u.y = update(k, d.y, m.y, layer.average ? &a.y : nullptr, w.y);
  u.z = update(k, d.z, m.z, layer.average ? &a.z : nullptr, w.z);
  u.w = update(k, d.w, m.w, layer.average ? &a.w : nullptr, w.w);
  quad(layer.momentum + own) = m;
  if (layer.average) quad(layer.average + own) = a;
  const int64_t s = Gradients ? layer.weight_gradients.cs : ws;
  float* const to = Gradients ? layer.weight_gradients.data + row * layer.weight_gradients.rs + column * s : weights;
  const float4 out = Gradients ? u : make_float4(w.x - u.x, w.y - u.y, w.z - u.z, w.w - u.w);
  if (vector) {
    quad(to) = out;
  } else {
    to[0] = out.x;
    to[s] = out.y;
    to[2 * s] = out.z;
    to[3 * s] = out.w;
  }
}

template <bool Gradients>
__device__ __forceinline__ void update_one(const Coefficients& k, const DeviceLayer& layer, int row, int column) {
  const int64_t own = row * layer.ldw + column;
  float* const at = weight_at(layer, row, column);
  const float w = *at;
  float m = layer.momentum[own], a = 0;
  if (layer.average) a = layer.average[own];
  const float u = update(k, layer.direction[own], m, layer.average ? &a : nullptr, w);
  layer.momentum[own] = m;
  if (layer.average) layer.average[own] = a;
  if (Gradients) {
    *gradient_at(layer, row, column) = u;
  } else {
    *at = w - u;
  }
}

template <bool Gradients>
__global__ void __launch_bounds__(kThreads)
    apply_update_kernel(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks) {
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  if (layer.record->last_step_skipped) { // nothing moves; a gradient that is handed out becomes 0
    if (!Gradients) return;
    const auto zero = [&](int row, int column) { *gradient_at(layer, row, column) = 0; };
    visit_tile(
        task, layer.inputs, along_columns(layer.weight_gradients) ? Way::Columns : Way::Elements,
        [&](int row, int column) {
          for (int j = 0; j < 4; ++j) zero(row, column + j);
        },
        zero);
    return;
  }
  const Coefficients k = coefficients(*settings, *layer.record);
  const Way by = way(layer.weights, layer.weight_gradients, Gradients);
  visit_tile(
      task, layer.inputs, by,
      [&](int row, int column) { update_quad<Gradients>(k, layer, by == Way::Quads, row, column); },
      [&](int row, int column) { update_one<Gradients>(k, layer, row, column); });
}

// Exchanged as integers: a NaN keeps its bits.
__global__ void __launch_bounds__(kThreads) swap_averages_kernel(const DeviceLayer* layers, const UpdateTask* tasks) {
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  if (layer.record->moves == 0 || !layer.average) return;
  const auto exchange = [&](int row, int column) {
    float* const kept = layer.average + row * layer.ldw + column;
    float* const callers = weight_at(layer, row, column);
    const int ours = __float_as_int(*kept), theirs = __float_as_int(*callers);
    *kept = __int_as_float(theirs);
    *callers = __int_as_float(ours);
  };
  visit_tile(
      task, layer.inputs, along_columns(layer.weights) ? Way::Columns : Way::Elements,
      [&](int row, int column) {
        for (int j = 0; j < 4; ++j) exchange(row, column + j);
      },
      exchange);
}

} // namespace

cudaError_t prepare_apply_update() {
  return prepare_kernels(0, apply_update_kernel<false>, apply_update_kernel<true>, swap_averages_kernel);
}

cudaError_t launch_apply_update(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks,
                                int32_t task_count, bool gradients, cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(gradients ? apply_update_kernel<true> : apply_update_kernel<false>,
                dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, settings, layers, tasks);
}

cudaError_t launch_swap_averages(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                 cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(swap_averages_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, layers,
                tasks);
}

} // namespace lngd::cuda
