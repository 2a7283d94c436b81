// SPDX-License-Identifier: Apache-2.0
// precondition where Phi is diagonal: D_ij = psi_inv_i (G_ij phi_inv_j) and the inner products, in tiles of 64 x 128 as
// precondition has them, but without a product. Bound by memory: G and W read, D written, 12 bytes an element. A warp
// has 8 rows and 8 columns at once, so the caller's tensors are read in whole sectors whichever way they lie: a
// framework's table is vocabulary x m, so here it lies by columns.
#include "backend/cuda/direction_tile.cuh"
#include "backend/cuda/embedding.h"

namespace lngd::cuda {
namespace {

// The gradient and the weights of a thread's up to 8 elements of one row; 0 beyond the tile.
struct RowElements {
  float g[4][2], w[4][2], d[4][2];
};

__device__ __forceinline__ RowElements take_row(const TileGradient& gradient, const float* inverse, float psi_inverse,
                                                int row) {
  RowElements x;
#pragma unroll
  for (int j = 0; j < 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int column = product_column(j) + e;
      const bool inside = column < gradient.size;
      x.g[j][e] = inside ? gradient.value(row, column) : 0.0f;
      x.w[j][e] = inside ? *gradient.w.at(row, column) : 0.0f;
      x.d[j][e] = inside ? psi_inverse * (x.g[j][e] * inverse[column]) : 0.0f;
    }
  return x;
}

template <class T>
__device__ __forceinline__ RowSums<T> sums_of(const RowElements& x) {
  RowSums<T> sums{0, 0, 0};
#pragma unroll
  for (int j = 0; j < 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const T d = x.d[j][e], w = x.w[j][e];
      sums.dg += d * static_cast<T>(x.g[j][e]);
      sums.dd += d * d;
      sums.ww += w * w;
    }
  return sums;
}

__global__ void __launch_bounds__(kProductThreads)
    diagonal_precondition_kernel(const StepSettings* settings, const DeviceLayer* layers, const DirectionTile* tiles,
                                 DirectionSums* sums) {
  __shared__ DirectionSums of_warp[kProductThreads / 32];
  __shared__ float reading[2];
  const DirectionTile at = tiles[blockIdx.x];
  const DeviceLayer& layer = layers[at.layer];
  if (!layer.record->has_inverse) return; // the whole block; layer_rate skips the layer
  const int first = at.begin + at.column0;
  const TileView g(layer.weight_gradients, layer.bias_gradients, layer.inputs, at.row0, first);
  const TileView w(layer.weights, layer.bias, layer.inputs, at.row0, first);
  const TileGradient gradient{
      g, w, reading, nullptr, at.row_end - at.row0, at.size - at.column0, read_as(*settings, layer, 0, reading)};
  DirectionSums mine{};
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int row = product_row(i, high);
      if (row >= gradient.rows) continue;
      const float psi_inverse = layer.psi_inverse[at.row0 + row];
      const RowElements x = take_row(gradient, at.inverse + at.column0, psi_inverse, row);
      float* const out = layer.direction + (at.row0 + row) * layer.ldw + first;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int column = product_column(j), left = gradient.size - column;
        if (first % 2 == 0 && left > 1) {
          *reinterpret_cast<float2*>(out + column) = make_float2(x.d[j][0], x.d[j][1]);
        } else {
          if (left > 0) out[column] = x.d[j][0];
          if (left > 1) out[column + 1] = x.d[j][1];
        }
      }
      const RowSums<float> quick = sums_of<float>(x);
      RowSums<double> exact{quick.dg, quick.dd, quick.ww};
      if (!in_float_range(quick.dd) || !in_float_range(quick.ww) || !(fabsf(quick.dg) < 1e30f))
        exact = sums_of<double>(x);
      mine.direction_gradient += exact.dg;
      mine.direction_direction += exact.dd;
      mine.weight_weight += exact.ww;
      mine.direction_psi += exact.dd / static_cast<double>(psi_inverse);
      mine.psi_gradient += exact.dg * static_cast<double>(psi_inverse);
    }
  store_sums(mine, of_warp, sums + blockIdx.x);
}

} // namespace

cudaError_t prepare_diagonal_precondition() { return prepare_kernel(diagonal_precondition_kernel); }

cudaError_t launch_diagonal_precondition(const StepSettings* settings, const DeviceLayer* layers,
                                         const DirectionTile* tiles, int32_t tile_count, DirectionSums* sums,
                                         cudaStream_t stream) {
  if (tile_count == 0) return cudaSuccess;
  return launch(diagonal_precondition_kernel, dim3(static_cast<unsigned>(tile_count)), dim3(kProductThreads), 0, stream,
                settings, layers, tiles, sums);
}

} // namespace lngd::cuda
