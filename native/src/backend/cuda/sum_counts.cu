// SPDX-License-Identifier: Apache-2.0
// The counts of the sums of all layers, out of the records and back: an all-reduce adds doubles, and the kernels keep
// whole numbers. One thread a layer.
#include "backend/cuda/simt.cuh"
#include "backend/cuda/statistics.h"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ int own_layer() {
  return static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
}

__global__ void __launch_bounds__(kThreads)
    publish_counts_kernel(const LayerRecord* records, double* counts, int32_t layers) {
  const int i = own_layer();
  if (i >= layers) return;
  counts[2 * i] = static_cast<double>(records[i].samples);
  counts[2 * i + 1] = records[i].poisoned;
}

__global__ void __launch_bounds__(kThreads)
    take_counts_kernel(LayerRecord* records, const double* counts, int32_t layers) {
  const int i = own_layer();
  if (i >= layers) return;
  records[i].samples = static_cast<int64_t>(counts[2 * i]);
  records[i].poisoned = counts[2 * i + 1] != 0 ? 1 : 0;
}

dim3 blocks_of(int32_t layers) { return dim3(static_cast<unsigned>((layers + kThreads - 1) / kThreads)); }

} // namespace

cudaError_t prepare_sum_counts() { return prepare_kernels(0, publish_counts_kernel, take_counts_kernel); }

cudaError_t launch_publish_counts(const LayerRecord* records, double* counts, int32_t layers, cudaStream_t stream) {
  return launch(publish_counts_kernel, blocks_of(layers), dim3(kThreads), 0, stream, records, counts, layers);
}

cudaError_t launch_take_counts(LayerRecord* records, const double* counts, int32_t layers, cudaStream_t stream) {
  return launch(take_counts_kernel, blocks_of(layers), dim3(kThreads), 0, stream, records, counts, layers);
}

} // namespace lngd::cuda
