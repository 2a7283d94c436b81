// SPDX-License-Identifier: Apache-2.0
// 32 x 32 elements of a matrix product A B by one warp on the tensor cores, from slices of 32 of the summed index in
// shared memory. tile_product.cuh (preconditioning, rates) and factor_large.cuh (inverses) are made of it.
//
// 3xTF32: x = high + low, both in TF32 (split_tf32), and A B = low high + high low + high high; or, where the caller
// asks for no more, high high alone. Tensor cores truncate when they accumulate, so they sum no further than the caller
// says (`kDepth`), from zero, and the rest is added in float, which rounds (docs/kernels.md).
#ifndef LNGD_BACKEND_CUDA_WARP_PRODUCT_CUH
#define LNGD_BACKEND_CUDA_WARP_PRODUCT_CUH

#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

// Products of TF32 numbers for one of floats.
enum class Products { One, Three };

// Element [i][j][2 * high + e] is that of row sum_row(i, high) and column sum_column(j) + e, as mma.sync has it.
using WarpSums = float[2][4][4];

__device__ __forceinline__ int sum_row(int i, int high) {
  return i * 16 + high * 8 + static_cast<int>(threadIdx.x) % 32 / 4;
}
__device__ __forceinline__ int sum_column(int j) { return j * 8 + static_cast<int>(threadIdx.x) % 4 * 2; }

__device__ __forceinline__ void clear(WarpSums& sums) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][j][e] = 0.0f;
}

// How an operand lies: rows of A or columns of B one after another, `kPitch` floats apart, each along the summed index;
// or the other way about. ldmatrix reads the first (a pitch of 4 modulo 32 meets all banks). It cannot transpose
// elements of 32 bits, so the second takes four times as many instructions, of 4 bytes a lane, and as many cycles of
// shared memory (a pitch of 8 modulo 32 meets all banks).
enum class Summed { AlongRows, DownColumns };

// Rows 16 i .. 16 i + 15 of A, elements k .. k + 7 of the summed index.
template <Summed kSummed, int kPitch>
__device__ __forceinline__ void read_left(const float* a, int i, int k, uint32_t (&x)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (kSummed == Summed::AlongRows) {
    ldmatrix_x4(x, a + (lane % 16) * kPitch + lane / 16 * 4 + i * 16 * kPitch + k);
  } else {
    const float* const at = a + (lane % 4) * kPitch + lane / 4 + k * kPitch + i * 16;
#pragma unroll
    for (int e = 0; e < 4; ++e) x[e] = __float_as_uint(at[e / 2 * 4 * kPitch + e % 2 * 8]);
  }
}

// Columns 8 j .. 8 j + 15 of B: two operands of mma.sync, two numbers each.
template <Summed kSummed, int kPitch>
__device__ __forceinline__ void read_right(const float* b, int j, int k, uint32_t (&x)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (kSummed == Summed::AlongRows) {
    ldmatrix_x4(x, b + (lane / 16 * 8 + lane % 8) * kPitch + lane / 8 % 2 * 4 + j * 8 * kPitch + k);
  } else {
    const float* const at = b + (lane % 4) * kPitch + lane / 4 + k * kPitch + j * 8;
#pragma unroll
    for (int e = 0; e < 4; ++e) x[e] = __float_as_uint(at[e % 2 * 4 * kPitch + e / 2 * 8]);
  }
}

template <Products Count>
__device__ __forceinline__ void to_operands(const uint32_t (&x)[4], uint32_t (&high)[4], uint32_t (&low)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (Count == Products::Three) {
      split_tf32(__uint_as_float(x[i]), high[i], low[i]);
    } else {
      high[i] = tf32_operand(__uint_as_float(x[i]));
    }
  }
}

// sums += the product of a slice. The copies went different branches, and ldmatrix and mma.sync are executed by a warp
// as one: the caller has a __syncwarp before it.
template <Products Count, int kDepth, Summed kLeft, int kLeftPitch, Summed kRight, int kRightPitch>
__device__ __forceinline__ void multiply_warp(const float* a, const float* b, WarpSums& sums) {
  static_assert(kDepth % 8 == 0 && 32 % kDepth == 0, "steps of mma.sync");
#pragma unroll 1
  for (int k0 = 0; k0 < 32; k0 += kDepth) {
    WarpSums some = {};
#pragma unroll
    for (int k = k0; k < k0 + kDepth; k += 8) {
      uint32_t x[4], a_high[2][4];
      uint32_t a_low[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        read_left<kLeft, kLeftPitch>(a, i, k, x);
        to_operands<Count>(x, a_high[i], a_low[i]);
      }
#pragma unroll
      for (int j = 0; j < 4; j += 2) {
        uint32_t high[4];
        uint32_t low[4];
        read_right<kRight, kRightPitch>(b, j, k, x);
        to_operands<Count>(x, high, low);
#pragma unroll
        for (int product = Count == Products::Three ? 0 : 2; product < 3; ++product) // the small ones first
#pragma unroll
          for (int half = 0; half < 2; ++half)
#pragma unroll
            for (int i = 0; i < 2; ++i) {
              const uint32_t(&columns)[4] = product == 1 ? low : high;
              const uint32_t pair[2] = {columns[2 * half], columns[2 * half + 1]};
              mma_tf32(some[i][j + half], product == 0 ? a_low[i] : a_high[i], pair);
            }
      }
    }
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[i][j][e] += some[i][j][e];
  }
}

} // namespace lngd::cuda
#endif
