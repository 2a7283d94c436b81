// SPDX-License-Identifier: Apache-2.0
// The settings of a step into device memory, in stream order. By value through a launch: a copy from pinned memory
// would need a ring of buffers and events, since the host is steps ahead of the device; and what a graph replays is the
// reading of that memory, not this launch.
#include "backend/cuda/cuda_plan.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

__global__ void __launch_bounds__(32) store_settings_kernel(StepSettings settings, StepSettings* to) {
  if (threadIdx.x == 0) *to = settings;
}

} // namespace

cudaError_t prepare_store_settings() { return prepare_kernel(store_settings_kernel); }

cudaError_t launch_store_settings(const StepSettings& settings, StepSettings* to, cudaStream_t stream) {
  return launch(store_settings_kernel, dim3(1), dim3(32), 0, stream, settings, to);
}

} // namespace lngd::cuda
