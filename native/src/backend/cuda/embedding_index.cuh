// SPDX-License-Identifier: Apache-2.0
// The index of a row of an embedding.
#ifndef LNGD_BACKEND_CUDA_EMBEDDING_INDEX_CUH
#define LNGD_BACKEND_CUDA_EMBEDDING_INDEX_CUH

#include "backend/backend.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

// At position t of sample n, or -1: not a whole number in [0, count).
__device__ __forceinline__ int32_t embedding_index(const Activations& inputs, int n, int t, int32_t count) {
  const float value = inputs.data[n * inputs.stride[0] + t * inputs.stride[3]];
  if (!(value >= 0.0f && value < static_cast<float>(count))) return -1; // NaN too
  const int32_t index = static_cast<int32_t>(value);
  return static_cast<float>(index) == value ? index : -1;
}

} // namespace lngd::cuda
#endif
