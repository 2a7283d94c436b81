// SPDX-License-Identifier: Apache-2.0
// Layers whose second factor is a matrix (KFAC, TKFAC) on CUDA: what the backend calls and what its plan holds of them.
//
//   KFAC    A = (1/N) sum a a^T        B = (1/(N T)) sum g g^T
//   TKFAC   Phi = (1/N) sum r a a^T    Psi = sum c g g^T / sum c r
//
// B has a BlockLayout of its own (LayerShape::second), and all tables here go by its blocks.
#ifndef LNGD_BACKEND_CUDA_SECOND_FACTOR_H
#define LNGD_BACKEND_CUDA_SECOND_FACTOR_H

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "backend/cuda/kernels.h"
#include "backend/cuda/statistics.h"

namespace lngd::cuda {

// paired_statistics.cu: layer_statistics and conv_statistics of such a layer, under the rules of statistics.h. The
// workspace of a convolution or an embedding is 0 where its rows cannot be numbered. prepare_paired_statistics is
// called once before, and so are the other prepare_ functions before what stands below them.
cudaError_t prepare_paired_statistics();
size_t paired_statistics_workspace(const LayerShape& shape, int64_t samples, int32_t multiprocessors);
size_t paired_statistics_workspace(const LayerShape& shape, const Activations& inputs, int64_t samples,
                                   int32_t multiprocessors);
cudaError_t launch_paired_statistics(const StatisticsArgs& args, const StatisticsWorkspace& workspace,
                                     Precision precision, cudaStream_t stream);
cudaError_t launch_paired_statistics(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                     Precision precision, cudaStream_t stream);

// X = G A^-1 of a layer between the two products of dense_precondition, transposed: element (row, column) of a group at
// first + (group columns + column) ld + row, where the rows of each block of B begin at a multiple of padded_block.
struct SecondLayer {
  int64_t first;         // in the plan's products, a multiple of 16
  int64_t ld;            // a multiple of 16
  int32_t rows, columns; // of a group; with the bias
  int32_t block, padded_block;
};
SecondLayer second_layer(const LayerShape& shape, int64_t first);
// Row `row` of a group in X^T: its place among the rows of B's blocks, each padded.
__device__ __forceinline__ int64_t place_of(const SecondLayer& second, int row) {
  return int64_t{row / second.block} * second.padded_block + row % second.block;
}
inline int64_t second_product_floats(const LayerShape& shape) {
  return shape.groups * shape.d * shape.second.group_blocks() * padded(shape.second.block);
}

// Tiles of the second product: `inverse` and `ld` are those of a block of B, whose rows are [begin, begin + size) of
// its group; `column0` counts from the layer's first column. Down the rows first: tiles that run at the same time then
// share their part of X, the larger operand.
void append_output_tiles(int32_t index, const LayerShape& shape, const float* inverse,
                         std::vector<DirectionTile>& tiles);

// What a plan has of such layers on the device.
struct SecondTables {
  const SecondLayer* layers; // one for each layer of the plan
  float* products;           // second_product_floats of all, 16-byte aligned; their contents do not matter
};

// dense_precondition.cu, in 3xTF32 (instances in TF32 spill); `input_tiles` are those of append_direction_tiles of
// layers whose Phi has blocks, `diagonal_tiles` those of the others; sums has one entry for each output tile.
cudaError_t prepare_dense_precondition();
cudaError_t launch_dense_precondition(const StepSettings* settings, const DeviceLayer* layers,
                                      const SecondTables& seconds, const DirectionTile* input_tiles, int32_t inputs,
                                      const DirectionTile* output_tiles, int32_t outputs,
                                      const DirectionTile* diagonal_tiles, int32_t diagonals, DirectionSums* sums,
                                      cudaStream_t stream);

} // namespace lngd::cuda
#endif
