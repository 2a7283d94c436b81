// SPDX-License-Identifier: Apache-2.0
// layer_statistics and conv_statistics on CUDA: what the backend calls. Every pointer in the arguments is a device
// pointer, the caller's tensors have any strides and any alignment of 4 bytes or more. All of it is asynchronous on the
// stream, allocates nothing, asks the device nothing, and returns the launch's own error. The same inputs give the same
// bits on cards with the same number of multiprocessors.
#ifndef LNGD_BACKEND_CUDA_STATISTICS_H
#define LNGD_BACKEND_CUDA_STATISTICS_H

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"

namespace lngd::cuda {

// Rows of a batch at most, and elements of its images. They are numbered in 32 bits, and a quarter of these leaves room
// for the sums of two such numbers that loops and the last, incomplete piece of work make.
constexpr int64_t kMostRows = int64_t{1} << 30;

// Of the products in Phi; everything else is float or better.
enum class Precision : int32_t {
  Float32,    // CUDA cores
  TripleTf32, // tensor cores, x = high + low: as good as float
  Tf32,       // 11 bits of each element
  Bfloat16    // 8 bits
};

// Of a lngd_precision that is not AUTO.
inline Precision precision_of(int32_t setting) {
  switch (setting) {
    case LNGD_PRECISION_TF32:
      return Precision::Tf32;
    case LNGD_PRECISION_BF16:
      return Precision::Bfloat16;
    case LNGD_PRECISION_FP32:
      return Precision::Float32;
    default:
      return Precision::TripleTf32;
  }
}

// Device memory, 256-byte aligned, of at least the bytes told below for as many samples or more. It is free again when
// the launch has run.
struct StatisticsWorkspace {
  void* memory;
  size_t bytes;
  int32_t multiprocessors; // of the device
  int32_t shared_bytes;    // cudaDevAttrMaxSharedMemoryPerBlockOptin of the device: how deep the kernels' pipelines are
};

// Called once for each device before the first launch: the shared memory that the kernels ask for, out of
// `shared_bytes` as in StatisticsWorkspace.
cudaError_t prepare_layer_statistics(int32_t shared_bytes);
size_t layer_statistics_workspace(const LayerShape& shape, int64_t samples, int32_t multiprocessors);
cudaError_t launch_layer_statistics(const StatisticsArgs& args, const StatisticsWorkspace& workspace,
                                    Precision precision, cudaStream_t stream);

// q, r, c of a batch into compact device arrays, each of which may be nullptr; uses the same workspace.
cudaError_t launch_fisher_rows(const StatisticsArgs& args, const StatisticsWorkspace& workspace, const FisherRows& out,
                               cudaStream_t stream);

// The same for a convolution; `inputs` gives the height and width of the input.
cudaError_t prepare_conv_statistics(int32_t shared_bytes);
size_t conv_statistics_workspace(const LayerShape& shape, const Activations& inputs, int64_t samples,
                                 int32_t multiprocessors);
cudaError_t launch_conv_statistics(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                   Precision precision, cudaStream_t stream);

// Its first launch (pixel_squares.cu): squares[(group * samples + n) * height * width + y * width + x] gets the sum of
// the squares of that group's channels. At most kMostRows pixels.
cudaError_t prepare_pixel_squares();
cudaError_t launch_pixel_squares(const LayerShape& shape, const Activations& inputs, int64_t samples, float* squares,
                                 cudaStream_t stream);

// q (rows x outputs), r and c (rows x groups), a row for every output position.
cudaError_t launch_conv_fisher_rows(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                    const FisherRows& out, cudaStream_t stream);

// sum_counts.cu: Backend::publish_counts and take_counts.
cudaError_t prepare_sum_counts();
cudaError_t launch_publish_counts(const LayerRecord* records, double* counts, int32_t layers, cudaStream_t stream);
cudaError_t launch_take_counts(LayerRecord* records, const double* counts, int32_t layers, cudaStream_t stream);

} // namespace lngd::cuda
#endif
