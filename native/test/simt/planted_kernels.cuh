// SPDX-License-Identifier: Apache-2.0
// Small kernels with one bug each, and without it (Bug = false). A tag [name] in a comment marks a line that the
// report has to name. test_planted.cu runs them.
#ifndef LNGD_SIMT_PLANTED_KERNELS_CUH
#define LNGD_SIMT_PLANTED_KERNELS_CUH

#include "backend/cuda/simt.cuh"

namespace planted {

using namespace lngd::cuda;

constexpr int kThreads = 128;

struct Data {
  const float* in; // 4096 floats, written
  float* out;      // 4096 floats, not written
  int n;
};

template <bool Bug>
__global__ void missing_barrier(Data d) {
  __shared__ float tile[kThreads];
  const unsigned t = threadIdx.x;
  tile[t] = d.in[t]; // [missing_barrier]
  if (!Bug) __syncthreads();
  d.out[t] = tile[(t + 32) % kThreads]; // [missing_barrier]
}

template <bool Bug>
__global__ void missing_warp_barrier(Data d) {
  SIMT_DYNAMIC_SHARED(float, tile);
  const unsigned t = threadIdx.x;
  tile[t] = d.in[t]; // [missing_warp_barrier]
  if (!Bug) __syncwarp();
  d.out[t] = tile[t ^ 1]; // [missing_warp_barrier]
}

// Shuffles order no memory accesses.
template <bool Bug>
__global__ void shuffle_as_fence(Data d) {
  SIMT_DYNAMIC_SHARED(float, tile);
  const unsigned t = threadIdx.x;
  tile[t] = warp_sum(d.in[t]); // [shuffle_as_fence]
  if (!Bug) __syncwarp();
  const float sum = warp_sum(d.in[t]);
  d.out[t] = sum + tile[t ^ 1]; // [shuffle_as_fence]
}

// A pipeline of two stages over k-tiles of kThreads floats. Without the barrier at the end of the loop a fast warp
// loads into the stage that a slow one still reads: it needs a third tile to happen.
template <bool Bug>
__global__ void stage_reuse(Data d) {
  __shared__ __align__(16) float stage[2][kThreads];
  const unsigned t = threadIdx.x;
  float sum = 0;
  cp_async_4(&stage[0][t], d.in + t);
  cp_async_commit();
  for (int tile = 0; tile < d.n; ++tile) {
    if (tile + 1 < d.n) cp_async_4(&stage[(tile + 1) % 2][t], d.in + (tile + 1) * kThreads + t); // [stage_reuse]
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    for (int i = 0; i < 4; ++i) sum += stage[tile % 2][(t + 32 * i) % kThreads]; // [stage_reuse]
    if (!Bug) __syncthreads();
  }
  d.out[t] = sum;
}

template <bool Bug>
__global__ void wrong_wait_group(Data d) {
  __shared__ __align__(16) float stage[2][kThreads];
  const unsigned t = threadIdx.x;
  for (int i = 0; i < 2; ++i) {
    cp_async_4(&stage[i][t], d.in + i * kThreads + t); // [wrong_wait_group]
    cp_async_commit();
  }
  cp_async_wait<Bug ? 1 : 0>();
  __syncthreads();
  d.out[t] = stage[0][kThreads - 1 - t] + stage[1][kThreads - 1 - t]; // [wrong_wait_group]
}

template <bool Bug>
__global__ void tile_tail(Data d) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (Bug || i < d.n) d.out[i] = 2.0f * d.in[i]; // [tile_tail]
}

template <bool Bug>
__global__ void static_overrun(Data d) {
  __shared__ float tile[kThreads];
  const unsigned t = threadIdx.x;
  tile[t] = d.in[t];
  __syncthreads();
  d.out[t] = tile[Bug ? t + 1 : t]; // [static_overrun]
}

template <bool Bug>
__global__ void dynamic_overrun(Data d) {
  SIMT_DYNAMIC_SHARED(float, tile);
  const unsigned t = threadIdx.x;
  tile[Bug ? t + 1 : t] = d.in[t]; // [dynamic_overrun]
  __syncthreads();
  d.out[t] = tile[t];
}

template <bool Bug>
__global__ void barrier_after_return(Data d) {
  __shared__ float tile[kThreads];
  const unsigned t = threadIdx.x;
  if (Bug && t >= 100) return;
  tile[t] = d.in[t];
  __syncthreads(); // [barrier_after_return]
  d.out[t] = tile[t];
}

template <bool Bug>
__global__ void divergent_barrier(Data d) {
  const unsigned t = threadIdx.x;
  if (Bug && t % 2) {
    __syncthreads(); // [divergent_barrier]
    d.out[t] = 1;
  } else {
    d.out[t] = 2;
    __syncthreads(); // [divergent_barrier]
  }
}

template <bool Bug>
__global__ void divergent_shuffle(Data d) {
  const unsigned t = threadIdx.x;
  float x = d.in[t];
  if (!Bug || t % 32 < 16) x = __shfl_xor_sync(kFullWarp, x, 1); // [divergent_shuffle]
  d.out[t] = x;
}

// Half of the lanes copy for the next stage. Nothing brings the warp together again before it loads as one.
template <bool Bug>
__global__ void branch_before_ldmatrix(Data d) {
  SIMT_DYNAMIC_SHARED(float, stages);
  const unsigned t = threadIdx.x;
  stages[t] = d.in[t];
  __syncthreads();
  if (t % 2) cp_async_4(stages + kThreads + t, d.in + t); // [branch_before_ldmatrix]
  if (!Bug) __syncwarp();
  uint32_t r[4];
  ldmatrix_x4(r, stages + 4 * (t % 32)); // [branch_before_ldmatrix]
  cp_async_wait<0>();
  d.out[t] = __uint_as_float(r[0]);
}

template <bool Bug>
__global__ void divergent_mma(Data d) {
  const unsigned t = threadIdx.x;
  const uint32_t a[4] = {__float_as_uint(d.in[t]), 0, 0, 0}, b[2] = {__float_as_uint(d.in[t]), 0};
  float low[4] = {}, high[4] = {};
  if (!Bug || t % 32 < 16) {
    mma_tf32(low, a, b); // [divergent_mma]
  } else {
    mma_tf32(high, a, b); // [divergent_mma]
  }
  d.out[t] = low[0] + high[0];
}

template <bool Bug>
__global__ void uninitialised_shared(Data d) {
  SIMT_DYNAMIC_SHARED(float, tile);
  const unsigned t = threadIdx.x;
  if (!Bug || t != 77) tile[t] = d.in[t];
  __syncthreads();
  d.out[t] = tile[t]; // [uninitialised_shared]
}

template <bool Bug>
__global__ void uninitialised_global(Data d) {
  const unsigned t = threadIdx.x;
  if (!Bug) d.out[t] = 0;
  d.out[t] += d.in[t]; // [uninitialised_global]
}

template <bool Bug>
__global__ void misaligned_vector(Data d) {
  const unsigned t = threadIdx.x;
  const float4 v = *reinterpret_cast<const float4*>(d.in + 4 * t + (Bug ? 1 : 0)); // [misaligned_vector]
  d.out[t] = v.x + v.y + v.z + v.w;
}

template <bool Bug>
__global__ void misaligned_copy(Data d) {
  __shared__ __align__(16) float tile[4 * kThreads];
  const unsigned t = threadIdx.x;
  cp_async_16(tile + 4 * t, d.in + 4 * t + (Bug ? 2 : 0)); // [misaligned_copy]
  cp_async_commit();
  cp_async_wait<0>();
  d.out[t] = tile[4 * t];
}

template <bool Bug>
__global__ void copy_overrun(Data d) {
  __shared__ __align__(16) float tile[4 * kThreads];
  const unsigned t = threadIdx.x;
  const int begin = static_cast<int>(blockIdx.x * 4 * kThreads + 4 * t);
  const int valid = Bug ? 4 : max(0, min(4, d.n - begin));
  cp_async_16(tile + 4 * t, valid > 0 ? d.in + begin : d.in, 4 * valid); // [copy_overrun]
  cp_async_commit();
  cp_async_wait<0>();
  for (int i = 0; i < valid; ++i) d.out[begin + i] = tile[4 * t + i];
}

template <bool Bug>
__global__ void matrix_row_overrun(Data d) {
  SIMT_DYNAMIC_SHARED(float, tile);
  const unsigned t = threadIdx.x;
  tile[t] = d.in[t];
  __syncthreads();
  uint32_t r[4];
  ldmatrix_x4(r, tile + 4 * (t % 32) + (Bug ? 4 : 0)); // [matrix_row_overrun]
  d.out[t] = __uint_as_float(r[0]);
}

// Two blocks write one element.
template <bool Bug>
__global__ void block_race_write(Data d) {
  const unsigned i = (Bug ? 0 : blockIdx.x * blockDim.x) + threadIdx.x;
  d.out[i] = d.in[i]; // [block_race_write]
}

// A block reads what another one writes: right only if the blocks happen to run in that order.
template <bool Bug>
__global__ void block_race_read(Data d) {
  const unsigned t = threadIdx.x;
  if (blockIdx.x == 0) {
    d.out[t] = d.in[t]; // [block_race_read]
  } else {
    d.out[kThreads + t] = Bug ? d.out[t] : d.in[t]; // [block_race_read]
  }
}

template <bool Bug>
__global__ void lost_update(Data d, int* count) {
  if (Bug) {
    *count += d.in[threadIdx.x] > 0; // [lost_update]
  } else {
    atomicAdd(count, d.in[threadIdx.x] > 0);
  }
}

template <bool Bug>
__global__ void host_pointer(Data d, const float* host, const float* device) {
  d.out[threadIdx.x] = (Bug ? host : device)[threadIdx.x]; // [host_pointer]
}

// C = A B for one 16 x 8 x 8 product in TF32. The bug takes A's second register from the wrong row: nothing but the
// numbers can tell.
template <bool Bug>
__global__ void wrong_fragment(Data d) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  const float *a = d.in, *b = d.in + 16 * 8;
  const int row = Bug ? g + 4 : g + 8;
  const uint32_t fa[4] = {tf32_operand(a[g * 8 + t]), tf32_operand(a[row * 8 + t]), tf32_operand(a[g * 8 + t + 4]),
                          tf32_operand(a[(g + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {tf32_operand(b[t * 8 + g]), tf32_operand(b[(t + 4) * 8 + g])};
  float c[4] = {};
  mma_tf32(c, fa, fb);
  for (int i = 0; i < 4; ++i) d.out[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = c[i];
}

} // namespace planted
#endif
