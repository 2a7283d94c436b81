// SPDX-License-Identifier: Apache-2.0
// Lambda of the first try, and what the size classes of factor_inverse share.
#ifndef LNGD_BACKEND_CUDA_FACTOR_DAMPING_CUH
#define LNGD_BACKEND_CUDA_FACTOR_DAMPING_CUH

#include "backend/cuda/factor_inverse.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

constexpr int kFactorRetries = 6;

// tr(Phi) / n, by one warp: the same bits in whichever warp asks.
__device__ __forceinline__ double mean_diagonal(const FactorTask& task) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x) % 32; i < task.size; i += 32) sum += task.phi[i * task.ld + i];
  return warp_sum(sum) / task.size;
}

// Lambda of the first try, by one warp.
__device__ __forceinline__ double first_damping(const DampingRule& rule, const FactorTask& task) {
  return rule.given ? rule.given[task.result] : mean_damping(rule.rules, mean_diagonal(task), task.second);
}

__device__ __forceinline__ bool is_due(const LayerRecord* record, const int32_t* due, int32_t layer) {
  return record->has_average && (due == nullptr || due[layer] != 0);
}

} // namespace lngd::cuda
#endif
