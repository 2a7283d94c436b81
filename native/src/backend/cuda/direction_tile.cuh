// SPDX-License-Identifier: Apache-2.0
// What the kernels that make a direction share: the gradient of a tile with its bias column as operand A of a product
// (tile_product.cuh), and the inner products of the tile with it.
#ifndef LNGD_BACKEND_CUDA_DIRECTION_TILE_CUH
#define LNGD_BACKEND_CUDA_DIRECTION_TILE_CUH

#include "backend/cuda/kernels.h"
#include "backend/cuda/tile_product.cuh"

namespace lngd::cuda {

static_assert(kDirectionRows == kProductRows && kDirectionColumns == kProductColumns, "a tile is a product");

// A layer's matrix with its bias column, seen from the first row of the tile and the first column of its block.
struct TileView {
  const float* data;
  int64_t rs, cs;
  const float* bias;
  int64_t bias_stride;
  int columns; // without the bias; may be negative

  __device__ TileView(const Strided& matrix, const Strided& vector, int inputs, int row, int column)
      : data(matrix.data + row * matrix.rs + column * matrix.cs),
        rs(matrix.rs),
        cs(matrix.cs),
        bias(vector.data + row * vector.rs),
        bias_stride(vector.rs),
        columns(inputs - column) {}

  __device__ __forceinline__ const float* at(int row, int k) const {
    return k < columns ? data + row * rs + k * cs : bias + row * bias_stride;
  }
};

// scale G + decay W, as operand A. `quads`: columns below this may be copied by fours; negative where G is not taken as
// it is. Scale and decay lie in shared memory, where they cost no register: the products have none to spare (one more
// spilled).
struct TileGradient {
  TileView g, w;
  const float* reading; // scale, decay
  const float* aligned;
  int rows, size, quads;

  __device__ __forceinline__ const float* find(int row, int k) const {
    return row < rows && k < size ? g.at(row, k) : nullptr;
  }
  __device__ __forceinline__ const float* find_quad(int row, int k) const {
    return row < rows && k + 3 < quads ? g.at(row, k) : nullptr;
  }
  __device__ __forceinline__ const float* anywhere() const { return aligned; }
  __device__ __forceinline__ bool computes() const { return quads < 0; }
  // The scaled gradient is rounded before anything is added, as if the caller had scaled it.
  __device__ __forceinline__ float value(int row, int k) const {
    if (!computes()) return *g.at(row, k);
    const float own = rounded_product(reading[0], *g.at(row, k)), decay = reading[1];
    return decay != 0.0f ? own + decay * *w.at(row, k) : own; // W is not read where it does not count
  }
};

// Fills TileGradient::reading, and returns its `quads`, of as many columns where G is taken as it is. By the whole
// block.
__device__ __forceinline__ int read_as(const StepSettings& settings, const DeviceLayer& layer, int columns,
                                       float (&reading)[2]) {
  const float scale = settings.gradients.factor, decay = coupled_decay(settings, layer.decay_multiplier);
  if (threadIdx.x == 0) reading[0] = scale, reading[1] = decay;
  __syncthreads();
  return decay == 0.0f && scale == 1.0f ? max(0, columns) : -1;
}

// Squares of floats leave float's range below 1e-19 and above 1e19.
__device__ __forceinline__ bool in_float_range(float square) { return square > 1e-30f && square < 1e30f; }

// A thread's elements of W of fragment i, all under way before the first is used: 16 of the 32, which the registers of
// the product have room for. Beyond the tile: one inside it, not to be used.
struct TileWeights {
  float at[2][4][2]; // as the fragments: high, j, e

  __device__ __forceinline__ TileWeights(const TileGradient& gradient, int i, int column0) {
#pragma unroll
    for (int high = 0; high < 2; ++high)
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          at[high][j][e] = *gradient.w.at(min(product_row(i, high), gradient.rows - 1),
                                          min(column0 + product_column(j) + e, gradient.size - 1));
  }
};

template <class T>
struct RowSums {
  T dg, dd, ww;
};

// A thread's up to 8 elements of one row. `kept`: where G lies in shared memory (first column), or nullptr.
template <class T>
__device__ __forceinline__ RowSums<T> row_sums(const TileGradient& gradient, const float (&d)[4][2],
                                               const float (&weights)[4][2], const float* kept, int row, int column0) {
  RowSums<T> sums{0, 0, 0};
#pragma unroll
  for (int j = 0; j < 4; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int column = column0 + product_column(j) + e;
      if (column >= gradient.size) continue;
      const T x = d[j][e];
      const T w = weights[j][e];
      sums.dg += x * static_cast<T>(kept ? kept[j * 8 + e] : gradient.value(row, column));
      sums.dd += x * x;
      sums.ww += w * w;
    }
  return sums;
}

// Stores a tile of D, the last product of two factors, and adds up as in precondition.cu.
__device__ inline DirectionSums store_direction(const DeviceLayer& layer, const DirectionTile& at,
                                                const TileGradient& gradient, bool active,
                                                const float (&acc)[2][4][4]) {
  DirectionSums sums{};
  if (!active) return sums;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int row = product_row(i, high);
      if (row >= gradient.rows) continue;
      float* const out = layer.direction + (at.row0 + row) * layer.ldw + at.column0;
      float d[4][2], w[4][2]; // W of a row at a time: of two, as precondition has it, would spill here
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) w[j][e] = *gradient.w.at(row, min(product_column(j) + e, gradient.size - 1));
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int column = product_column(j), left = gradient.size - column;
        d[j][0] = acc[i][j][2 * high];
        d[j][1] = acc[i][j][2 * high + 1];
        if (left > 1) {
          *reinterpret_cast<float2*>(out + column) = make_float2(d[j][0], d[j][1]);
        } else if (left > 0) {
          out[column] = d[j][0];
        }
      }
      const RowSums<float> quick = row_sums<float>(gradient, d, w, nullptr, row, 0);
      RowSums<double> exact{quick.dg, quick.dd, quick.ww};
      if (!in_float_range(quick.dd) || !in_float_range(quick.ww) || !(fabsf(quick.dg) < 1e30f))
        exact = row_sums<double>(gradient, d, w, nullptr, row, 0);
      sums.direction_gradient += exact.dg;
      sums.direction_direction += exact.dd;
      sums.weight_weight += exact.ww;
    }
  return sums;
}

// Over the block, always in the same order.
__device__ inline void store_sums(const DirectionSums& mine, DirectionSums (&of_warp)[kProductThreads / 32],
                                  DirectionSums* to) {
  const DirectionSums sums{warp_sum(mine.direction_gradient), warp_sum(mine.direction_direction),
                           warp_sum(mine.weight_weight), warp_sum(mine.direction_psi), warp_sum(mine.psi_gradient)};
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sums;
  __syncthreads();
  if (threadIdx.x != 0) return;
  DirectionSums total = of_warp[0];
  for (int warp = 1; warp < kProductThreads / 32; ++warp) {
    total.direction_gradient += of_warp[warp].direction_gradient;
    total.direction_direction += of_warp[warp].direction_direction;
    total.weight_weight += of_warp[warp].weight_weight;
    total.direction_psi += of_warp[warp].direction_psi;
    total.psi_gradient += of_warp[warp].psi_gradient;
  }
  *to = total;
}

} // namespace lngd::cuda
#endif
