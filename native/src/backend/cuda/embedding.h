// SPDX-License-Identifier: Apache-2.0
// Embeddings on CUDA: a layer whose a_nt is the one-hot code of an index k_nt, so that its Phi is diagonal and kept as
// a vector. Statistics, inverse, direction and curvature have kernels of their own; everything else is that of other
// layers. Where the second factor is a matrix, what is done with it is in second_factor.h.
#ifndef LNGD_BACKEND_CUDA_EMBEDDING_H
#define LNGD_BACKEND_CUDA_EMBEDDING_H

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "backend/cuda/factor_inverse.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/layer_rate.h"
#include "backend/cuda/statistics.h"

namespace lngd::cuda {

// embedding_statistics.cu: conv_statistics and conv_fisher_rows of an embedding, under the rules of statistics.h; the
// workspace is 0 where the rows (samples x positions) cannot be numbered. prepare_embedding_statistics is called once
// before, and so are the other prepare_ functions before what stands below them.
cudaError_t prepare_embedding_statistics();
size_t embedding_statistics_workspace(const LayerShape& shape, const Activations& inputs, int64_t samples,
                                      int32_t multiprocessors);
cudaError_t launch_embedding_statistics(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                        cudaStream_t stream);
// The second of its launches: phi_diagonal_sum += weights[row] at the index of each row of an embedding, in their
// order.
cudaError_t launch_add_diagonal(const LayerShape& shape, const LayerMemory& memory, const Activations& indices,
                                int64_t samples, const float* weights, int32_t multiprocessors, cudaStream_t stream);
cudaError_t launch_embedding_fisher_rows(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                         const FisherRows& out, cudaStream_t stream);

// A block of a diagonal Phi; device pointers.
struct DiagonalTask {
  const float* phi; // running average
  float* inverse;
  const LayerRecord* record;
  int32_t size;
  int32_t layer;  // of the `due` flags
  int32_t result; // index of its FactorResult
  bool triangle;  // as of FactorTask: 1 / sqrt(phi + lambda)
};
// Appends the blocks of a layer's Phi, with results from first_result on, and returns the layer for
// launch_factor_records, without its second factor.
FactorLayer add_diagonal_layer(const LayerShape& shape, const LayerMemory& memory, int32_t layer, int32_t first_result,
                               bool triangles, std::vector<DiagonalTask>& tasks);

// diagonal_inverse.cu: 1 / (phi + lambda), with the damping and the retries of factor_inverse.
cudaError_t prepare_diagonal_inverse();
cudaError_t launch_diagonal_inverse(const DiagonalTask* tasks, int32_t count, const DampingRule& rule,
                                    const int32_t* due, FactorResult* results, cudaStream_t stream);

// diagonal_precondition.cu: D_ij = G_ij / (psi_i phi_j), damped, and the inner products. Tiles and sums as of
// launch_precondition, but DirectionTile::inverse is a vector.
cudaError_t prepare_diagonal_precondition();
cudaError_t launch_diagonal_precondition(const StepSettings* settings, const DeviceLayer* layers,
                                         const DirectionTile* tiles, int32_t tile_count, DirectionSums* sums,
                                         cudaStream_t stream);

// embedding_rate.cu: the projections of EMPIRICAL, into the partial sums of layer_rate.h.
cudaError_t prepare_embedding_rate();
cudaError_t launch_embedding_rate_projections(const RateLayer* layers, const ProjectionTask* tasks, int32_t task_count,
                                              cudaStream_t stream);

} // namespace lngd::cuda
#endif
