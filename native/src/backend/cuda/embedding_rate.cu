// SPDX-License-Identifier: Apache-2.0
// The projections of EMPIRICAL of an embedding: x_n = sum_t delta_nt^T D a_nt, where D a_nt is column k_nt of D (and
// the bias column). N T m multiplications, whatever the vocabulary; each element of D is a sector of its own, 32 bytes
// from the second cache or the memory. A tile is 64 rows by 128 outputs, as in rate_projection.cu: a warp takes a row
// at a time, its lanes the outputs. An index that is none makes x_n NaN, which skips the step.
#include <cmath>

#include "backend/cuda/embedding.h"
#include "backend/cuda/embedding_index.cuh"
#include "backend/cuda/rate_partials.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kLaneColumns = kRateColumns / 32;

__global__ void __launch_bounds__(kThreads)
    embedding_projection_kernel(const RateLayer* layers, const ProjectionTask* tasks) {
  __shared__ double y[kRateRows];
  const ProjectionTask task = tasks[blockIdx.x];
  const RateLayer& layer = layers[task.layer];
  if (!layer.record->has_inverse) return; // the whole block; layer_rate skips the layer
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t row0 = int64_t{task.row_tile} * kRateRows;
  const int rows = static_cast<int>(min(int64_t{kRateRows}, int64_t{layer.used} * layer.positions - row0));
  for (int row = static_cast<int>(threadIdx.x) / 32; row < rows; row += kWarps) {
    const int64_t number = (row0 + row) / layer.positions;
    const int t = static_cast<int>(row0 + row - number * layer.positions);
    const int n = static_cast<int>(number * layer.samples / layer.used);
    const int32_t index = embedding_index(layer.indices, n, t, layer.inputs); // the same in the whole warp
    const float* const delta =
        layer.conv_deltas.data + n * layer.conv_deltas.stride[0] + t * layer.conv_deltas.stride[3];
    float sum = 0;
#pragma unroll
    for (int k = 0; k < kLaneColumns; ++k) {
      const int column = task.column0 + k * 32 + lane;
      if (column >= task.column_end || index < 0) continue;
      const float* const d = layer.direction + column * layer.ldw;
      sum += delta[column * layer.conv_deltas.stride[1]] * (layer.bias_column ? d[index] + d[layer.inputs] : d[index]);
    }
    const double all = warp_sum(static_cast<double>(sum));
    if (lane == 0) y[row] = index < 0 ? static_cast<double>(nanf("")) : all;
  }
  __syncthreads();
  store_partials(layer, task, row0, rows, [&](int row) { return y[row]; });
}

} // namespace

cudaError_t prepare_embedding_rate() { return prepare_kernel(embedding_projection_kernel); }

cudaError_t launch_embedding_rate_projections(const RateLayer* layers, const ProjectionTask* tasks, int32_t task_count,
                                              cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(embedding_projection_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, layers,
                tasks);
}

} // namespace lngd::cuda
