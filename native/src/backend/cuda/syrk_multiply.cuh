// SPDX-License-Identifier: Apache-2.0
// The arithmetic of weighted_syrk: a tile of B^T B for B = diag(sqrt(r)) A, from rows of A in shared memory.
//
// Both operands are weighted by sqrt(r) and rounded after that, so that what is summed is a Gram matrix of the rounded
// B: positive semidefinite however coarse the rounding. r on one operand alone would save a third of the
// multiplications around the tensor cores, and leave a matrix that damping must first make definite again.
//
// The tile is cut into strips of 16 rows and fragments of 16 x 8. On the diagonal, strip s has 2 (s + 1) fragments that
// reach the lower triangle; a warp takes strips p and kStrips - 1 - p, so that all warps have the same work, and the
// rows of a chunk are shared out among kParts groups of warps, whose sums are added at the end.
#ifndef LNGD_BACKEND_CUDA_SYRK_MULTIPLY_CUH
#define LNGD_BACKEND_CUDA_SYRK_MULTIPLY_CUH

#include "backend/cuda/simt.cuh"
#include "backend/cuda/statistics.h"

namespace lngd::cuda {

constexpr int kSyrkThreads = 256;
constexpr int kSyrkStages = 3;
constexpr int kPartRows = 16; // of a chunk, for each warp

// Square: off-diagonal tiles as well, with columns of their own; otherwise diagonal tiles only.
template <int Tile, bool Square_>
struct SyrkShape {
  static constexpr int kTile = Tile;
  static constexpr bool kSquare = Square_;
  static constexpr int kStrips = Tile / 16;
  static constexpr int kPairs = kStrips / 2;
  static constexpr int kParts = kSyrkThreads / 32 / kPairs;
  static constexpr int kRows = kPartRows * kParts; // of a chunk
  static constexpr int kPitch = Tile + 8;          // 8 modulo 32: k-major reads are free of bank conflicts
  static constexpr int kColumns = 2 * kStrips;     // fragments side by side
  static constexpr int kOperand = kRows * kPitch;  // floats
  static constexpr int kStage =
      (Square_ ? 2 : 1) * kOperand + kRows; // columns of the tile's rows, of its columns; sqrt(r)
  // Of a warp: the high strip's come first; the low strip's fill the array from its end, since on the diagonal one
  // strip has as many more as the other has fewer.
  static constexpr int kFragments = Square_ ? 2 * kColumns : kColumns + 2;
  static constexpr __host__ __device__ int low(int j) { return Square_ ? kColumns + j : kColumns + 1 - j; }
  static constexpr int kLowMost = Square_ ? kColumns : kColumns / 2; // fragments of a low strip at most
  // A warp's sums, parked for another warp.
  static constexpr int kScratch = (kParts - 1) * kPairs * kFragments * 4 * 32;
  static constexpr size_t kSharedBytes =
      sizeof(float) * static_cast<size_t>(kSyrkStages * kStage > kScratch ? kSyrkStages * kStage : kScratch);
};

// What a warp does in a tile, and where its lane reads.
struct SyrkWarp {
  int part, pair;
  int low_row, high_row; // first rows of its strips
  int low, high;         // fragments of each
  int row, column;       // of an operand: of the part's rows, and of a strip
};

template <class Shape>
__device__ __forceinline__ SyrkWarp syrk_warp(bool diagonal, int size) {
  const int warp = __shfl_sync(kFullWarp, static_cast<int>(threadIdx.x) / 32, 0),
            lane = static_cast<int>(threadIdx.x) % 32;
  SyrkWarp w;
  w.part = warp / Shape::kPairs;
  w.pair = warp % Shape::kPairs;
  const int low = w.pair, high = Shape::kStrips - 1 - w.pair;
  w.low_row = low * 16;
  w.high_row = high * 16;
  w.low = w.low_row >= size ? 0 : diagonal ? 2 * (low + 1) : Shape::kColumns;
  w.high = w.high_row >= size ? 0 : diagonal ? 2 * (high + 1) : Shape::kColumns;
  w.row = w.part * kPartRows + lane % 4;
  w.column = lane / 4;
  return w;
}

// One stage as a warp sees it.
template <class Shape>
struct SyrkOperands {
  const float* rows;    // element (k, i) of the tile's rows at rows[k * kPitch + i], from this lane's place
  const float* columns; // the same of its columns
  const float* weights;

  __device__ __forceinline__ SyrkOperands(const SyrkWarp& w, const float* stage, bool diagonal)
      : rows(stage + w.row * Shape::kPitch + w.column),
        columns(rows + (diagonal ? 0 : Shape::kOperand)),
        weights(stage + (Shape::kSquare ? 2 : 1) * Shape::kOperand + w.row) {}

  // A(g, t) A(g+8, t) A(g, t+4) A(g+8, t+4) of a strip, for rows k .. k+7 of the chunk.
  __device__ __forceinline__ void strip(int k, int first, float (&x)[4]) const {
    const float* const at = rows + k * Shape::kPitch + first;
    const float near = weights[k], far = weights[k + 4];
    x[0] = near * at[0];
    x[1] = near * at[8];
    x[2] = far * at[4 * Shape::kPitch];
    x[3] = far * at[4 * Shape::kPitch + 8];
  }
  // B(t, g) B(t+4, g) of fragment j.
  __device__ __forceinline__ void fragment(int k, int j, float (&x)[2]) const {
    const float* const at = columns + k * Shape::kPitch + 8 * j;
    x[0] = weights[k] * at[0];
    x[1] = weights[k + 4] * at[4 * Shape::kPitch];
  }
};

template <int N>
__device__ __forceinline__ void round_tf32(const float (&x)[N], uint32_t (&bits)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) bits[i] = to_tf32(x[i]);
}

// x = high + low + what is below 2^-22 of x.
template <int N>
__device__ __forceinline__ void split_tf32(const float (&x)[N], uint32_t (&high)[N], uint32_t (&low)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
    high[i] = to_tf32(x[i]);
    low[i] = to_tf32(x[i] - __uint_as_float(high[i]));
  }
}

// Adds a warp's 16 rows of one stage to its sums.
template <class Shape, Precision P>
struct SyrkMultiply;

// Tensor cores truncate when they accumulate: over thousands of rows the sums shrink by about 2^-25 of themselves a
// step. In the two coarse modes that is far below the rounding of the operands, and the sums stay in the tensor cores.
template <class Shape>
struct SyrkMultiply<Shape, Precision::Tf32> {
  static __device__ __forceinline__ void add(const SyrkWarp& w, const SyrkOperands<Shape>& stage,
                                             float (&acc)[Shape::kFragments][4]) {
#pragma unroll
    for (int k = 0; k < kPartRows; k += 8) {
      float x[4];
      uint32_t low[4], high[4];
      stage.strip(k, w.low_row, x);
      round_tf32(x, low);
      stage.strip(k, w.high_row, x);
      round_tf32(x, high);
#pragma unroll
      for (int j = 0; j < Shape::kColumns; ++j) {
        if (j >= w.low && j >= w.high) continue;
        float y[2];
        uint32_t b[2];
        stage.fragment(k, j, y);
        round_tf32(y, b);
        if (j < w.high) mma_tf32(acc[j], high, b);
        if (j < Shape::kLowMost && j < w.low) mma_tf32(acc[Shape::low(j)], low, b);
      }
    }
  }
};

// Pairs of rows go into one register; which rows make a pair is free, as long as both operands agree: t with t + 4.
template <class Shape>
struct SyrkMultiply<Shape, Precision::Bfloat16> {
  static __device__ __forceinline__ void add(const SyrkWarp& w, const SyrkOperands<Shape>& stage,
                                             float (&acc)[Shape::kFragments][4]) {
    static_assert(kPartRows == 16, "one m16n8k16");
    uint32_t low[4], high[4];
    strip(stage, w.low_row, low);
    strip(stage, w.high_row, high);
#pragma unroll
    for (int j = 0; j < Shape::kColumns; ++j) {
      if (j >= w.low && j >= w.high) continue;
      float near[2], far[2];
      stage.fragment(0, j, near);
      stage.fragment(8, j, far);
      const uint32_t b[2] = {pack_bf16(near[0], near[1]), pack_bf16(far[0], far[1])};
      if (j < w.high) mma_bf16(acc[j], high, b);
      if (j < Shape::kLowMost && j < w.low) mma_bf16(acc[Shape::low(j)], low, b);
    }
  }
  static __device__ __forceinline__ void strip(const SyrkOperands<Shape>& stage, int first, uint32_t (&a)[4]) {
    float near[4], far[4];
    stage.strip(0, first, near);
    stage.strip(8, first, far);
    a[0] = pack_bf16(near[0], near[2]);
    a[1] = pack_bf16(near[1], near[3]);
    a[2] = pack_bf16(far[0], far[2]);
    a[3] = pack_bf16(far[1], far[3]);
  }
};

// 3xTF32: low high + high low + high high. The 16 rows are summed from zero and added in float, which rounds.
template <class Shape>
struct SyrkMultiply<Shape, Precision::TripleTf32> {
  static constexpr int kSteps = kPartRows / 8;

  static __device__ __forceinline__ void add(const SyrkWarp& w, const SyrkOperands<Shape>& stage,
                                             float (&acc)[Shape::kFragments][4]) {
    uint32_t low_high[kSteps][4], low_low[kSteps][4], high_high[kSteps][4], high_low[kSteps][4];
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      float x[4];
      stage.strip(8 * s, w.low_row, x);
      split_tf32(x, low_high[s], low_low[s]);
      stage.strip(8 * s, w.high_row, x);
      split_tf32(x, high_high[s], high_low[s]);
    }
#pragma unroll
    for (int j = 0; j < Shape::kColumns; ++j) {
      if (j >= w.low && j >= w.high) continue;
      uint32_t b_high[kSteps][2], b_low[kSteps][2];
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        float y[2];
        stage.fragment(8 * s, j, y);
        split_tf32(y, b_high[s], b_low[s]);
      }
      if (j < w.high) product(high_high, high_low, b_high, b_low, acc[j]);
      if (j < Shape::kLowMost && j < w.low) product(low_high, low_low, b_high, b_low, acc[Shape::low(j)]);
    }
  }
  static __device__ __forceinline__ void product(const uint32_t (&a_high)[kSteps][4],
                                                 const uint32_t (&a_low)[kSteps][4],
                                                 const uint32_t (&b_high)[kSteps][2],
                                                 const uint32_t (&b_low)[kSteps][2], float (&acc)[4]) {
    // The small products have a sum of their own: two chains of dependent instructions instead of one twice as long.
    float small[4] = {}, large[4] = {};
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      mma_tf32(small, a_low[s], b_high[s]);
      mma_tf32(large, a_high[s], b_high[s]);
      mma_tf32(small, a_high[s], b_low[s]);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) acc[e] += large[e] + small[e];
  }
};

// Multiply-adds of the CUDA cores on the same fragments: a lane has 2 rows of each strip and 2 columns of each
// fragment.
template <class Shape>
struct SyrkMultiply<Shape, Precision::Float32> {
  static __device__ __forceinline__ void add(const SyrkWarp& w, const SyrkOperands<Shape>& stage,
                                             float (&acc)[Shape::kFragments][4]) {
    const int t = static_cast<int>(threadIdx.x) % 4, g = w.column;
    // All lanes go through all rows: from the first row, and from column 2 t.
    const float* rows = stage.rows - t * Shape::kPitch;
    const float* columns = stage.columns - t * Shape::kPitch + 2 * t - g;
    const float* const weights = stage.weights - t;
#pragma unroll 2
    for (int k = 0; k < kPartRows; ++k, rows += Shape::kPitch, columns += Shape::kPitch) {
      const float weight = weights[k] * weights[k];
      const float low[2] = {weight * rows[w.low_row], weight * rows[w.low_row + 8]};
      const float high[2] = {weight * rows[w.high_row], weight * rows[w.high_row + 8]};
#pragma unroll
      for (int j = 0; j < Shape::kColumns; ++j) {
        if (j >= w.low && j >= w.high) continue;
        const float2 y = *reinterpret_cast<const float2*>(columns + 8 * j);
        if (j < w.high) product(high, y, acc[j]);
        if (j < Shape::kLowMost && j < w.low) product(low, y, acc[Shape::low(j)]);
      }
    }
  }
  static __device__ __forceinline__ void product(const float (&a)[2], const float2& y, float (&acc)[4]) {
    acc[0] = fmaf(a[0], y.x, acc[0]);
    acc[1] = fmaf(a[0], y.y, acc[1]);
    acc[2] = fmaf(a[1], y.x, acc[2]);
    acc[3] = fmaf(a[1], y.y, acc[3]);
  }
};

} // namespace lngd::cuda
#endif
