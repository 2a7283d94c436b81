// SPDX-License-Identifier: Apache-2.0
// precondition: D = Psi_inv G Phi_inv (paper alg. 1, line 12), all layers of a plan in one launch.
//
// A block of threads computes a tile of 64 x 128 of D as a product over the columns of its diagonal block of Phi_inv
// (tile_product.cuh: sizes and stages with their reasons); then scales the rows by Psi_inv and takes every inner
// product that the layer rate and the trust ratio want, while D is still in registers.
//
// Phi_inv is symmetric, so a slice of its rows is also a slice of its columns: both operands lie in shared memory along
// the summed index, which is what ldmatrix wants.
#include "backend/cuda/direction_tile.cuh"

namespace lngd::cuda {
namespace {

// Blocks whose W is asked for before the product. In that of a larger one it would leave the second cache again before
// it is read, and its latency, once a tile, is nothing beside hundreds of slices.
constexpr int kPrefetchedSize = 512;

// W of the tile into the second cache, a sector at a time, where it has unit stride one way; `columns`: of the tile,
// which begins at column0 of the block. W is read once, after the product, and would come from device memory then, with
// nothing else to do meanwhile. Rejected: copying it into shared memory (32 KiB more, one block on a multiprocessor of
// an A100 instead of two) and into registers (32 more beside the fragments).
__device__ __forceinline__ void prefetch_weights(const TileView& w, int rows, int column0, int columns) {
  const int thread = static_cast<int>(threadIdx.x);
  if (w.cs == 1) {
    for (int k = thread % 4 * 8; k < columns; k += 32)
      if (thread / 4 < rows) prefetch_l2(w.at(thread / 4, column0 + k));
  } else if (w.rs == 1) {
    for (int row = thread % 2 * 8; row < rows; row += 16)
      if (thread / 2 < columns) prefetch_l2(w.at(row, column0 + thread / 2));
  }
}

// Scales, stores, and adds up. Eight products in float, the rest in double: a multiprocessor converts 16 numbers a
// cycle to double (CUDA's throughput table, 8.0 and 9.0), and three for each element would take 1536 cycles a tile, a
// quarter of the product's. Where the float sums leave float's range they are taken again in double.
__device__ DirectionSums finish(const DeviceLayer& layer, const DirectionTile& at, const TileGradient& gradient,
                                const float* shared, bool active, const float (&acc)[2][4][4]) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const bool pairs = at.begin % 2 == 0; // rows of D begin at multiples of 64 bytes
  DirectionSums sums{};
  if (!active) return sums;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const TileWeights weights(gradient, i, at.column0);
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int row = product_row(i, high);
      if (row >= gradient.rows) continue;
      const float psi_inverse = layer.psi_inverse[at.row0 + row];
      float* const out = layer.direction + (at.row0 + row) * layer.ldw + at.begin + at.column0;
      // Slice `warp % 4` of G has the columns of this warp.
      const float* const kept =
          at.size <= kRowSlots * kSlice ? shared + warp % 4 * kRowSlot + row * kPitch + lane % 4 * 2 : nullptr;
      float d[4][2];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int column = product_column(j), left = at.size - at.column0 - column;
        d[j][0] = psi_inverse * acc[i][j][2 * high];
        d[j][1] = psi_inverse * acc[i][j][2 * high + 1];
        if (pairs && left > 1) {
          *reinterpret_cast<float2*>(out + column) = make_float2(d[j][0], d[j][1]);
        } else {
          if (left > 0) out[column] = d[j][0];
          if (left > 1) out[column + 1] = d[j][1];
        }
      }
      const RowSums<float> quick = row_sums<float>(gradient, d, weights.at[high], kept, row, at.column0);
      RowSums<double> exact{quick.dg, quick.dd, quick.ww};
      if (!in_float_range(quick.dd) || !in_float_range(quick.ww) || !(fabsf(quick.dg) < 1e30f))
        exact = row_sums<double>(gradient, d, weights.at[high], kept, row, at.column0);
      sums.direction_gradient += exact.dg;
      sums.direction_direction += exact.dd;
      sums.weight_weight += exact.ww;
      sums.direction_psi += exact.dd / static_cast<double>(psi_inverse);
      sums.psi_gradient += exact.dg * static_cast<double>(psi_inverse);
    }
  }
  return sums;
}

template <Products Count>
__global__ void __launch_bounds__(kProductThreads, 2)
    precondition_kernel(const StepSettings* settings, const DeviceLayer* layers, const DirectionTile* tiles,
                        DirectionSums* sums) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ DirectionSums of_warp[kProductThreads / 32];
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
  const int columns = at.size - at.column0;
  if (at.size <= kPrefetchedSize)
    prefetch_weights(w, min(gradient.rows, kProductRows), at.column0, min(columns, kProductColumns));
  float acc[2][4][4] = {};
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const bool active = warp / 4 * 32 < gradient.rows && warp % 4 * 32 < columns;
  multiply_tile<Count>(
      shared, (at.size + kSlice - 1) / kSlice, active, [&](float* slot, int k0) { load_rows(gradient, way, slot, k0); },
      [&](float* slot, int k0) { load_columns(inverse, at.ld, columns, at.size, slot, k0); }, acc);
  store_sums(finish(layer, at, gradient, shared, active, acc), of_warp, sums + blockIdx.x);
}

} // namespace

cudaError_t prepare_precondition() {
  const cudaError_t error = prepare_product(precondition_kernel<Products::Three>);
  return error != cudaSuccess ? error : prepare_product(precondition_kernel<Products::One>);
}

cudaError_t launch_precondition(const StepSettings* settings, const DeviceLayer* layers, const DirectionTile* tiles,
                                int32_t tile_count, DirectionSums* sums, Precision precision, cudaStream_t stream) {
  if (tile_count == 0) return cudaSuccess;
  const bool one = precision == Precision::Tf32;
  return launch(one ? precondition_kernel<Products::One> : precondition_kernel<Products::Three>,
                dim3(static_cast<unsigned>(tile_count)), dim3(kProductThreads), kProductBytes, stream, settings, layers,
                tiles, sums);
}

} // namespace lngd::cuda
