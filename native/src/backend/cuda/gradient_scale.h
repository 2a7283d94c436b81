// SPDX-License-Identifier: Apache-2.0
// What gradient_scale.cu takes: the norm of all gradients of a plan, and from it what they are multiplied by.
#ifndef LNGD_BACKEND_CUDA_GRADIENT_SCALE_H
#define LNGD_BACKEND_CUDA_GRADIENT_SCALE_H

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/kernels.h"

namespace lngd::cuda {

// Once before the first launch.
cudaError_t prepare_gradient_scale();
// The sum of the squares of each task's gradients. Tasks are those of apply_update.
cudaError_t launch_gradient_squares(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                    double* squares, cudaStream_t stream);
// settings->gradients from settings->scaling and, where the largest norm is not 0, from the squares; then *norm too.
cudaError_t launch_gradient_scale(StepSettings* settings, const double* squares, int32_t task_count, double largest,
                                  double* norm, cudaStream_t stream);

} // namespace lngd::cuda
#endif
