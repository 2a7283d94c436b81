// SPDX-License-Identifier: Apache-2.0
// factor_inverse where Phi is diagonal: 1 / (phi + lambda) elementwise, or the root of it, a block of threads for each
// block of Phi (the indices; the bias). Where an inverse is not a positive number: ten times the damping and again, at
// most 6 times; then the old inverse stays. All are looked at before one is written.
//
// One multiprocessor reads 4 bytes an index three times and divides twice: 32,768 indices are 32 for each thread.
#include "backend/cuda/embedding.h"
#include "backend/cuda/factor_damping.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;

__device__ double block_mean(const DiagonalTask& task, double (&of_warp)[kWarps]) {
  double sum = 0;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < task.size; i += kThreads) sum += static_cast<double>(task.phi[i]);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  double total = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += of_warp[warp];
  return total / task.size;
}

// Of element i, with this lambda.
__device__ __forceinline__ float inverse_of(const DiagonalTask& task, int i, double lambda) {
  const double damped = static_cast<double>(task.phi[i]) + lambda;
  return static_cast<float>(1.0 / (task.triangle ? sqrt(damped) : damped));
}

// The first element without an inverse, or task.size; the same in the whole block.
__device__ int first_failure(const DiagonalTask& task, double lambda, int (&of_warp)[kWarps]) {
  int failed = task.size;
  for (int i = static_cast<int>(threadIdx.x); i < task.size && failed == task.size; i += kThreads) {
    const float inverse = inverse_of(task, i, lambda);
    if (!(inverse > 0) || isinf(inverse)) failed = i;
  }
  failed = -warp_max(-failed);
  __syncthreads(); // those of the try before have been read
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = failed;
  __syncthreads();
  for (int warp = 0; warp < kWarps; ++warp) failed = min(failed, of_warp[warp]);
  return failed;
}

__global__ void __launch_bounds__(kThreads)
    diagonal_inverse_kernel(const DiagonalTask* tasks, DampingRule rule, const int32_t* due, FactorResult* results) {
  __shared__ double sums[kWarps];
  __shared__ int failures[kWarps];
  const DiagonalTask& task = tasks[blockIdx.x];
  FactorResult result{0.0, 0, -1, 0};
  if (is_due(task.record, due, task.layer)) { // the same in the whole block
    double lambda = rule.given ? rule.given[task.result] : mean_damping(rule.rules, block_mean(task, sums), false);
    for (int t = 0; t <= kFactorRetries && !result.renewed; ++t) {
      if (t > 0) ++result.retries, lambda *= 10;
      const int failed = first_failure(task, lambda, failures);
      result.renewed = failed == task.size;
      if (!result.renewed) result.failed_pivot = failed;
    }
    if (result.renewed) {
      result.lambda = lambda;
      for (int i = static_cast<int>(threadIdx.x); i < task.size; i += kThreads)
        task.inverse[i] = inverse_of(task, i, lambda);
    }
  }
  if (threadIdx.x == 0) results[task.result] = result;
}

} // namespace

cudaError_t prepare_diagonal_inverse() { return prepare_kernel(diagonal_inverse_kernel); }

FactorLayer add_diagonal_layer(const LayerShape& shape, const LayerMemory& memory, int32_t layer, int32_t first_result,
                               bool triangles, std::vector<DiagonalTask>& tasks) {
  const BlockLayout& blocks = shape.blocks;
  FactorLayer result{};
  result.record = memory.record;
  result.psi = memory.psi;
  result.psi_inverse = memory.psi_inverse;
  result.lambda_phi = memory.lambda_phi;
  result.outputs = static_cast<int32_t>(shape.outputs);
  result.first_result = first_result;
  result.blocks = static_cast<int32_t>(blocks.count());
  result.layer = layer;
  for (int64_t k = 0; k < blocks.count(); ++k)
    tasks.push_back({memory.phi + blocks.offset(k), memory.phi_inverse + blocks.offset(k), memory.record,
                     static_cast<int32_t>(blocks.size(k)), layer, first_result + static_cast<int32_t>(k), triangles});
  return result;
}

cudaError_t launch_diagonal_inverse(const DiagonalTask* tasks, int32_t count, const DampingRule& rule,
                                    const int32_t* due, FactorResult* results, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return launch(diagonal_inverse_kernel, dim3(static_cast<unsigned>(count)), dim3(kThreads), 0, stream, tasks, rule,
                due, results);
}

} // namespace lngd::cuda
