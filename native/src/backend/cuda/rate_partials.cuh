// SPDX-License-Identifier: Apache-2.0
// The end of a tile of the EMPIRICAL projections: what its rows have summed goes to the partial sums, a slot for each
// sample that has rows in it.
#ifndef LNGD_BACKEND_CUDA_RATE_PARTIALS_CUH
#define LNGD_BACKEND_CUDA_RATE_PARTIALS_CUH

#include "backend/cuda/layer_rate.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

// Row 0 of the tile is row `row0` of all; value(row) is what a row has, for 0 <= row < rows. By all threads of a block.
template <class Value>
__device__ __forceinline__ void store_partials(const RateLayer& layer, const ProjectionTask& task, int64_t row0,
                                               int rows, const Value& value) {
  const int positions = layer.positions; // a sample's rows in the tile, in order; one row where there are no positions
  const int64_t first = row0 / positions;
  const int slots = static_cast<int>((row0 + rows - 1) / positions - first) + 1, room = rate_slots(layer);
  double* const to = layer.partial + (int64_t{task.column_tile} * rate_row_tiles(layer) + task.row_tile) * room;
  for (int slot = static_cast<int>(threadIdx.x); slot < slots; slot += static_cast<int>(blockDim.x)) {
    const int begin = static_cast<int>(max(int64_t{0}, (first + slot) * positions - row0));
    const int end = static_cast<int>(min(int64_t{rows}, (first + slot + 1) * positions - row0));
    double sum = 0;
    for (int row = begin; row < end; ++row) sum += value(row);
    to[slot] = sum;
  }
}

} // namespace lngd::cuda
#endif
