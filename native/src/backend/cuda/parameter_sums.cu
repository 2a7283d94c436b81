// SPDX-License-Identifier: Apache-2.0
// The first pass over the parameters of a plan: <D, G>, ||D||^2, ||G||^2 and ||W||^2 of each task, from which
// layer_rate decides whether the parameter moves. It writes nothing else. Bound by memory: 16 bytes an element with
// ADAMW, 8 without. One launch, and none where a plan has no parameters.
#include "backend/cuda/parameter_update.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

__device__ __forceinline__ ParameterSums warp_sums(const ParameterSums& s) {
  return {warp_sum(s.direction_gradient), warp_sum(s.direction_direction), warp_sum(s.gradient_gradient),
          warp_sum(s.weight_weight)};
}

__global__ void __launch_bounds__(kThreads)
    parameter_sums_kernel(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks,
                          ParameterSums* sums) {
  __shared__ ParameterSums of_warp[kWarps];
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  const Elements weights(layer.weights, layer.parameter.columns, layer.inputs);
  const Elements gradients(layer.weight_gradients, layer.parameter.columns, layer.inputs);
  const float* const momentum = in_global(layer.momentum);
  const float* const second = in_global(layer.parameter.second_moment);
  const ParameterStep k =
      parameter_step(layer.parameter.rules, layer.record->moves + 1, 0, 0, 1, settings->gradients.factor);
  ParameterSums mine{};
  visit_elements<kThreads>(task, [&](int32_t i) {
    const float g = k.gradient * gradients.at(i);
    float d = g;
    if (second) {
      float m = momentum[i], v = second[i];
      d = adam_direction(k, g, m, v);
    }
    const double direction = d, gradient = g, weight = weights.at(i);
    add(mine, {direction * gradient, direction * direction, gradient * gradient, weight * weight});
  });
  mine = warp_sums(mine);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < kWarps; ++warp) add(mine, of_warp[warp]);
  sums[blockIdx.x] = mine;
}

} // namespace

cudaError_t prepare_parameter_sums() { return prepare_kernel(parameter_sums_kernel); }

cudaError_t launch_parameter_sums(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks,
                                  int32_t task_count, ParameterSums* sums, cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(parameter_sums_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, settings,
                layers, tasks, sums);
}

} // namespace lngd::cuda
