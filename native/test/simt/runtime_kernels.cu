// SPDX-License-Identifier: Apache-2.0
#include "runtime_kernels.hpp"

#include "backend/cuda/simt.cuh"

namespace {

__global__ void touch_shared_kernel(int bytes) {
  SIMT_DYNAMIC_SHARED(char, memory);
  if (threadIdx.x == 0) memory[bytes - 1] = 1;
}

__global__ void touch_static_kernel(int bytes) {
  SIMT_DYNAMIC_SHARED(char, memory);
  __shared__ char flag;
  __shared__ float table[2][500];
  __shared__ double sums[2];
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) flag = static_cast<char>(bytes);
  if (thread < 2) sums[thread] = 1;
  table[1][499 - thread] = 1;
  __syncthreads();
  const float sum = table[1][499 - thread] + static_cast<float>(sums[thread % 2]) + static_cast<float>(flag);
  if (thread == 31) memory[bytes - 1] = static_cast<char>(sum);
}

__global__ void empty_kernel() { __syncthreads(); }

__global__ void fill_kernel(float* values, float value) { values[blockIdx.x * 32 + threadIdx.x] = value; }

__global__ void double_kernel(const float* from, float* to) {
  const unsigned i = blockIdx.x * 32 + threadIdx.x;
  to[i] = 2 * from[i];
}

__global__ void mark_kernel(int* seen) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int i = static_cast<int>(block * blockDim.x * blockDim.y * blockDim.z + thread);
  atomicAdd(seen + i, i + 1);
}

} // namespace

using lngd::cuda::launch;

cudaError_t touch_shared(size_t bytes) {
  return launch(touch_shared_kernel, dim3(1), dim3(32), bytes, nullptr, static_cast<int>(bytes));
}

cudaError_t allow_shared(int bytes) {
  return cudaFuncSetAttribute(touch_shared_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

cudaError_t touch_static_and_dynamic(size_t bytes) {
  return launch(touch_static_kernel, dim3(1), dim3(32), bytes, nullptr, static_cast<int>(bytes));
}

cudaError_t allow_static_and_dynamic(int bytes) {
  return cudaFuncSetAttribute(touch_static_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

cudaError_t static_shared_attributes(cudaFuncAttributes& attributes) {
  return cudaFuncGetAttributes(&attributes, touch_static_kernel);
}

cudaError_t launch_blocks(unsigned blocks, unsigned threads) {
  return launch(empty_kernel, dim3(blocks), dim3(threads), 0, nullptr);
}

cudaError_t fill(float* values, int count, float value, cudaStream_t stream) {
  return launch(fill_kernel, dim3(static_cast<unsigned>(count / 32)), dim3(32), 0, stream, values, value);
}

cudaError_t load_double() { return lngd::cuda::prepare_kernel(double_kernel); }

cudaError_t double_into(const float* from, float* to, int count, cudaStream_t stream) {
  return launch(double_kernel, dim3(static_cast<unsigned>(count / 32)), dim3(32), 0, stream, from, to);
}

cudaError_t mark_threads(int* seen, dim3 grid, dim3 block) {
  return launch(mark_kernel, grid, block, 0, nullptr, seen);
}
