// SPDX-License-Identifier: Apache-2.0
// What the CUDA kernels take: tables that a plan writes once into device memory, and the launchers. Everything here is
// asynchronous on the stream, allocates nothing, and returns the launch's own error.
#ifndef LNGD_BACKEND_CUDA_KERNELS_H
#define LNGD_BACKEND_CUDA_KERNELS_H

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/backend.h"

namespace lngd::cuda {

// A layer of a plan. All pointers are device pointers; the caller's tensors (Strided) have any strides and any
// alignment of 4 bytes or more.
struct DeviceLayer {
  LayerRecord* record;
  Strided weights, bias, weight_gradients, bias_gradients; // outputs x inputs; outputs (rs only)
  float* momentum;                                         // outputs x ldw
  float* average;                                          // outputs x ldw; nullptr without averaging
  float* direction;                                        // outputs x ldw
  const float* psi_inverse;                                // outputs
  int64_t ldw;                                             // a multiple of 16
  int32_t inputs, outputs;
  int32_t bias_column; // 1: column `inputs` of momentum, average and direction is the bias
};

// Rows [row0, row1) of a layer: one block of apply_update. Rows times columns fit 31 bits.
struct UpdateTask {
  int32_t layer, row0, row1;
};
constexpr int32_t kUpdateElements = 8192; // about as many elements as a task should have

struct UpdateSettings {
  double decay;  // learning rate * factor * weight decay where it is decoupled, or 0
  double window; // c of the averaged weights
  float momentum;
  bool nesterov;
  bool gradients; // leave W_old - W_new in the gradient instead of writing W
};

// apply_update.cu
cudaError_t launch_apply_update(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                const UpdateSettings& settings, cudaStream_t stream);
cudaError_t launch_swap_averages(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                 cudaStream_t stream);

// One tile of precondition: kDirectionTile rows from row0 and as many columns of a diagonal block from column0.
struct DirectionTile {
  const float* inverse; // size x size, row-major, symmetric, 16-byte aligned
  int64_t ld;           // its leading dimension, a multiple of 4
  int32_t layer;
  int32_t begin, size; // the block's columns of the layer
  int32_t row0;
  int32_t column0; // in the block
};
constexpr int32_t kDirectionTile = 64;

// Sums over the elements of a tile.
struct DirectionSums {
  double direction_gradient;  // <D, G>
  double direction_direction; // ||D||^2
  double weight_weight;       // ||W||^2
  double direction_psi;       // <D, Psi D>, Psi damped
  double psi_gradient;        // <D, Psi^-1 G>
};

// precondition.cu; sums has one entry for each tile. `decay` is the coupled weight decay, or 0.
cudaError_t launch_precondition(const DeviceLayer* layers, const DirectionTile* tiles, int32_t tile_count, float decay,
                                DirectionSums* sums, cudaStream_t stream);

} // namespace lngd::cuda
#endif
