// SPDX-License-Identifier: Apache-2.0
// factor_inverse for matrices of at most 128 rows: thousands of them in one launch, each by a warp or a block of
// threads of its own (factor_block.cuh says how).
//
//   A = Phi_hat + lambda I        A^-1 = X^T X,  X = L^-1,  A = L L^T
//
// Where a task wants the triangle X (orthogonalise), that is what is written, without the product.
//
// A pivot that is not a positive number: ten times the damping and again, at most 6 times; then the old inverse stays.
// The inverse is written when all of X is there and not before.
//
// What 128 rows should cost (not measured yet). Executed: 1.6 M fused multiply-adds in tiles of 32 (n^3 / 2 = 1.05 M
// are needed), 98 KB moved. A multiprocessor of H100 does 128 a cycle, of which pieces of 4 x 8 leave two thirds (12
// cycles of shared memory for 8 of arithmetic): 19,000 cycles or 11 us a matrix where three share it; one of A100 does
// 64 a cycle: 25,000 cycles, 18 us. A lone matrix waits for its chain: 4 diagonal tiles of about 2,800 cycles, 4 solves
// of 900, the product of 5,600 and 2,000 of loads and stores make 22,000 cycles, 13 us on H100.
#include "backend/cuda/factor_block.cuh"
#include "backend/cuda/factor_damping.cuh"

namespace lngd::cuda {
namespace {

__device__ __forceinline__ KeptFactor kept_factor(const FactorTask& task) { return {task.factor, task.ld, task.size}; }

// A warp a matrix. A block of threads is four of them that know nothing of each other.
constexpr int kWarpsABlock = 4;

__global__ void __launch_bounds__(32 * kWarpsABlock)
    factor_warp_kernel(const FactorTask* tasks, int count, DampingRule rule, const int32_t* due,
                       FactorResult* results) {
  __shared__ __align__(16) float tiles[kWarpsABlock][kTileFloats];
  const int index = static_cast<int>(blockIdx.x) * kWarpsABlock + warp_id();
  if (index >= count) return; // the whole warp; the block has no barrier
  const FactorTask& task = tasks[index];
  float* const tile = tiles[warp_id()];
  FactorResult result{0.0, 0, -1, 0};
  const int tries = is_due(task.record, due, task.layer) ? kFactorRetries + 1 : 0; // the same in the whole warp
  double lambda = tries == 0 ? 0.0 : first_damping(rule, task);
  for (int t = 0; t < tries && !result.renewed; ++t) {
    if (t > 0) ++result.retries, lambda *= 10;
    load_lower(task.phi, task.ld, task.size, tile, lane_id(), 32);
    cp_async_wait<0>();
    __syncwarp();
    damp(tile, task.size, lambda, lane_id(), 32);
    __syncwarp();
    const int pivot = warp_invert_diagonal(tile, task.factor, task.ld, task.size);
    result.renewed = pivot < 0;
    if (pivot >= 0) result.failed_pivot = pivot;
  }
  if (result.renewed) {
    result.lambda = lambda;
    if (task.triangle) {
      write_triangle(tile, task.size, task.inverse, task.ld, lane_id(), 32);
    } else {
      Piece piece;
      clear(piece);
      warp_tn<kTilePitch, kTilePitch>(tile, tile, piece);
      store_symmetric(piece, 0, 0, task.size, task.inverse, task.ld);
    }
  }
  if (lane_id() == 0) results[task.result] = result;
}

// Tiles, then the panel.
constexpr size_t shared_bytes(int n) {
  return (size_t{1} * lower_tiles(tiles_of(n)) + tiles_of(n) - 1) * kTileFloats * sizeof(float);
}

// A block of threads a matrix. Six warps: as many as there are halves of tiles to solve, and three such blocks have 112
// registers a thread. That many share a multiprocessor of Hopper, two of A100 (60 KB of shared memory each).
constexpr int kBlockWarps = 6, kPairWarps = 2;

template <int kWarps>
__global__ void __launch_bounds__(32 * kWarps, kWarps == kBlockWarps ? 3 : 8)
    factor_block_kernel(const FactorTask* tasks, DampingRule rule, const int32_t* due, FactorResult* results) {
  SIMT_DYNAMIC_SHARED(float, tiles);
  __shared__ int bad;
  __shared__ FactorResult result; // of the tries so far; in registers it would spill
  constexpr int kThreads = 32 * kWarps;
  const int thread = static_cast<int>(threadIdx.x);
  const FactorTask& task = tasks[blockIdx.x];
  const int tries = is_due(task.record, due, task.layer) ? kFactorRetries + 1 : 0; // the same in the whole block
  if (thread < 32) {
    const double lambda = tries == 0 ? 0.0 : first_damping(rule, task);
    if (thread == 0) result = {lambda, 0, -1, 0};
  }
  bool done = false;
  for (int t = 0; t < tries && !done; ++t) {
    if (thread == 0 && t > 0) ++result.retries, result.lambda *= 10;
    // No barrier: a failed try ended with one, and what follows it read nothing but the pivot.
    load_lower(task.phi, task.ld, task.size, tiles, thread, kThreads);
    cp_async_wait<0>();
    __syncthreads();
    damp(tiles, task.size, result.lambda, thread, kThreads);
    __syncthreads();
    const int count = tiles_of(task.size);
    const int pivot =
        invert_lower<kWarps>(tiles, tiles + lower_tiles(count) * kTileFloats, count, kept_factor(task), &bad);
    done = pivot < 0;
    if (!done && thread == 0) result.failed_pivot = pivot;
  }
  if (done && task.triangle) write_triangle(tiles, task.size, task.inverse, task.ld, thread, kThreads);
  if (done && !task.triangle) write_inverse<kWarps>(tiles, task.size, task.inverse, task.ld);
  if (thread != 0) return;
  results[task.result] = {done ? result.lambda : 0.0, result.retries, result.failed_pivot, done};
}

template <int kWarps>
cudaError_t launch_blocks(const FactorTask* tasks, FactorRange range, int32_t largest, const DampingRule& rule,
                          const int32_t* due, FactorResult* results, cudaStream_t stream) {
  if (range.count == 0) return cudaSuccess;
  return launch(factor_block_kernel<kWarps>, dim3(static_cast<unsigned>(range.count)), dim3(32 * kWarps),
                shared_bytes(largest), stream, tasks + range.first, rule, due, results);
}

} // namespace

cudaError_t prepare_factor_inverse() {
  cudaError_t error = prepare_kernel(factor_block_kernel<kBlockWarps>, shared_bytes(kBlockFactor));
  if (error == cudaSuccess) error = prepare_kernel(factor_block_kernel<kPairWarps>, shared_bytes(kPairFactor));
  if (error == cudaSuccess) error = prepare_kernel(factor_warp_kernel);
  if (error == cudaSuccess) error = prepare_factor_records();
  return error == cudaSuccess ? prepare_large_factors() : error;
}

cudaError_t launch_factor_inverse(const FactorPlan& plan, const FactorTables& tables, const DampingRule& rule,
                                  const int32_t* due, FactorResult* results, cudaStream_t stream) {
  cudaError_t error = launch_large_factors(plan, tables, rule, due, results, stream);
  if (error == cudaSuccess)
    error = launch_blocks<kBlockWarps>(tables.tasks, plan.blocks(), plan.largest_block(), rule, due, results, stream);
  if (error == cudaSuccess)
    error = launch_blocks<kPairWarps>(tables.tasks, plan.pairs(), kPairFactor, rule, due, results, stream);
  const FactorRange warps = plan.warps();
  if (error != cudaSuccess || warps.count == 0) return error;
  const auto blocks = static_cast<unsigned>((warps.count + kWarpsABlock - 1) / kWarpsABlock);
  return launch(factor_warp_kernel, dim3(blocks), dim3(32 * kWarpsABlock), 0, stream, tables.tasks + warps.first,
                warps.count, rule, due, results);
}

} // namespace lngd::cuda
