// SPDX-License-Identifier: Apache-2.0
// factor_inverse on CUDA: (Phi_hat + lambda I)^-1 for diagonal blocks of all sizes, and Psi_inv. How a set of matrices
// is cut into launches is in factor_inverse_plan.h. Everything here is asynchronous on the stream, allocates nothing,
// and returns the launch's own error. What a call launches depends on the plan only, so it can be part of a graph.
#ifndef LNGD_BACKEND_CUDA_FACTOR_INVERSE_H
#define LNGD_BACKEND_CUDA_FACTOR_INVERSE_H

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/factor_inverse_plan.h"
#include "backend/damping.h"

namespace lngd::cuda {

// How the first try of a block is damped: by its own mean diagonal element, or as layer_damping.cu has found.
struct DampingRule {
  DampingRules rules;
  const double* given = nullptr; // lambda by FactorTask::result (device memory), where damped_by_layer
};

// What became of a block.
struct FactorResult {
  double lambda;        // damping of the inverse that was written
  int32_t retries;      // each with ten times the damping
  int32_t failed_pivot; // of the last failed try; -1: none failed
  int32_t renewed;      // 0: the old inverse stays
};

// A plan on the device.
struct FactorTables {
  const FactorTask* tasks; // FactorPlan::tasks()
  const int32_t* starts;   // FactorPlan::starts(); may be nullptr where there are no large ones
  float* workspace;        // FactorPlan::workspace_bytes(), 16-byte aligned; its contents do not matter
  int32_t multiprocessors; // of the device
};

// A factor of a layer, or of one of its groups, whose blocks get one lambda.
struct DampedFactor {
  const float* diagonal; // blocks as a BlockLayout has them; or the d elements of a diagonal factor
  int32_t d, block, groups;
  bool is_diagonal;
  int64_t group_floats;
  int32_t first_result, count; // of its blocks, as FactorTask counts them; a factor that is a vector has none here
};
struct DampedLayer {
  const LayerRecord* record;
  DampedFactor phi, second;
  int32_t layer; // of the `due` flags
};
// FACTORED: one for each group, else one for all of them.
void append_damped_layers(const LayerShape& shape, const LayerMemory& memory, const FactorLayer& layer, int32_t damping,
                          std::vector<DampedLayer>& layers);

// layer_damping.cu, before launch_factor_inverse where damped_by_layer: lambda of every block of what is due, at its
// result. prepare_layer_damping is called once before.
cudaError_t prepare_layer_damping();
cudaError_t launch_layer_damping(const DampedLayer* layers, int32_t count, const DampingRules& rules,
                                 const int32_t* due, double* lambdas, cudaStream_t stream);

// factor_inverse.cu, factor_inverse_large.cu. Called once before the first launch.
cudaError_t prepare_factor_inverse();

// One result for each task, at FactorTask::result. Matrices of layers without an average, or whose flag in `due`
// (device memory; nullptr: all are due) is 0, are left alone and get a result of {0, 0, -1, 0}.
cudaError_t launch_factor_inverse(const FactorPlan& plan, const FactorTables& tables, const DampingRule& rule,
                                  const int32_t* due, FactorResult* results, cudaStream_t stream);
// Its part for matrices above kBlockFactor.
cudaError_t prepare_large_factors();
cudaError_t launch_large_factors(const FactorPlan& plan, const FactorTables& tables, const DampingRule& rule,
                                 const int32_t* due, FactorResult* results, cudaStream_t stream);
// factor_retry.cu: the last launch of a wave.
cudaError_t prepare_factor_retry();
cudaError_t launch_factor_retry(const FactorWave& wave, const FactorTables& tables, FactorResult* results,
                                cudaStream_t stream);

// factor_records.cu. Its part of prepare_factor_inverse.
cudaError_t prepare_factor_records();
// Publishes the results: the records, the lambdas, and where at least one block was renewed Psi_inv.
cudaError_t launch_factor_records(const FactorLayer* layers, int32_t layer_count, const DampingRule& rule,
                                  const int32_t* due, const FactorResult* results, cudaStream_t stream);

} // namespace lngd::cuda
#endif
