// SPDX-License-Identifier: Apache-2.0
// X = G A^-1 for a diagonal A, in tiles of 64 x 128 but without a product. Bound by memory: G (with orthogonalise M
// too) read, X written, 8 bytes an element (12). A warp has 8 rows and 8 columns at once, as in diagonal_precondition:
// the caller's tensors are read in whole sectors whichever way they lie, and X^T is written in whole sectors.
#include "backend/cuda/averaged_gradient.cuh"
#include "backend/cuda/diagonal_inputs.h"

namespace lngd::cuda {
namespace {

// Calls visit(row, column) for this thread's elements of a tile.
template <class Visit>
__device__ __forceinline__ void for_elements(int rows, int columns, const Visit& visit) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high)
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int row = product_row(i, high), column = product_column(j) + e;
          if (row < rows && column < columns) visit(row, column);
        }
}

// The gradient of a tile, from its first row and column.
__device__ __forceinline__ TileGradient gradient_of(const StepSettings& settings, const DeviceLayer& layer,
                                                    const DirectionTile& at, float (&reading)[2]) {
  const int first = at.begin + at.column0;
  const TileView g(layer.weight_gradients, layer.bias_gradients, layer.inputs, at.row0, first);
  const TileView w(layer.weights, layer.bias, layer.inputs, at.row0, first);
  return {g,
          w,
          reading,
          nullptr,
          min(kProductRows, at.row_end - at.row0),
          min(kProductColumns, at.size - at.column0),
          read_as(settings, layer, 0, reading)};
}

// Three blocks: with the four that the compiler would choose a register was spilled.
__global__ void __launch_bounds__(kProductThreads, 3)
    diagonal_inputs_kernel(const StepSettings* settings, const DeviceLayer* layers, const SecondTables seconds,
                           const DirectionTile* tiles) {
  __shared__ float reading[2];
  const DirectionTile at = tiles[blockIdx.x];
  const DeviceLayer& layer = layers[at.layer];
  if (!layer.record->has_inverse) return; // the whole block; layer_rate skips the layer
  const TileGradient gradient = gradient_of(*settings, layer, at, reading);
  const float* const inverse = at.inverse + at.column0;
  const SecondLayer& second = seconds.layers[at.layer]; // an embedding has one group
  float* const out = seconds.products + second.first + (at.begin + at.column0) * second.ld;
  for_elements(gradient.rows, gradient.size, [&](int row, int column) {
    out[column * second.ld + place_of(second, at.row0 + row)] = gradient.value(row, column) * inverse[column];
  });
}

__global__ void __launch_bounds__(kProductThreads, 3)
    diagonal_averages_kernel(const StepSettings* settings, const DeviceLayer* layers, const DirectionTile* tiles) {
  __shared__ float reading[2];
  const DirectionTile at = tiles[blockIdx.x];
  const DeviceLayer& layer = layers[at.layer];
  if (!layer.record->has_inverse) return; // the whole block
  const TileGradient gradient = gradient_of(*settings, layer, at, reading);
  const int64_t first = at.row0 * layer.ldw + at.begin + at.column0;
  const AveragedGradient x(gradient, layer.momentum + first, layer.ldw, *settings);
  const float* const root = at.inverse + at.column0;
  for_elements(gradient.rows, gradient.size, [&](int row, int column) {
    layer.direction[first + row * layer.ldw + column] = x.value(row, column) * root[column] * root[column];
  });
}

} // namespace

cudaError_t prepare_diagonal_inputs() { return prepare_kernels(0, diagonal_inputs_kernel, diagonal_averages_kernel); }

cudaError_t launch_diagonal_inputs(const StepSettings* settings, const DeviceLayer* layers, const SecondTables& seconds,
                                   const DirectionTile* tiles, int32_t count, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return launch(diagonal_inputs_kernel, dim3(static_cast<unsigned>(count)), dim3(kProductThreads), 0, stream, settings,
                layers, seconds, tiles);
}

cudaError_t launch_diagonal_averages(const StepSettings* settings, const DeviceLayer* layers,
                                     const DirectionTile* tiles, int32_t count, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return launch(diagonal_averages_kernel, dim3(static_cast<unsigned>(count)), dim3(kProductThreads), 0, stream,
                settings, layers, tiles);
}

} // namespace lngd::cuda
