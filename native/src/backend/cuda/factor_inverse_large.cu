// SPDX-License-Identifier: Apache-2.0
// factor_inverse for matrices of more than 128 rows: the sweep of factor_block.cuh once more, with panels of 128
// columns in place of tiles of 32, and many blocks of threads a matrix. All matrices of a wave go through it together:
//
//   begin          lambda, and the first diagonal tile
//   solve(k)       P_i = A_ik X_kk^T         X_kj = -X_kk T_kj
//   update(k)      A_ij -= P_i P_j^T         T_ij += P_i X_kj       T_ik = P_i X_kk
//                  and, by the first block, diagonal tile k + 1 from its update to its inverse
//   product        A^-1 = X^T X
//   finish         the results, and retries (factor_retry.cu)
//
// 2 p + 2 launches for p panels. The diagonal tiles are a chain of p links, each hidden behind the rest of an update.
// The host is never asked. Whether tile k could be factorised is a flag in the workspace that later launches read; with
// it down they return at once, and the inverse, written by `product`, stays as it was.
//
// What 4608 rows should cost (not measured yet): n^3 = 98 G operations at two thirds of the float rate for loads from
// shared memory and some loss at the edges, 38 TFLOP/s on H100 or 2.6 ms; on A100, whose rate is half of that a
// multiprocessor, 15 TFLOP/s or 6.5 ms. Updates move five tiles' worth of bytes for a product of two, the product
// three halves of that: 6.6 GB in all, 2.5 TB/s at that speed, most of it from the L2 cache.
//
// The workspace holds a header, a flag a panel, the lower tiles of 128 x 128 and the panel P. Phi itself is read in
// step 0, so it is not copied.
#include "backend/cuda/factor_large_tasks.cuh"

namespace lngd::cuda {

using namespace large;

namespace {

// tr(Phi) / n by the whole block.
__device__ double block_mean_diagonal(const FactorTask& task, double* of_warp) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < task.size; i += kThreads) sum += task.phi[i * task.ld + i];
  sum = warp_sum(sum);
  if (lane_id() == 0) of_warp[warp_id()] = sum;
  __syncthreads();
  sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += of_warp[warp];
  return sum / task.size;
}

// The matrix m of a launch whose tasks hold the block's: starts[m] <= block < starts[m + 1].
__device__ __forceinline__ int find_matrix(const int32_t* starts, int matrices, int block) {
  int low = 0, high = matrices;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (starts[middle] <= block) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

__global__ void __launch_bounds__(kThreads, 2)
    begin_kernel(const FactorTask* tasks, float* workspace, DampingRule rule, const int32_t* due) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ int bad;
  __shared__ double of_warp[kWarps];
  const Large m(tasks[blockIdx.x], workspace);
  const bool wanted = is_due(m.task.record, due, m.task.layer);
  const double lambda = !wanted      ? 0.0
                        : rule.given ? rule.given[m.task.result]
                                     : mean_damping(rule.rules, block_mean_diagonal(m.task, of_warp), m.task.second);
  if (threadIdx.x == 0) {
    m.header() = {lambda, wanted ? 1 : 0, -1};
    if (!wanted) m.ok(0) = 0;
  }
  __syncthreads();
  if (wanted) diagonal_task(m, 0, lambda, shared, &bad);
}

__global__ void __launch_bounds__(kThreads, 2)
    solve_kernel(const FactorTask* tasks, const int32_t* starts, int matrices, int k, float* workspace) {
  SIMT_DYNAMIC_SHARED(float, shared);
  const int index = find_matrix(starts, matrices, static_cast<int>(blockIdx.x));
  const Large m(tasks[index], workspace);
  if (m.ok(k)) solve_task(m, k, static_cast<int>(blockIdx.x) - starts[index], shared);
}

__global__ void __launch_bounds__(kThreads, 2)
    update_kernel(const FactorTask* tasks, const int32_t* starts, int matrices, int k, float* workspace) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ int bad;
  const int index = find_matrix(starts, matrices, static_cast<int>(blockIdx.x));
  const int t = static_cast<int>(blockIdx.x) - starts[index];
  const Large m(tasks[index], workspace);
  if (m.ok(k)) {
    update_task(m, k, t, m.header().lambda, shared, &bad);
  } else if (t == 0 && threadIdx.x == 0) {
    m.ok(k + 1) = 0;
  }
}

__global__ void __launch_bounds__(kThreads, 2)
    product_kernel(const FactorTask* tasks, const int32_t* starts, int matrices, float* workspace) {
  SIMT_DYNAMIC_SHARED(float, shared);
  const int index = find_matrix(starts, matrices, static_cast<int>(blockIdx.x));
  const Large m(tasks[index], workspace);
  const int t = static_cast<int>(blockIdx.x) - starts[index], passed = m.ok(m.task.panels - 1);
  if (t == 0 && threadIdx.x == 0) m.header().passed = passed;
  if (passed) product_task(m, t, shared);
}

} // namespace

cudaError_t prepare_large_factors() {
  const cudaError_t error = prepare_kernels(kSharedBytes, begin_kernel, solve_kernel, update_kernel, product_kernel);
  return error == cudaSuccess ? prepare_factor_retry() : error;
}

cudaError_t launch_large_factors(const FactorPlan& plan, const FactorTables& tables, const DampingRule& rule,
                                 const int32_t* due, FactorResult* results, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  const dim3 threads(kThreads);
  const auto grid = [](int32_t blocks) { return dim3(static_cast<unsigned>(blocks)); };
  for (const FactorWave& wave : plan.waves()) {
    const FactorTask* const tasks = tables.tasks + wave.range.first;
    float* const work = tables.workspace;
    error = launch(begin_kernel, grid(wave.range.count), threads, kSharedBytes, stream, tasks, work, rule, due);
    for (size_t k = 0; k < wave.solve.size() && error == cudaSuccess; ++k) {
      const FactorLaunch& solve = wave.solve[k];
      error = launch(solve_kernel, grid(solve.blocks), threads, kSharedBytes, stream, tasks,
                     tables.starts + solve.starts, solve.matrices, static_cast<int>(k), work);
      if (error != cudaSuccess || k == wave.update.size()) continue;
      const FactorLaunch& update = wave.update[k];
      error = launch(update_kernel, grid(update.blocks), threads, kSharedBytes, stream, tasks,
                     tables.starts + update.starts, update.matrices, static_cast<int>(k), work);
    }
    if (error != cudaSuccess) return error;
    const FactorLaunch& product = wave.product;
    error = launch(product_kernel, grid(product.blocks), threads, kSharedBytes, stream, tasks,
                   tables.starts + product.starts, product.matrices, work);
    if (error == cudaSuccess) error = launch_factor_retry(wave, tables, results, stream);
    if (error != cudaSuccess) return error;
  }
  return error;
}

} // namespace lngd::cuda
