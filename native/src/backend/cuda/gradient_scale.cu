// SPDX-License-Identifier: Apache-2.0
// The scale of the gradients into the settings of the step, where every kernel that reads a gradient finds it, and for
// clipping the norm of all of them before. Two launches, one where nothing is clipped, none where the host knows the
// scale; and no word to the host. The norm is bound by memory: 4 bytes an element read. What the caller says of the
// scale is read from the settings too: a graph that was captured before reads what lies there when it is launched.
//
// Sums are added in a fixed order: of a task's elements by threads, lanes and warps, of the tasks likewise by one
// block. Rejected: an atomic sum, whose order is another one each time; the last block of the first launch doing the
// second one's work, which would need a counter that a failed launch leaves wrong.
#include "backend/cuda/gradient_scale.h"
#include "backend/cuda/parameter_update.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// In thread 0.
__device__ double block_total(double mine, double (&of_warp)[kWarps]) {
  mine = warp_sum(mine);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
  __syncthreads();
  double total = 0;
  if (threadIdx.x == 0)
    for (int warp = 0; warp < kWarps; ++warp) total += of_warp[warp];
  return total;
}

// In double: no square of a float leaves its range, and a NaN or an Inf shows in the sum.
__device__ __forceinline__ double square(float g) { return static_cast<double>(g) * static_cast<double>(g); }

// Neighbours of a warp are neighbours in memory, whichever way the tensor lies.
__device__ double layer_square(const DeviceLayer& layer, const UpdateTask& task) {
  const Strided& m = layer.weight_gradients;
  const float* const matrix = in_global(m.data);
  const float* const bias = in_global(layer.bias_gradients.data);
  const int64_t rs = m.rs, cs = m.cs, bs = layer.bias_gradients.rs;
  const int inputs = layer.inputs, rows = task.row1 - task.row0, columns = task.column1 - task.column0;
  const bool down = (rs < 0 ? -rs : rs) < (cs < 0 ? -cs : cs);
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < rows * columns; i += kThreads) {
    const int row = task.row0 + (down ? i % rows : i / columns),
              column = task.column0 + (down ? i / rows : i % columns);
    sum += square(column < inputs ? matrix[row * rs + column * cs] : bias[row * bs]);
  }
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    gradient_squares_kernel(const DeviceLayer* layers, const UpdateTask* tasks, double* squares) {
  __shared__ double of_warp[kWarps];
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  double mine = 0;
  if (layer.parameter.columns > 0) { // the same in the whole block
    const Elements gradients(layer.weight_gradients, layer.parameter.columns, layer.inputs);
    visit_elements<kThreads>(task, [&](int32_t i) { mine += square(gradients.at(i)); });
  } else {
    mine = layer_square(layer, task);
  }
  const double total = block_total(mine, of_warp);
  if (threadIdx.x == 0) squares[blockIdx.x] = total;
}

// One block.
__global__ void __launch_bounds__(kThreads)
    gradient_scale_kernel(StepSettings* settings, const double* squares, int32_t count, double largest, double* norm) {
  __shared__ double of_warp[kWarps];
  double mine = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) mine += squares[i];
  const double total = block_total(mine, of_warp);
  if (threadIdx.x != 0) return;
  const Scaling& from = settings->scaling;
  const double inverse = from.scale ? 1.0 / static_cast<double>(*in_global(from.scale)) : from.inverse;
  const bool found = from.skip != 0 || (from.found_inf && *in_global(from.found_inf) != 0.0f);
  GradientScale scale = unscaled(inverse, from.signals != 0, found);
  if (largest > 0) {
    clip(scale, total, largest);
    *norm = scale.norm;
  }
  settings->gradients = scale;
}

} // namespace

cudaError_t prepare_gradient_scale() { return prepare_kernels(0, gradient_squares_kernel, gradient_scale_kernel); }

cudaError_t launch_gradient_squares(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                    double* squares, cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(gradient_squares_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, layers,
                tasks, squares);
}

cudaError_t launch_gradient_scale(StepSettings* settings, const double* squares, int32_t task_count, double largest,
                                  double* norm, cudaStream_t stream) {
  return launch(gradient_scale_kernel, dim3(1), dim3(kThreads), 0, stream, settings, squares, task_count, largest,
                norm);
}

} // namespace lngd::cuda
