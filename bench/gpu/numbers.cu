// SPDX-License-Identifier: Apache-2.0
#include "numbers.cuh"

#include <algorithm>
#include <cmath>

#include "backend/cuda/simt.cuh"
#include "bench.hpp"

namespace bench {
namespace {

constexpr int kThreads = 256;

dim3 blocks_for(int64_t count) {
  return dim3(static_cast<unsigned>(std::max<int64_t>(1, std::min<int64_t>(4096, (count + kThreads - 1) / kThreads))));
}

__global__ void fill_kernel(float* out, int64_t count, uint32_t seed, float offset, float scale) {
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step)
    out[i] = offset + scale * uniform(seed, static_cast<uint64_t>(i));
}

__global__ void fill_spd_kernel(float* out, int64_t n, int64_t ld, uint32_t seed, float scale, bool square) {
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x; at < n * n; at += step) {
    const int64_t i = at / n, j = at % n;
    out[i * ld + j] = j > i && !square ? __int_as_float(0x7fffffff) : spd(seed, n, i, j, scale);
  }
}

} // namespace

// Uniform numbers in [-1, 1) have the standard deviation 1 / sqrt(3); the semicircle's radius is 2 sqrt(n) times
// theirs.
float spd_scale(int64_t n) { return 0.4f * std::sqrt(3.0f / static_cast<float>(n)); }

void fill(float* out, int64_t count, uint32_t seed, float offset, float scale) {
  if (count > 0)
    BENCH_CUDA(lngd::cuda::launch(fill_kernel, blocks_for(count), dim3(kThreads), 0, nullptr, out, count, seed, offset,
                                  scale));
}

void fill_spd(float* out, int64_t n, int64_t ld, uint32_t seed) {
  BENCH_CUDA(lngd::cuda::launch(fill_spd_kernel, blocks_for(n * n), dim3(kThreads), 0, nullptr, out, n, ld, seed,
                                spd_scale(n), false));
}

void fill_spd_square(float* out, int64_t n, int64_t ld, uint32_t seed) {
  BENCH_CUDA(lngd::cuda::launch(fill_spd_kernel, blocks_for(n * n), dim3(kThreads), 0, nullptr, out, n, ld, seed,
                                spd_scale(n), true));
}

} // namespace bench
