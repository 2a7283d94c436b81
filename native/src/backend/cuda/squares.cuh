// SPDX-License-Identifier: Apache-2.0
// Sums of squares of rows, for c_n = ||a_n||^2 and r_n = ||g_n||^2.
#ifndef LNGD_BACKEND_CUDA_SQUARES_CUH
#define LNGD_BACKEND_CUDA_SQUARES_CUH

#include <cstdint>

#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

// sum of x[k * stride]^2 over k = first, first + step, ... below `count`. Float runs of 8, whose loads are all under
// way at once; double beyond.
__device__ __forceinline__ double sum_of_squares(const float* x, int64_t stride, int count, int first, int step) {
  double total = 0;
  for (int k0 = first; k0 < count; k0 += 8 * step) {
    float run = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int k = k0 + i * step;
      const float value = k < count ? x[k * stride] : 0.0f;
      run += value * value;
    }
    total += static_cast<double>(run);
  }
  return total;
}

} // namespace lngd::cuda
#endif
