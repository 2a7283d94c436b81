// SPDX-License-Identifier: Apache-2.0
// precondition where the second factor is a matrix: D = B^-1 (G A^-1), all layers of a plan, in two launches or three
// of tiles of 64 x 128 (tile_product.cuh):
//
//   input_product    X = G A^-1     the rows of one diagonal block of A, as in LNGD; of a diagonal A in
//                                   diagonal_inputs.cu, a launch of its own
//   output_product   D = B^-1 X     the rows of one diagonal block of B; then <D, G>, ||D||^2 and ||W||^2
//
// X is written transposed, so that the second product finds both operands along its summed index and copies them by
// quads. X has memory of its own: D in its place would be read by other tiles of its columns. The other order, (B^-1 G)
// A^-1, has the same cost and would read G, whose strides are the caller's, along its rows.
#include "backend/cuda/diagonal_inputs.h"
#include "backend/cuda/direction_tile.cuh"

namespace lngd::cuda {
namespace {

constexpr int kColumnPitch = kProductRows + 4; // of the tile's columns in shared memory; 4: few bank conflicts
static_assert(size_t{kProductColumns} * kColumnPitch * sizeof(float) <= kProductBytes, "in the product's memory");

// A tile of X to X^T, by way of shared memory: a warp then writes 32 rows of a column side by side, and the product
// keeps the registers that 32 predicated stores and their addresses would take (they spill).
__device__ void store_transposed(const DirectionTile& at, const SecondTables& seconds, float* shared,
                                 const float (&acc)[2][4][4]) {
  __syncthreads(); // the last slices have been read
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high)
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          shared[(product_column(j) + e) * kColumnPitch + product_row(i, high)] = acc[i][j][2 * high + e];
  __syncthreads();
  const SecondLayer& second = seconds.layers[at.layer];
  const int group = at.row0 / second.rows, row0 = at.row0 - group * second.rows;
  const int rows = min(kProductRows, at.row_end - at.row0), columns = min(kProductColumns, at.size - at.column0);
  float* const out =
      seconds.products + second.first + (int64_t{group} * second.columns + at.begin + at.column0) * second.ld;
  const int row = static_cast<int>(threadIdx.x) % kProductRows;
  if (row >= rows) return;
  const int64_t place = place_of(second, row0 + row);
  for (int column = static_cast<int>(threadIdx.x) / kProductRows; column < columns;
       column += kProductThreads / kProductRows)
    out[column * second.ld + place] = shared[column * kColumnPitch + row];
}

__global__ void __launch_bounds__(kProductThreads, 2)
    input_product_kernel(const StepSettings* settings, const DeviceLayer* layers, const SecondTables seconds,
                         const DirectionTile* tiles) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ float reading[2];
  const DirectionTile at = tiles[blockIdx.x];
  const DeviceLayer& layer = layers[at.layer];
  if (!layer.record->has_inverse) return; // the whole block; layer_rate skips the layer
  const TileView g(layer.weight_gradients, layer.bias_gradients, layer.inputs, at.row0, at.begin);
  const TileView w(layer.weights, layer.bias, layer.inputs, at.row0, at.begin);
  const TileGradient gradient{g,
                              w,
                              reading,
                              at.inverse,
                              at.row_end - at.row0,
                              at.size,
                              read_as(*settings, layer, min(g.columns, at.size), reading)};
  const Along way = along(g.data, g.rs, g.cs);
  const float* const inverse = at.inverse + at.column0 * at.ld;
  const int columns = at.size - at.column0, warp = static_cast<int>(threadIdx.x) / 32;
  float acc[2][4][4] = {};
  multiply_tile(
      shared, (at.size + kSlice - 1) / kSlice, warp / 4 * 32 < gradient.rows && warp % 4 * 32 < columns,
      [&](float* slot, int k0) { load_rows(gradient, way, slot, k0); },
      [&](float* slot, int k0) { load_columns(inverse, at.ld, columns, at.size, slot, k0); }, acc);
  store_transposed(at, seconds, shared, acc);
}

// Columns [k0, k0 + kSlice) of the tile's first `rows` rows of a symmetric matrix with aligned rows; 0 beyond.
__device__ __forceinline__ void load_inverse(const float* b, int64_t ld, int rows, int columns, float* to, int k0) {
  for (int i = static_cast<int>(threadIdx.x); i < kProductRows * kSlice / 4; i += kProductThreads) {
    const int row = i / (kSlice / 4), k = i % (kSlice / 4) * 4;
    const int valid = row < rows ? max(0, min(4, columns - k0 - k)) : 0;
    cp_async_16(to + row * kPitch + k, valid > 0 ? b + row * ld + k0 + k : b, 4 * valid);
  }
}

__global__ void __launch_bounds__(kProductThreads, 2)
    output_product_kernel(const StepSettings* settings, const DeviceLayer* layers, const SecondTables seconds,
                          const DirectionTile* tiles, DirectionSums* sums) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ DirectionSums of_warp[kProductThreads / 32];
  __shared__ float reading[2];
  const DirectionTile at = tiles[blockIdx.x];
  const DeviceLayer& layer = layers[at.layer];
  if (!layer.record->has_inverse) return; // the whole block
  const SecondLayer& second = seconds.layers[at.layer];
  const int group = at.row0 / second.rows, row0 = at.row0 - group * second.rows; // of the layer's group
  const float* const rows = at.inverse + (row0 - at.begin) * at.ld;
  const float* const product = seconds.products + second.first +
                               (int64_t{group} * second.columns + at.column0) * second.ld + place_of(second, at.begin);
  const int height = min(kProductRows, at.row_end - at.row0), columns = second.columns - at.column0;
  float acc[2][4][4] = {};
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const bool active = warp / 4 * 32 < height && warp % 4 * 32 < columns;
  multiply_tile(
      shared, (at.size + kSlice - 1) / kSlice, active,
      [&](float* slot, int k0) { load_inverse(rows, at.ld, height, at.size, slot, k0); },
      [&](float* slot, int k0) { load_columns(product, second.ld, columns, at.size, slot, k0); }, acc);
  const TileView g(layer.weight_gradients, layer.bias_gradients, layer.inputs, at.row0, at.column0);
  const TileView w(layer.weights, layer.bias, layer.inputs, at.row0, at.column0);
  const TileGradient gradient{g, w, reading, nullptr, height, columns, read_as(*settings, layer, 0, reading)};
  store_sums(store_direction(layer, at, gradient, active, acc), of_warp, sums + blockIdx.x);
}

} // namespace

SecondLayer second_layer(const LayerShape& shape, int64_t first) {
  SecondLayer second{};
  second.first = first;
  second.ld = shape.second.group_blocks() * padded(shape.second.block);
  second.rows = static_cast<int32_t>(shape.second.d);
  second.columns = static_cast<int32_t>(shape.d);
  second.block = static_cast<int32_t>(shape.second.block);
  second.padded_block = static_cast<int32_t>(padded(shape.second.block));
  return second;
}

void append_output_tiles(int32_t index, const LayerShape& shape, const float* inverse,
                         std::vector<DirectionTile>& tiles) {
  const BlockLayout& blocks = shape.second;
  for (int64_t k = 0; k < blocks.count(); ++k) {
    const auto begin = static_cast<int32_t>(blocks.begin(k)), size = static_cast<int32_t>(blocks.size(k));
    const auto first = static_cast<int32_t>(blocks.group(k) * blocks.d) + begin;
    for (int32_t column = 0; column < shape.d; column += kDirectionColumns)
      for (int32_t row = 0; row < size; row += kDirectionRows)
        tiles.push_back(
            {inverse + blocks.offset(k), blocks.ld(k), index, 0, begin, size, first + row, first + size, column});
  }
}

cudaError_t prepare_dense_precondition() {
  const cudaError_t error = prepare_product(input_product_kernel);
  return error != cudaSuccess ? error : prepare_product(output_product_kernel);
}

cudaError_t launch_dense_precondition(const StepSettings* settings, const DeviceLayer* layers,
                                      const SecondTables& seconds, const DirectionTile* input_tiles, int32_t inputs,
                                      const DirectionTile* output_tiles, int32_t outputs,
                                      const DirectionTile* diagonal_tiles, int32_t diagonals, DirectionSums* sums,
                                      cudaStream_t stream) {
  if (outputs == 0) return cudaSuccess;
  cudaError_t error = launch_diagonal_inputs(settings, layers, seconds, diagonal_tiles, diagonals, stream);
  if (error == cudaSuccess && inputs > 0)
    error = launch(input_product_kernel, dim3(static_cast<unsigned>(inputs)), dim3(kProductThreads), kProductBytes,
                   stream, settings, layers, seconds, input_tiles);
  if (error != cudaSuccess) return error;
  return launch(output_product_kernel, dim3(static_cast<unsigned>(outputs)), dim3(kProductThreads), kProductBytes,
                stream, settings, layers, seconds, output_tiles, sums);
}

} // namespace lngd::cuda
