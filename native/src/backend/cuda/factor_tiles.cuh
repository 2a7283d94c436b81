// SPDX-License-Identifier: Apache-2.0
// What factor_inverse is made of: a warp's work on tiles of 32 x 32 floats in shared memory.
//
//   warp_invert_diagonal   A = L L^T of one tile, and X = L^-1 in its place, in registers
//   warp_nt, warp_nn, warp_tn   sums of A B^T, A B and A^T B over 32 columns (rows) of the summed index
//
// Always float with fused multiply-add. A lane sums 4 x 8 elements: 32 FMA for 3 loads of 16 bytes. Larger pieces would
// need fewer loads but leave half of the registers' worth of warps on a multiprocessor, and the factorisation of a
// diagonal tile is a chain of dependent operations that only other warps can fill.
//
// A row of a tile takes 36 floats: 8 rows of 16 bytes then fall into 32 different banks, whichever operand is read
// along its rows.
#ifndef LNGD_BACKEND_CUDA_FACTOR_TILES_CUH
#define LNGD_BACKEND_CUDA_FACTOR_TILES_CUH

#include <cfloat>

#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

constexpr int kTile = 32;
constexpr int kTilePitch = kTile + 4;
constexpr int kTileFloats = kTile * kTilePitch;

__device__ __forceinline__ int lane_id() { return static_cast<int>(threadIdx.x) % 32; }
__device__ __forceinline__ int warp_id() { return static_cast<int>(threadIdx.x) / 32; }

// Rows of a piece for one operand, columns for the other. Eight neighbours among the lanes have eight values of `ty`:
// they are served together.
__device__ __forceinline__ int lane_ty() { return lane_id() % 8; }
__device__ __forceinline__ int lane_tx() { return lane_id() / 8; }

__device__ __forceinline__ float4 load4(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ __forceinline__ void store4(float* p, float a, float b, float c, float d) {
  *reinterpret_cast<float4*>(p) = make_float4(a, b, c, d);
}

// A lane's 4 x 8 elements of a product. Where they lie depends on how the operands lie:
//   warp_nt, warp_nn  row ty + 8 x, column 4 tx + y % 4 + 16 (y / 4)
//   warp_tn           row 4 ty + x, column 4 tx + y % 4 + 16 (y / 4)
using Piece = float[4][8];

// piece += A B^T over kTile columns of both.
template <int kPitchA, int kPitchB>
__device__ __forceinline__ void warp_nt(const float* a, const float* b, Piece& piece) {
  a += lane_ty() * kPitchA;
  b += 4 * lane_tx() * kPitchB;
#pragma unroll 1
  for (int k = 0; k < kTile; k += 4) {
    float4 left[4];
#pragma unroll
    for (int x = 0; x < 4; ++x) left[x] = load4(a + 8 * x * kPitchA + k);
#pragma unroll
    for (int y = 0; y < 8; ++y) {
      const float4 right = load4(b + (y % 4 + 16 * (y / 4)) * kPitchB + k);
#pragma unroll
      for (int x = 0; x < 4; ++x) piece[x][y] = fmaf(left[x].x, right.x, piece[x][y]);
#pragma unroll
      for (int x = 0; x < 4; ++x) piece[x][y] = fmaf(left[x].y, right.y, piece[x][y]);
#pragma unroll
      for (int x = 0; x < 4; ++x) piece[x][y] = fmaf(left[x].z, right.z, piece[x][y]);
#pragma unroll
      for (int x = 0; x < 4; ++x) piece[x][y] = fmaf(left[x].w, right.w, piece[x][y]);
    }
  }
}

__device__ __forceinline__ void add_outer(const float (&left)[4], const float4& low, const float4& high, Piece& piece) {
  const float right[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; ++y) piece[x][y] = fmaf(left[x], right[y], piece[x][y]);
}

// piece += A B over kTile columns of A and rows of B.
template <int kPitchA, int kPitchB>
__device__ __forceinline__ void warp_nn(const float* a, const float* b, Piece& piece) {
  a += lane_ty() * kPitchA;
  b += 4 * lane_tx();
#pragma unroll 1
  for (int k = 0; k < kTile; k += 4) {
    float4 left[4];
#pragma unroll
    for (int x = 0; x < 4; ++x) left[x] = load4(a + 8 * x * kPitchA + k);
    const float columns[4][4] = {{left[0].x, left[1].x, left[2].x, left[3].x},
                                 {left[0].y, left[1].y, left[2].y, left[3].y},
                                 {left[0].z, left[1].z, left[2].z, left[3].z},
                                 {left[0].w, left[1].w, left[2].w, left[3].w}};
#pragma unroll
    for (int j = 0; j < 4; ++j)
      add_outer(columns[j], load4(b + (k + j) * kPitchB), load4(b + (k + j) * kPitchB + 16), piece);
  }
}

// piece += A^T B over kTile rows of both.
template <int kPitchA, int kPitchB>
__device__ __forceinline__ void warp_tn(const float* a, const float* b, Piece& piece) {
  a += 4 * lane_ty();
  b += 4 * lane_tx();
#pragma unroll 2
  for (int k = 0; k < kTile; ++k) {
    const float4 left = load4(a + k * kPitchA);
    const float column[4] = {left.x, left.y, left.z, left.w};
    add_outer(column, load4(b + k * kPitchB), load4(b + k * kPitchB + 16), piece);
  }
}

__device__ __forceinline__ void clear(Piece& piece) {
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; ++y) piece[x][y] = 0.0f;
}

// A tile of a symmetric positive definite matrix (its lower triangle is read) becomes X = L^-1 with zeros above the
// diagonal. `factor`, where it is not nullptr, gets the rows and columns below `valid` of L. Returns the first bad
// pivot or -1, the same in all lanes; after a bad one the tile is worthless.
//
// Gaussian elimination on A beside the identity I:
//
//   [A | I]  ->  [D L1^T | L1^-1],   A = L1 D L1^T,   L = L1 D^1/2,   X = D^-1/2 L1^-1
//
// Lane c holds column c of A until step c, when that column is used up, and column c of L1^-1 from then on, in the same
// 32 registers: one sweep of 32 steps gives both factors. What a step must wait for is one shuffle, the reciprocal root
// and two operations (about 60 cycles); the other shuffles of a step, multipliers of rows further down, do not wait for
// the pivot. Dividing out D at the end of a step keeps the root's error (2 units in the last place) out of the chain: L
// and what is subtracted are made with the same one.
//
// A pivot below the smallest normal number is as bad as one of 0: its inverse may not be a float, and the CPU backend
// flushes such numbers to 0.
__device__ __forceinline__ int warp_invert_diagonal(float* tile, float* factor, int64_t ld, int valid) {
  const int lane = lane_id();
  float v[kTile];
#pragma unroll
  for (int i = 0; i < kTile; ++i) v[i] = i >= lane ? tile[i * kTilePitch + lane] : tile[lane * kTilePitch + i];
  __syncwarp(); // the tile has been read
  float* const kept = factor != nullptr && lane < valid ? factor + lane * ld : nullptr;
  float mine = 0; // lane k's pivot
#pragma unroll
  for (int k = 0; k < kTile; ++k) {
    const float pivot = __shfl_sync(kFullWarp, v[k], k);
    if (lane == k) mine = pivot;
    const float root = rsqrtf(pivot);
    const float row = lane == k ? 1.0f : v[k]; // above the diagonal of A, or below that of L1^-1
    const float scaled = row * (root * root);
#pragma unroll
    for (int i = k + 1; i < kTile; ++i) {
      const float multiplier = __shfl_sync(kFullWarp, v[i], k);
      v[i] = fmaf(-multiplier, scaled, lane == k ? 0.0f : v[i]);
    }
    tile[k * kTilePitch + lane] = lane <= k ? row * root : 0.0f;                       // X(k, lane)
    if (kept != nullptr && lane >= k) kept[k] = lane == k ? pivot * root : row * root; // L(lane, k)
  }
  __syncwarp();
  const unsigned bad = __ballot_sync(kFullWarp, !(mine >= FLT_MIN && mine <= FLT_MAX));
  return __ffs(static_cast<int>(bad)) - 1;
}

// Columns [16 half, 16 half + 16) of -X T in the place of those of T, X lower triangular.
__device__ __forceinline__ void warp_solve_row(const float* x, float* t, int half) {
  const int ty = lane_ty();
  float* const columns = t + 16 * half + 4 * lane_tx();
  const float* const rows = x + ty * kTilePitch;
  float sum[4][4] = {};
#pragma unroll
  for (int k = 0; k < kTile; k += 4) {
    float right[4][4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float4 r = load4(columns + (k + j) * kTilePitch);
      right[j][0] = r.x, right[j][1] = r.y, right[j][2] = r.z, right[j][3] = r.w;
    }
#pragma unroll
    for (int i = k / 8; i < 4; ++i) { // rows above the k-th have zeros here
      const float4 l = load4(rows + 8 * i * kTilePitch + k);
#pragma unroll
      for (int y = 0; y < 4; ++y) {
        sum[i][y] = fmaf(-l.x, right[0][y], sum[i][y]);
        sum[i][y] = fmaf(-l.y, right[1][y], sum[i][y]);
        sum[i][y] = fmaf(-l.z, right[2][y], sum[i][y]);
        sum[i][y] = fmaf(-l.w, right[3][y], sum[i][y]);
      }
    }
  }
  __syncwarp(); // no other warp reads these columns
#pragma unroll
  for (int i = 0; i < 4; ++i) store4(columns + (ty + 8 * i) * kTilePitch, sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
}

// Rows [16 half, 16 half + 16) of A X^T into those of `to`, X lower triangular: L_ik = A_ik L_kk^-T.
__device__ __forceinline__ void warp_solve_column(const float* x, const float* a, float* to, int half) {
  const int column = lane_id() % 8, row = 16 * half + lane_id() / 8;
  const float* const left_rows = a + row * kTilePitch;
  const float* const right_rows = x + column * kTilePitch;
  float sum[4][4] = {};
#pragma unroll
  for (int k = 0; k < kTile; k += 4) {
    float4 left[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) left[i] = load4(left_rows + 4 * i * kTilePitch + k);
#pragma unroll
    for (int j = k / 8; j < 4; ++j) {
      const float4 r = load4(right_rows + 8 * j * kTilePitch + k);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sum[i][j] = fmaf(left[i].x, r.x, sum[i][j]);
        sum[i][j] = fmaf(left[i].y, r.y, sum[i][j]);
        sum[i][j] = fmaf(left[i].z, r.z, sum[i][j]);
        sum[i][j] = fmaf(left[i].w, r.w, sum[i][j]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) to[(row + 4 * i) * kTilePitch + column + 8 * j] = sum[i][j];
}

} // namespace lngd::cuda
#endif
