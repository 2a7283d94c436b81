// SPDX-License-Identifier: Apache-2.0
// The end of a tile of weighted_syrk: the sums of the groups of warps are added, and the tile is stored.
#ifndef LNGD_BACKEND_CUDA_SYRK_STORE_CUH
#define LNGD_BACKEND_CUDA_SYRK_STORE_CUH

#include "backend/cuda/syrk_load.cuh"

namespace lngd::cuda {

// Where a tile goes.
struct SyrkTarget {
  float* to; // row 0, column 0 of the tile
  int64_t ld;
  int rows;      // of the tile that exist
  bool diagonal; // the lower triangle only
  bool add;      // to what is there
};

// The sums of the groups of warps into those of the first, in order. All stages have been read and are free.
template <class Shape>
__device__ __forceinline__ void add_parts(const SyrkWarp& w, float* scratch, SyrkBlock (&acc)[Shape::kBlocks]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int kWarpFloats = Shape::kBlocks * 8 * 32;
  if (w.part > 0) {
    float4* const to =
        reinterpret_cast<float4*>(scratch + ((w.part - 1) * Shape::kRegions + w.region) * kWarpFloats) + lane;
#pragma unroll
    for (int block = 0; block < Shape::kBlocks; ++block)
#pragma unroll
      for (int odd = 0; odd < 2; ++odd) to[(2 * block + odd) * 32] = block_row(acc[block], odd);
  }
  __syncthreads();
  if (w.part > 0) return;
#pragma unroll 1
  for (int part = 1; part < Shape::kParts; ++part) {
    const float4* const from =
        reinterpret_cast<const float4*>(scratch + ((part - 1) * Shape::kRegions + w.region) * kWarpFloats) + lane;
#pragma unroll
    for (int block = 0; block < Shape::kBlocks; ++block)
#pragma unroll
      for (int odd = 0; odd < 2; ++odd) {
        const float4 x = from[(2 * block + odd) * 32];
        acc[block][0][2 * odd] += x.x;
        acc[block][1][2 * odd] += x.y;
        acc[block][0][2 * odd + 1] += x.z;
        acc[block][1][2 * odd + 1] += x.w;
      }
  }
}

__device__ __forceinline__ void store_one(float x, bool add, float* to) { *to = add ? *to + x : x; }

// From the registers of the first group, where positions are columns: 16 bytes at a time below the diagonal.
template <class Shape>
__device__ __forceinline__ void store_blocks(const SyrkWarp& w, const SyrkTarget& target,
                                             const SyrkBlock (&acc)[Shape::kBlocks]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  each_block<Shape>(w, [&](int block, int row0, int column0) {
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      const int row = row0 + lane / 4 * 2 + odd, column = column0 + lane % 4 * 4;
      if (row >= target.rows || (target.diagonal && column > row)) continue;
      float* const to = target.to + row * target.ld + column;
      const float4 x = block_row(acc[block], odd);
      if (!target.diagonal || column + 3 <= row) {
        float4& all = *reinterpret_cast<float4*>(to);
        const float4 old = target.add ? all : float4{};
        all = make_float4(old.x + x.x, old.y + x.y, old.z + x.z, old.w + x.w);
      } else {
        store_one(x.x, target.add, to);
        if (column + 1 <= row) store_one(x.y, target.add, to + 1);
        if (column + 2 <= row) store_one(x.z, target.add, to + 2);
      }
    }
  });
}

// The same where they are not: through shared memory in the order of the columns, so that rows of Phi are written along
// their elements. What is below the diagonal by position may be above it by column; it is stored as its mirror image.
template <class Shape>
__device__ void store_moved(const SyrkWarp& w, const SyrkTarget& target, const uint16_t* rows, const uint16_t* columns,
                            const SyrkBlock (&acc)[Shape::kBlocks], float* result) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  __syncthreads(); // the parts have been read
  if (w.part == 0)
    each_block<Shape>(w, [&](int block, int row0, int column0) {
#pragma unroll
      for (int odd = 0; odd < 2; ++odd) {
        const int at = row0 + lane / 4 * 2 + odd;
        if (at >= target.rows) continue;
        const int row = rows[at];
        const float4 four = block_row(acc[block], odd);
        const float x[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int from = column0 + lane % 4 * 4 + e;
          if (target.diagonal && from > at) continue;
          const int column = columns[from];
          const int high = max(row, column), low = min(row, column);
          result[target.diagonal ? high * (high + 1) / 2 + low : row * Shape::kTilePitch + column] = x[e];
        }
      }
    });
  __syncthreads();
  for (int row = warp; row < target.rows; row += kSyrkWarps) {
    const float* const from = result + (target.diagonal ? row * (row + 1) / 2 : row * Shape::kTilePitch);
    const int end = target.diagonal ? row + 1 : Shape::kTile;
    for (int column = lane; column < end; column += 32)
      store_one(from[column], target.add, target.to + row * target.ld + column);
  }
}

} // namespace lngd::cuda
#endif
