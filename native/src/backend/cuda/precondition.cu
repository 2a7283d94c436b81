// SPDX-License-Identifier: Apache-2.0
// precondition: D = Psi_inv G Phi_inv (paper alg. 1, line 12), all layers of a plan in one launch.
//
// A block of 4 warps computes a tile of 64 x 64 of D as a GEMM over the columns of its diagonal block of Phi_inv, in
// slices of 32 that come by cp.async in two stages; then scales the rows by Psi_inv and takes every inner product that
// the layer rate and the trust ratio want, while D is still in registers.
//
// Precision is 3xTF32: x = high + low, both in TF32, and D += low high + high low + high high. Tensor cores truncate
// when they accumulate, so each slice starts from zero and is added in float (docs/kernels.md).
//
// Phi_inv is symmetric, so a slice of its rows is also a slice of its columns: both operands lie in shared memory along
// the summed index, which is what ldmatrix wants.
#include "backend/cuda/kernels.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kTile = kDirectionTile;
constexpr int kSlice = 32;
constexpr int kPitch = kSlice + 4; // floats; 8 rows of 16 bytes then fall into 32 different banks
constexpr int kStages = 2;
constexpr int kStageFloats = 2 * kTile * kPitch; // G, then Phi_inv
constexpr size_t kSharedBytes = size_t{kStages} * kStageFloats * sizeof(float);
static_assert(kSharedBytes <= 48 * 1024, "more has to be asked for");

// Element (row, column) of a layer's matrix with its bias column.
__device__ __forceinline__ const float* element(const Strided& matrix, const Strided& bias, int inputs, int row,
                                                int column) {
  return column < inputs ? matrix.data + row * matrix.rs + column * matrix.cs : bias.data + row * bias.rs;
}

// What a block works on.
struct Tile {
  const DeviceLayer& layer;
  const DirectionTile& at;
  float decay;

  __device__ bool inside(int row, int k) const { return at.row0 + row < layer.outputs && k < at.size; }

  __device__ const float* gradient_at(int row, int k) const {
    return element(layer.weight_gradients, layer.bias_gradients, layer.inputs, at.row0 + row, at.begin + k);
  }
  __device__ float weight(int row, int k) const {
    return *element(layer.weights, layer.bias, layer.inputs, at.row0 + row, at.begin + k);
  }
  __device__ float gradient(int row, int k) const {
    const float g = *gradient_at(row, k);
    return decay == 0.0f ? g : g + decay * weight(row, k); // W is not read where it does not count
  }
  // Whether four columns of G from a multiple of 4 can be copied at once.
  __device__ bool by_quads() const {
    const Strided& g = layer.weight_gradients;
    return decay == 0.0f && g.cs == 1 && g.rs % 4 == 0 && reinterpret_cast<uintptr_t>(g.data + at.begin) % 16 == 0;
  }
};

// Columns [k0, k0 + kSlice) of 64 rows of G into shared memory; 0 outside of the block.
__device__ void load_gradient(const Tile& tile, float* to, int k0, bool by_quads) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kSlice / 4; i += kThreads) {
    const int row = i / (kSlice / 4), k = i % (kSlice / 4) * 4;
    float* const shared = to + row * kPitch + k;
    const int inputs_left = tile.layer.inputs - tile.at.begin; // the bias column lies elsewhere
    if (by_quads && tile.inside(row, k0 + k + 3) && k0 + k + 3 < inputs_left) {
      cp_async_16(shared, tile.gradient_at(row, k0 + k));
      continue;
    }
    for (int j = 0; j < 4; ++j) {
      const bool inside = tile.inside(row, k0 + k + j);
      if (tile.decay == 0.0f) {
        cp_async_4(shared + j, inside ? tile.gradient_at(row, k0 + k + j) : tile.at.inverse, inside ? 4 : 0);
      } else {
        shared[j] = inside ? tile.gradient(row, k0 + k + j) : 0.0f;
      }
    }
  }
}

// The same columns of the 64 rows of Phi_inv that are the tile's columns.
__device__ void load_inverse(const Tile& tile, float* to, int k0) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kSlice / 4; i += kThreads) {
    const int row = i / (kSlice / 4), k = i % (kSlice / 4) * 4;
    const int valid = tile.at.column0 + row < tile.at.size ? max(0, min(4, tile.at.size - k0 - k)) : 0;
    const float* const from = tile.at.inverse + (tile.at.column0 + row) * tile.at.ld + k0 + k;
    cp_async_16(to + row * kPitch + k, valid > 0 ? from : tile.at.inverse, 4 * valid);
  }
}

__device__ void load_stage(const Tile& tile, float* stage, int k0, bool by_quads) {
  load_gradient(tile, stage, k0, by_quads);
  load_inverse(tile, stage + kTile * kPitch, k0);
}

// x = high + low + what is below 2^-22 of x.
template <int N>
__device__ __forceinline__ void split(const uint32_t (&x)[N], uint32_t (&high)[N], uint32_t (&low)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const float value = __uint_as_float(x[i]);
    high[i] = to_tf32(value);
    low[i] = to_tf32(value - __uint_as_float(high[i]));
  }
}

// A warp's 32 x 32 of the product of one stage, into sums that start from zero.
__device__ __forceinline__ void multiply_stage(const float* stage, float (&acc)[2][4][4]) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const float* const a = stage + (warp / 2 * 32 + lane % 16) * kPitch + lane / 16 * 4;
  const float* const b = stage + (kTile + warp % 2 * 32 + lane / 16 * 8 + lane % 8) * kPitch + lane / 8 % 2 * 4;
  float part[2][4][4] = {};
#pragma unroll
  for (int k = 0; k < kSlice; k += 8) {
    uint32_t a_high[2][4], a_low[2][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint32_t x[4];
      ldmatrix_x4(x, a + i * 16 * kPitch + k);
      split(x, a_high[i], a_low[i]);
    }
#pragma unroll
    for (int j = 0; j < 4; j += 2) {
      uint32_t x[4];
      ldmatrix_x4(x, b + j * 8 * kPitch + k);
      uint32_t high[4], low[4];
      split(x, high, low);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t b_high[2] = {high[2 * half], high[2 * half + 1]}, b_low[2] = {low[2 * half], low[2 * half + 1]};
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          mma_tf32(part[i][j + half], a_low[i], b_high);
          mma_tf32(part[i][j + half], a_high[i], b_low);
          mma_tf32(part[i][j + half], a_high[i], b_high);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) acc[i][j][e] += part[i][j][e];
}

// Scales, stores, and adds up in double: squares of floats leave float's range, and both cards have the units.
__device__ DirectionSums finish(const Tile& tile, const float (&acc)[2][4][4]) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  DirectionSums sums{};
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int row = warp / 2 * 32 + i * 16 + high * 8 + lane / 4;
      if (tile.at.row0 + row >= tile.layer.outputs) continue;
      const float psi_inverse = tile.layer.psi_inverse[tile.at.row0 + row];
      float* const out = tile.layer.direction + (tile.at.row0 + row) * tile.layer.ldw + tile.at.begin;
      double dg = 0, dd = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int column = tile.at.column0 + warp % 2 * 32 + j * 8 + lane % 4 * 2 + e;
          if (column >= tile.at.size) continue;
          const float d = psi_inverse * acc[i][j][2 * high + e];
          const double w = static_cast<double>(tile.weight(row, column));
          out[column] = d;
          dg += static_cast<double>(d) * static_cast<double>(tile.gradient(row, column));
          dd += static_cast<double>(d) * static_cast<double>(d);
          sums.weight_weight += w * w;
        }
      sums.direction_gradient += dg;
      sums.direction_direction += dd;
      sums.direction_psi += dd / static_cast<double>(psi_inverse);
      sums.psi_gradient += dg * static_cast<double>(psi_inverse);
    }
  return sums;
}

// Over the block, always in the same order.
__device__ void store_sums(const DirectionSums& mine, DirectionSums* to) {
  __shared__ DirectionSums of_warp[kThreads / 32];
  const DirectionSums sums{warp_sum(mine.direction_gradient), warp_sum(mine.direction_direction),
                           warp_sum(mine.weight_weight), warp_sum(mine.direction_psi), warp_sum(mine.psi_gradient)};
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sums;
  __syncthreads();
  if (threadIdx.x != 0) return;
  DirectionSums total = of_warp[0];
  for (int warp = 1; warp < kThreads / 32; ++warp) {
    total.direction_gradient += of_warp[warp].direction_gradient;
    total.direction_direction += of_warp[warp].direction_direction;
    total.weight_weight += of_warp[warp].weight_weight;
    total.direction_psi += of_warp[warp].direction_psi;
    total.psi_gradient += of_warp[warp].psi_gradient;
  }
  *to = total;
}

__global__ void __launch_bounds__(kThreads)
    precondition_kernel(const DeviceLayer* layers, const DirectionTile* tiles, float decay, DirectionSums* sums) {
  SIMT_DYNAMIC_SHARED(float, stages);
  const DirectionTile& at = tiles[blockIdx.x];
  const Tile tile{layers[at.layer], at, decay};
  if (!tile.layer.record->has_inverse) return; // the whole block; layer_rate skips the layer
  const bool by_quads = tile.by_quads();
  const int slices = (at.size + kSlice - 1) / kSlice;
  float acc[2][4][4] = {};
  load_stage(tile, stages, 0, by_quads);
  cp_async_commit();
  for (int s = 0; s < slices; ++s) {
    if (s + 1 < slices) load_stage(tile, stages + (s + 1) % kStages * kStageFloats, (s + 1) * kSlice, by_quads);
    cp_async_commit(); // an empty group at the end, so that the wait below always means the same
    cp_async_wait<1>();
    __syncthreads();
    multiply_stage(stages + s % kStages * kStageFloats, acc);
    __syncthreads(); // the next turn loads into this stage
  }
  store_sums(finish(tile, acc), sums + blockIdx.x);
}

} // namespace

cudaError_t launch_precondition(const DeviceLayer* layers, const DirectionTile* tiles, int32_t tile_count, float decay,
                                DirectionSums* sums, cudaStream_t stream) {
  if (tile_count == 0) return cudaSuccess;
  return launch(precondition_kernel, dim3(static_cast<unsigned>(tile_count)), dim3(kThreads), kSharedBytes, stream,
                layers, tiles, decay, sums);
}

} // namespace lngd::cuda
