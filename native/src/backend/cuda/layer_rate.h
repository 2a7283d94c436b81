// SPDX-License-Identifier: Apache-2.0
// What layer_rate.cu takes: tables that a plan writes once, and the launchers.
#ifndef LNGD_BACKEND_CUDA_LAYER_RATE_H
#define LNGD_BACKEND_CUDA_LAYER_RATE_H

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/cuda/kernels.h"
#include "backend/parameter_rules.h"
#include "backend/step_rules.h"

namespace lngd::cuda {

// How rate_projection.cu finds the patches of a convolution (its ConvLoader, which host compilers cannot read).
struct alignas(8) RatePatches {
  unsigned char bytes[160];
};

// A layer of a step; device pointers.
struct RateLayer {
  LayerRecord* record;
  const double* lambda_phi; // blocks
  RuledLayer rules;
  int32_t first_tile, tiles;   // of precondition, and of its DirectionSums
  int32_t outputs, inputs;     // without the bias
  int32_t bias_column, groups; // 1: column `inputs` of the direction is the bias
  // EMPIRICAL: C = (1/used) sum_n x_n^2, x_n = sum_t delta_nt^T D a_nt over `positions` rows of each sample.
  const float* direction;               // outputs x ldw
  int64_t ldw;                          // a multiple of 4
  Strided sample_inputs, sample_deltas; // of a dense layer
  int64_t samples;                      // of the batch
  int32_t used;                         // of them, evenly spaced: number k is sample k samples / used
  int32_t positions;                    // 1 for a dense layer
  double* partial;                      // rate_partials(*this) of them
  // Of a convolution, by set_rate_patches.
  Activations conv_deltas = {};
  RatePatches patches = {};
  // Of an embedding, with conv_deltas: samples x 1 x 1 x positions.
  Activations indices = {};
  // Of a parameter outside of any layer: the sums of its `tiles` tasks; else nullptr.
  const ParameterSums* parameter_sums = nullptr;
  ParameterRules parameter_rules = {};
};

// The used samples of a batch.
inline int32_t rate_samples(const lngd_config& config, int64_t samples) {
  const int64_t limit = config.rate_samples;
  return static_cast<int32_t>(limit > 0 ? std::min(limit, samples) : samples);
}

// One tile of A D^T: kRateRows rows (sample, position), and columns [column0, column_end) of the outputs of a group.
// Its sums over the columns go to partial[(column_tile * row tiles + row_tile) * slots + slot], a slot for each sample
// that has rows in the tile.
struct ProjectionTask {
  int32_t layer, group, row_tile, column_tile, column0, column_end;
};
constexpr int32_t kRateRows = 64, kRateColumns = 128;

__host__ __device__ inline int32_t rate_slots(const RateLayer& layer) {
  return (kRateRows + layer.positions - 2) / layer.positions + 1;
}
__host__ __device__ inline int32_t rate_row_tiles(const RateLayer& layer) {
  return static_cast<int32_t>((int64_t{layer.used} * layer.positions + kRateRows - 1) / kRateRows);
}
__host__ __device__ inline int32_t rate_column_tiles(const RateLayer& layer) {
  return (layer.outputs / layer.groups + kRateColumns - 1) / kRateColumns * layer.groups;
}
inline int64_t rate_partials(const RateLayer& layer) {
  return int64_t{rate_slots(layer)} * rate_row_tiles(layer) * rate_column_tiles(layer);
}

// Row tiles within column tiles: blocks that run at the same time share their part of D, which is the larger operand.
inline void append_projection_tasks(int32_t index, const RateLayer& layer, std::vector<ProjectionTask>& tasks) {
  const int32_t height = layer.outputs / layer.groups, row_tiles = rate_row_tiles(layer);
  int32_t column_tile = 0;
  for (int32_t group = 0; group < layer.groups; ++group)
    for (int32_t column = 0; column < height; column += kRateColumns, ++column_tile)
      for (int32_t row_tile = 0; row_tile < row_tiles; ++row_tile)
        tasks.push_back({index, group, row_tile, column_tile, group * height + column,
                         group * height + std::min(height, column + kRateColumns)});
}

// rate_projection.cu, before launch_layer_rate where the rate is EMPIRICAL: the tasks of dense layers, and those of
// convolutions.
cudaError_t prepare_rate_projections();
cudaError_t launch_rate_projections(const RateLayer* layers, const ProjectionTask* tasks, int32_t task_count,
                                    cudaStream_t stream);
cudaError_t launch_conv_rate_projections(const RateLayer* layers, const ProjectionTask* tasks, int32_t task_count,
                                         cudaStream_t stream);
// On the host: positions, patches and deltas of a layer from a batch of that many samples, whose rows (samples times
// positions) fit 31 bits.
void set_rate_patches(const LayerShape& shape, const Activations& inputs, const Activations& deltas, int64_t samples,
                      RateLayer& layer);

// layer_rate.cu. Called once before the first launch, also of projections.
cudaError_t prepare_layer_rate();
// Everything into the records. `tiles` and `sums` are precondition's.
cudaError_t launch_layer_rate(const StepSettings* settings, const RateLayer* layers, int32_t layer_count,
                              const DirectionTile* tiles, const DirectionSums* sums, cudaStream_t stream);

} // namespace lngd::cuda
#endif
