// SPDX-License-Identifier: Apache-2.0
// The averaged gradient of a tile, which whitened orthogonalisation preconditions.
#ifndef LNGD_BACKEND_CUDA_AVERAGED_GRADIENT_CUH
#define LNGD_BACKEND_CUDA_AVERAGED_GRADIENT_CUH

#include "backend/cuda/direction_tile.cuh"

namespace lngd::cuda {

// x = (1 - tau_m) G + tau_m M_new with nesterov, else M_new; M_new = tau_m M + (1 - tau_m) G. As operand A.
struct AveragedGradient {
  TileGradient gradient;
  const float* momentum; // from the tile's first row and the block's first column
  int64_t ld;
  float keep, fresh;
  bool nesterov;

  __device__ __forceinline__ AveragedGradient(const TileGradient& g, const float* momentum_of_tile, int64_t ldw,
                                              const StepSettings& settings)
      : gradient(g),
        momentum(momentum_of_tile),
        ld(ldw),
        keep(settings.momentum),
        fresh(settings.fresh),
        nesterov(settings.nesterov != 0) {}
  __device__ __forceinline__ const float* find(int row, int k) const { return gradient.find(row, k); }
  __device__ __forceinline__ const float* find_quad(int, int) const { return nullptr; }
  __device__ __forceinline__ const float* anywhere() const { return gradient.anywhere(); }
  __device__ __forceinline__ bool computes() const { return true; }
  __device__ __forceinline__ float value(int row, int k) const {
    const float part = fresh * gradient.value(row, k), moved = fmaf(keep, momentum[row * ld + k], part);
    return nesterov ? fmaf(keep, moved, part) : moved;
  }
};

} // namespace lngd::cuda
#endif
