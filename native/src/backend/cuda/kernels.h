// SPDX-License-Identifier: Apache-2.0
// What the CUDA kernels take: tables that a plan writes once into device memory, and the launchers. Everything here is
// asynchronous on the stream, allocates nothing, and returns the launch's own error.
#ifndef LNGD_BACKEND_CUDA_KERNELS_H
#define LNGD_BACKEND_CUDA_KERNELS_H

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/statistics.h"
#include "backend/cuda/step_settings.h"

namespace lngd::cuda {

// What a parameter outside of any layer has instead of factors (parameter.h).
struct DeviceParameter {
  ParameterRules rules;
  float* second_moment; // inputs; nullptr but with ADAMW
  int32_t columns;      // StepLayer::columns; 0: this is a layer
};

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
  DeviceParameter parameter = {};
  float decay_multiplier = 1; // of coupled decay
};

// Rows and columns of a layer (with its bias column): one block of apply_update. column0 is a multiple of 4.
struct UpdateTask {
  int32_t layer, row0, row1, column0, column1;
};
constexpr int32_t kUpdateElements = 8192; // about as many elements as a task should have

// Whether two neighbours in a column of `m` are nearer to each other than two in a row.
inline bool by_columns(const Strided& m) { return std::abs(m.rs) < std::abs(m.cs); }

// Rows, or pieces of long ones, or, where one of the caller's tensors lies by columns, tiles whose columns are long
// enough to be read in whole lines. Heights are multiples of 4 rows, as the kernel's patches are, as far as they fit.
inline void append_update_tasks(int32_t index, const DeviceLayer& layer, int32_t elements,
                                std::vector<UpdateTask>& tasks) {
  const int32_t columns = layer.inputs + layer.bias_column;
  const bool tiled = by_columns(layer.weights) || by_columns(layer.weight_gradients);
  const int32_t width = std::min(columns, tiled ? 64 : std::max(4, elements / 16 * 4));
  const int32_t height = std::max(4, elements / width / 4 * 4);
  for (int32_t row = 0; row < layer.outputs; row += height)
    for (int32_t column = 0; column < columns; column += width)
      tasks.push_back({index, row, std::min(layer.outputs, row + height), column, std::min(columns, column + width)});
}

// apply_update.cu. prepare_apply_update is called once before. `gradients`: leave W_old - W_new in the gradient instead
// of writing W. momentum_of_gradients: with orthogonalise.
cudaError_t prepare_apply_update();
cudaError_t launch_apply_update(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks,
                                int32_t task_count, bool gradients, cudaStream_t stream,
                                bool momentum_of_gradients = false);
cudaError_t launch_swap_averages(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                 cudaStream_t stream);

// One tile of precondition: rows [row0, row0 + kDirectionRows) as far as row_end (where the rows of the group end), and
// kDirectionColumns columns of a diagonal block from column0.
struct DirectionTile {
  const float* inverse; // size x size, row-major, symmetric, 16-byte aligned
  int64_t ld;           // its leading dimension, a multiple of 4
  int32_t layer;
  int32_t block;       // of the layer
  int32_t begin, size; // the block's columns of the layer
  int32_t row0, row_end;
  int32_t column0; // in the block
};
constexpr int32_t kDirectionRows = 64, kDirectionColumns = 128;

// All tiles of a layer, down the rows first: tiles that run at the same time then share their part of Phi_inv, which
// for a full factor is more than the second cache holds and mostly more than G.
inline void append_direction_tiles(int32_t index, const BlockLayout& blocks, int32_t outputs, const float* inverse,
                                   std::vector<DirectionTile>& tiles) {
  const int32_t height = outputs / static_cast<int32_t>(blocks.groups);
  for (int64_t k = 0; k < blocks.count(); ++k) {
    const int32_t first = static_cast<int32_t>(blocks.group(k)) * height, size = static_cast<int32_t>(blocks.size(k));
    for (int32_t column = 0; column < size; column += kDirectionColumns)
      for (int32_t row = 0; row < height; row += kDirectionRows)
        tiles.push_back({inverse + blocks.offset(k), blocks.ld(k), index, static_cast<int32_t>(k),
                         static_cast<int32_t>(blocks.begin(k)), size, first + row, first + height, column});
  }
}

// Sums over the elements of a tile.
struct DirectionSums {
  double direction_gradient;  // <D, G>
  double direction_direction; // ||D||^2
  double weight_weight;       // ||W||^2
  double direction_psi;       // <D, Psi D>, Psi damped
  double psi_gradient;        // <D, Psi^-1 G>
};

// precondition.cu; sums has one entry for each tile. precision: TripleTf32 or Tf32, of the product with Phi_inv; the
// sums are those of the D that is stored. prepare_precondition is called once before.
cudaError_t prepare_precondition();
cudaError_t launch_precondition(const StepSettings* settings, const DeviceLayer* layers, const DirectionTile* tiles,
                                int32_t tile_count, DirectionSums* sums, Precision precision, cudaStream_t stream);

} // namespace lngd::cuda
#endif
