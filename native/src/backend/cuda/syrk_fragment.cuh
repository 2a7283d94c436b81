// SPDX-License-Identifier: Apache-2.0
// Fragments of weighted_syrk: 16 rows by 16 columns of B = diag(sqrt(r)) A in registers, as mma.sync takes them.
//
// Both operands are weighted by sqrt(r) and rounded after that, so that what is summed is a Gram matrix of the rounded
// B: positive semidefinite however coarse the rounding. r on one operand alone would save a third of the
// multiplications around the tensor cores, and leave a matrix that damping must first make definite again.
//
// Rows of A lie in shared memory as they came, rows k of the chunk at a pitch of 8 modulo 32 floats. Which columns make
// up the 8 x 8 matrices of a fragment is free, as long as the result is stored accordingly: of 16 columns the even ones
// are the first, the odd ones the second, so that a lane reads two neighbours at once; and the same registers are the
// operand A (16 columns) and two operands B (8 columns each). In rows with bit 2 set, neighbouring quads of columns are
// exchanged: copies that run over 8 rows then meet 32 banks and not 16.
#ifndef LNGD_BACKEND_CUDA_SYRK_FRAGMENT_CUH
#define LNGD_BACKEND_CUDA_SYRK_FRAGMENT_CUH

#include "backend/cuda/statistics.h"
#include "backend/cuda/syrk_shape.cuh"

namespace lngd::cuda {

// Where column `position` of row k lies, from the row's first float.
__device__ __forceinline__ int syrk_place(int k, int position) { return position ^ (k & 4); }

// One operand of a stage as a lane reads it: rows t, t + 4, t + 8, t + 12 of a step, columns 2 g and 2 g + 1 of a
// strip, where t = lane % 4 and g = lane / 4.
template <class Shape>
struct SyrkOperand {
  const float* near; // rows t and t + 8
  const float* far;  // rows t + 4 and t + 12

  __device__ __forceinline__ SyrkOperand(const float* operand, int first_row) {
    const int lane = static_cast<int>(threadIdx.x) % 32, k = first_row + lane % 4, column = lane / 4 * 2;
    near = operand + k * Shape::kPitch + column;
    far = operand + (k + 4) * Shape::kPitch + syrk_place(4, column);
  }
  // x[i][..]: rows t and t + 4 of each half: (t, 2g) (t, 2g+1) (t+4, 2g) (t+4, 2g+1).
  __device__ __forceinline__ void read(int column, const float (&weights)[4], float (&x)[2][4]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float2 a = *reinterpret_cast<const float2*>(near + half * 8 * Shape::kPitch + column);
      const float2 b = *reinterpret_cast<const float2*>(far + half * 8 * Shape::kPitch + column);
      x[half][0] = weights[2 * half] * a.x;
      x[half][1] = weights[2 * half] * a.y;
      x[half][2] = weights[2 * half + 1] * b.x;
      x[half][3] = weights[2 * half + 1] * b.y;
    }
  }
};

// sqrt(r) of a lane's four rows.
__device__ __forceinline__ void read_weights(const float* stage_weights, int first_row, float (&weights)[4]) {
  const float* const at = stage_weights + first_row + static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int i = 0; i < 4; ++i) weights[i] = at[4 * i];
}

// A block of 16 x 16: with columns 4 t .. 4 t + 3 of rows 2 g and 2 g + 1 in a lane.
using SyrkBlock = float[2][4];

// Row 2 g + `odd` of a block, in the order of its columns.
__device__ __forceinline__ float4 block_row(const SyrkBlock& acc, int odd) {
  return make_float4(acc[0][2 * odd], acc[1][2 * odd], acc[0][2 * odd + 1], acc[1][2 * odd + 1]);
}

// Fragment::load(operand, column, weights) and Fragment::add<N>(a, b, acc): N products of 16 x 16 at once, so that
// chains of dependent instructions run side by side.
template <Precision P>
struct SyrkFragment;

// Tensor cores truncate when they accumulate: over thousands of rows the sums shrink by about 2^-25 of themselves a
// step. In the two coarse modes that is far below the rounding of the operands, and the sums stay in the tensor cores.
template <>
struct SyrkFragment<Precision::Tf32> {
  uint32_t x[2][4];

  template <class Shape>
  __device__ __forceinline__ void load(const SyrkOperand<Shape>& operand, int column, const float (&weights)[4]) {
    float value[2][4];
    operand.read(column, weights, value);
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < 4; ++i) x[half][i] = tf32_operand(value[half][i]);
  }
  template <int N>
  static __device__ __forceinline__ void add(const SyrkFragment* const (&a)[N], const SyrkFragment* const (&b)[N],
                                             SyrkBlock* const (&acc)[N]) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const uint32_t columns[2] = {b[n]->x[half][e], b[n]->x[half][e + 2]};
          mma_tf32((*acc[n])[e], a[n]->x[half], columns);
        }
  }
};

// Pairs of rows go into one register; which rows make a pair is free, as long as both operands agree: t with t + 4.
template <>
struct SyrkFragment<Precision::Bfloat16> {
  uint32_t x[4];

  template <class Shape>
  __device__ __forceinline__ void load(const SyrkOperand<Shape>& operand, int column, const float (&weights)[4]) {
    float value[2][4];
    operand.read(column, weights, value);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      x[2 * half] = pack_bf16(value[half][0], value[half][2]);
      x[2 * half + 1] = pack_bf16(value[half][1], value[half][3]);
    }
  }
  template <int N>
  static __device__ __forceinline__ void add(const SyrkFragment* const (&a)[N], const SyrkFragment* const (&b)[N],
                                             SyrkBlock* const (&acc)[N]) {
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const uint32_t columns[2] = {b[n]->x[e], b[n]->x[e + 2]};
        mma_bf16((*acc[n])[e], a[n]->x, columns);
      }
  }
};

// 3xTF32: x = high + low (split_tf32); low high + high low + high high. The 16 rows are summed from zero and added in
// float, which rounds.
template <>
struct SyrkFragment<Precision::TripleTf32> {
  uint32_t high[2][4], low[2][4];

  template <class Shape>
  __device__ __forceinline__ void load(const SyrkOperand<Shape>& operand, int column, const float (&weights)[4]) {
    float value[2][4];
    operand.read(column, weights, value);
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < 4; ++i) split_tf32(value[half][i], high[half][i], low[half][i]);
  }
  template <int N>
  static __device__ __forceinline__ void add(const SyrkFragment* const (&a)[N], const SyrkFragment* const (&b)[N],
                                             SyrkBlock* const (&acc)[N]) {
    float sum[N][2][4] = {};
#pragma unroll
    for (int product = 0; product < 3; ++product) // the small ones first
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            const uint32_t(&columns)[4] = product == 1 ? b[n]->low[half] : b[n]->high[half];
            const uint32_t pair[2] = {columns[e], columns[e + 2]};
            mma_tf32(sum[n][e], product == 0 ? a[n]->low[half] : a[n]->high[half], pair);
          }
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e)
#pragma unroll
        for (int i = 0; i < 4; ++i) (*acc[n])[e][i] += sum[n][e][i];
  }
};

} // namespace lngd::cuda
#endif
