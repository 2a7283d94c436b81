// SPDX-License-Identifier: Apache-2.0
// The end of factor_inverse: what became of a layer's blocks goes into its record, and Psi_inv where at least one block
// was renewed and psi is a vector. A launch of its own: a layer's blocks are done when the launches before it are.
#include "backend/cuda/factor_damping.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// Of the blocks that a thread, a warp, a block of threads has seen. All integers: any order of adding gives the same.
struct Summary {
  int32_t retries, failures, renewed, missing; // missing: blocks that have no inverse yet
  int32_t last_failed;                         // the highest block with a failed try, or -1
};

// Lambda of a block: those of the second factor come behind those of Phi.
__device__ __forceinline__ double& lambda_of(const FactorLayer& layer, int block) {
  return block < layer.blocks ? layer.lambda_phi[block] : layer.lambda_second[block - layer.blocks];
}

__device__ __forceinline__ const FactorResult& result_of(const FactorLayer& layer, int block,
                                                         const FactorResult* results) {
  return results[block < layer.blocks ? layer.first_result + block : layer.first_second + (block - layer.blocks)];
}

__device__ Summary join(const Summary& a, const Summary& b) {
  return {a.retries + b.retries, a.failures + b.failures, a.renewed + b.renewed, a.missing + b.missing,
          max(a.last_failed, b.last_failed)};
}

__device__ Summary warp_join(Summary s) {
  s = {warp_sum(s.retries), warp_sum(s.failures), warp_sum(s.renewed), warp_sum(s.missing), warp_max(s.last_failed)};
  return s;
}

// A grouped convolution may have thousands of blocks, so they are spread over the threads.
__device__ Summary take_results(const FactorLayer& layer, const FactorResult* results) {
  Summary mine{0, 0, 0, 0, -1};
  for (int block = static_cast<int>(threadIdx.x); block < layer.blocks + layer.second_blocks; block += kThreads) {
    const FactorResult& result = result_of(layer, block, results);
    double& lambda = lambda_of(layer, block);
    if (result.renewed) lambda = result.lambda;
    const bool has = lambda > 0;
    mine = join(mine, {result.retries, result.renewed ? 0 : 1, result.renewed ? 1 : 0, has ? 0 : 1,
                       result.failed_pivot >= 0 ? block : -1});
  }
  return warp_join(mine);
}

__device__ void write_record(const FactorLayer& layer, const Summary& s, const FactorResult* results) {
  LayerRecord& record = *layer.record;
  record.retries += s.retries;
  record.failed_inverses += s.failures;
  if (s.last_failed >= 0) {
    record.last_failed_block = s.last_failed;
    record.last_failed_pivot = result_of(layer, s.last_failed, results).failed_pivot;
  }
  if (s.renewed == 0) return;
  ++record.inverse_updates;
  // A block that never had an inverse has nothing to keep: the layer waits for it.
  if (s.missing == 0) record.has_inverse = 1;
}

// lambda_psi is the largest of a second factor's; every thread must come. They were written before the last barrier.
__device__ void publish_second(const FactorLayer& layer, double (&of_warp)[kWarps]) {
  double largest = 0;
  for (int k = static_cast<int>(threadIdx.x); k < layer.second_blocks; k += kThreads)
    largest = fmax(largest, layer.lambda_second[k]);
  largest = warp_max(largest);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = largest;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < kWarps; ++warp) largest = fmax(largest, of_warp[warp]);
  layer.record->lambda_psi = largest;
}

__global__ void __launch_bounds__(kThreads) factor_records_kernel(const FactorLayer* layers, DampingRule rule,
                                                                  const int32_t* due, const FactorResult* results) {
  __shared__ Summary of_warp[kWarps];
  __shared__ double of_warp_lambda[kWarps];
  const FactorLayer& layer = layers[blockIdx.x];
  if (!is_due(layer.record, due, layer.layer)) return; // the same in the whole block
  const int thread = static_cast<int>(threadIdx.x);
  const Summary mine = take_results(layer, results);
  if (thread % 32 == 0) of_warp[thread / 32] = mine;
  __syncthreads();
  Summary all = of_warp[0];
  for (int warp = 1; warp < kWarps; ++warp) all = join(all, of_warp[warp]);
  if (thread == 0) write_record(layer, all, results);
  if (all.renewed == 0) return;
  if (layer.second_blocks > 0) {
    publish_second(layer, of_warp_lambda);
    return;
  }
  if (layer.identity) {
    for (int i = thread; i < layer.outputs; i += kThreads) layer.psi_inverse[i] = 1.0f;
    if (thread == 0) layer.record->lambda_psi = 0;
    return;
  }
  double sum = 0;
  for (int i = thread % 32; i < layer.outputs; i += 32) sum += layer.psi[i];
  const double lambda = mean_damping(rule.rules, warp_sum(sum) / layer.outputs, true); // by every warp: the same bits
  for (int i = thread; i < layer.outputs; i += kThreads)
    layer.psi_inverse[i] = static_cast<float>(1.0 / (layer.psi[i] + lambda));
  if (thread == 0) layer.record->lambda_psi = lambda;
}

} // namespace

cudaError_t prepare_factor_records() { return prepare_kernel(factor_records_kernel); }

cudaError_t launch_factor_records(const FactorLayer* layers, int32_t layer_count, const DampingRule& rule,
                                  const int32_t* due, const FactorResult* results, cudaStream_t stream) {
  if (layer_count == 0) return cudaSuccess;
  return launch(factor_records_kernel, dim3(static_cast<unsigned>(layer_count)), dim3(kThreads), 0, stream, layers,
                rule, due, results);
}

} // namespace lngd::cuda
