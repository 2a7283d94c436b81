// SPDX-License-Identifier: Apache-2.0
// factor_inverse for diagonal blocks of at most 128 rows, the default preset's case: thousands of them in one launch,
// a block of threads each.
//
//   A = Phi_hat + lambda I = L L^T        A^-1 = L^-T L^-1
//
// All of it happens in one square of shared memory, in float. Both sweeps go by one column a barrier: a step reads the
// column it settles unscaled and writes only what lies behind it, so it needs no second barrier to scale.
//   factorisation   the lower triangle shrinks to what is left of A; L^T grows in the upper one, which A does not need
//   inversion       L^-1 grows in the lower triangle, which the factorisation no longer needs
// A pivot that is not a positive number: ten times the damping and again, at most 6 times; then the old inverse stays.
// The inverse is written when it is complete and not before.
#include "backend/cuda/kernels.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSide = 16; // threads form a square
constexpr int kRetries = 6;

// An odd pitch: rows and columns are both free of bank conflicts.
__host__ __device__ constexpr int pitch_of(int n) { return n | 1; }

// The square, then 1 / L(k, k).
constexpr size_t shared_bytes(int n) { return (size_t{1} * n * pitch_of(n) + n) * sizeof(float); }

__device__ double mean_diagonal(const FactorTask& task) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x) % 32; i < task.size; i += 32) sum += task.phi[i * task.ld + i];
  return warp_sum(sum) / task.size; // every warp for itself: the same bits in all threads
}

__device__ double damping(const DampingRule& rule, double mean) {
  return rule.relative ? fmax(rule.factor * mean, rule.floor) : fmin(fmax(mean, rule.least), rule.most);
}

__device__ void load_damped(const FactorTask& task, double lambda, float* a) {
  const int n = task.size, pitch = pitch_of(n);
  for (int at = static_cast<int>(threadIdx.x); at < n * n; at += kThreads) {
    const int i = at / n, j = at % n;
    if (j > i) continue;
    const float x = task.phi[i * task.ld + j];
    a[i * pitch + j] = i == j ? static_cast<float>(x + lambda) : x;
  }
}

// Leaves L^T in the strict upper triangle and 1 / L(k, k) in `reciprocal`. Returns the first bad pivot, or -1; the same
// in all threads.
__device__ int factorise(int n, float* a, float* reciprocal) {
  const int pitch = pitch_of(n), tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  for (int k = 0; k < n; ++k) {
    __syncthreads();
    const float pivot = a[k * pitch + k];
    if (!(pivot > 0) || isinf(pivot)) return k;
    const float r = 1.0f / sqrtf(pivot);
    if (threadIdx.x == 0) reciprocal[k] = r;
    for (int i = k + 1 + static_cast<int>(threadIdx.x); i < n; i += kThreads) a[k * pitch + i] = a[i * pitch + k] * r;
    for (int i = k + 1 + ty; i < n; i += kSide) {
      const float l = a[i * pitch + k] * r;
      for (int j = k + 1 + tx; j <= i; j += kSide) a[i * pitch + j] -= l * (a[j * pitch + k] * r);
    }
  }
  return -1;
}

// Leaves L^-1 in the lower triangle and 0 in the upper one.
__device__ void invert_triangle(int n, float* a, const float* reciprocal) {
  const int pitch = pitch_of(n), tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  __syncthreads();
  for (int i = ty; i < n; i += kSide)
    for (int j = tx; j <= i; j += kSide) a[i * pitch + j] = i == j ? 1.0f : 0.0f;
  for (int k = 0; k < n; ++k) { // row k is settled but for its scale
    __syncthreads();
    const float r = reciprocal[k];
    for (int i = k + 1 + ty; i < n; i += kSide) {
      const float l = a[k * pitch + i] * r;
      for (int j = tx; j <= k; j += kSide) a[i * pitch + j] -= l * a[k * pitch + j];
    }
  }
  __syncthreads();
  for (int i = ty; i < n; i += kSide)
    for (int j = tx; j < n; j += kSide) a[i * pitch + j] = j <= i ? a[i * pitch + j] * reciprocal[i] : 0.0f;
  __syncthreads();
}

// L^-T L^-1: a thread sums kPiece x kPiece elements, 16 apart, in registers; pieces wholly above the diagonal are left
// out, the lower triangle is written twice.
__device__ void multiply_transposed(int n, const float* m, float* inverse, int64_t ld) {
  constexpr int kPiece = 4;
  const int pitch = pitch_of(n), tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  for (int i0 = 0; i0 < n; i0 += kPiece * kSide)
    for (int j0 = 0; j0 <= i0; j0 += kPiece * kSide) {
      float sum[kPiece][kPiece] = {};
      for (int k = i0; k < n; ++k) { // rows above i0 of L^-1 end before column i0
        float left[kPiece], right[kPiece];
#pragma unroll
        for (int x = 0; x < kPiece; ++x) {
          const int i = i0 + ty + x * kSide, j = j0 + tx + x * kSide;
          left[x] = i <= k ? m[k * pitch + i] : 0.0f;
          right[x] = j <= k ? m[k * pitch + j] : 0.0f;
        }
#pragma unroll
        for (int x = 0; x < kPiece; ++x)
#pragma unroll
          for (int y = 0; y < kPiece; ++y) sum[x][y] += left[x] * right[y];
      }
#pragma unroll
      for (int x = 0; x < kPiece; ++x)
#pragma unroll
        for (int y = 0; y < kPiece; ++y) {
          const int i = i0 + ty + x * kSide, j = j0 + tx + y * kSide;
          if (i >= n || j > i) continue;
          inverse[i * ld + j] = sum[x][y];
          if (i != j) inverse[j * ld + i] = sum[x][y];
        }
    }
}

__global__ void __launch_bounds__(kThreads)
    factor_inverse_kernel(const FactorTask* tasks, DampingRule rule, FactorResult* results) {
  SIMT_DYNAMIC_SHARED(float, a);
  const FactorTask& task = tasks[blockIdx.x];
  FactorResult result{0.0, 0, -1, 0};
  if (task.record->has_average) { // the same in the whole block
    float* const reciprocal = a + task.size * pitch_of(task.size);
    double lambda = damping(rule, mean_diagonal(task));
    for (;; lambda *= 10) {
      __syncthreads(); // a failed try has been read to its end
      load_damped(task, lambda, a);
      const int bad = factorise(task.size, a, reciprocal);
      if (bad < 0) {
        result.lambda = lambda;
        result.renewed = 1;
        invert_triangle(task.size, a, reciprocal);
        multiply_transposed(task.size, a, task.inverse, task.ld);
        break;
      }
      result.failed_pivot = bad;
      if (result.retries == kRetries) break;
      ++result.retries;
    }
  }
  if (threadIdx.x == 0) results[blockIdx.x] = result;
}

// The results of a layer's blocks into its record, in the order of the blocks. Returns whether one was renewed.
__device__ bool record_blocks(const FactorLayer& layer, const FactorResult* results) {
  LayerRecord& record = *layer.record;
  bool all = true, any = false;
  for (int block = 0; block < layer.blocks; ++block) {
    const FactorResult& result = results[layer.first_task + block];
    record.retries += result.retries;
    if (result.failed_pivot >= 0) {
      record.last_failed_block = block;
      record.last_failed_pivot = result.failed_pivot;
    }
    if (result.renewed) {
      layer.lambda_phi[block] = result.lambda;
      any = true;
    } else {
      ++record.failed_inverses;
      all = false;
    }
  }
  if (any) ++record.inverse_updates;
  // A block that never had an inverse has nothing to keep: the layer waits for the next time.
  if (all) record.has_inverse = 1;
  return any;
}

// A launch of its own: a layer's blocks are done when the launch before it is.
__global__ void __launch_bounds__(kThreads)
    factor_records_kernel(const FactorLayer* layers, DampingRule rule, const FactorResult* results) {
  __shared__ bool renewed;
  const FactorLayer& layer = layers[blockIdx.x];
  if (!layer.record->has_average) return; // the same in the whole block
  if (threadIdx.x == 0) renewed = record_blocks(layer, results);
  __syncthreads();
  if (!renewed) return;
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x) % 32; i < layer.outputs; i += 32) sum += layer.psi[i];
  const double lambda = damping(rule, warp_sum(sum) / layer.outputs);
  for (int i = static_cast<int>(threadIdx.x); i < layer.outputs; i += kThreads)
    layer.psi_inverse[i] = static_cast<float>(1.0 / (layer.psi[i] + lambda));
  if (threadIdx.x == 0) layer.record->lambda_psi = lambda;
}

} // namespace

cudaError_t prepare_factor_inverse() {
  return cudaFuncSetAttribute(factor_inverse_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(shared_bytes(kBlockFactor)));
}

cudaError_t launch_factor_inverse(const FactorTask* tasks, int32_t task_count, int32_t largest, const DampingRule& rule,
                                  FactorResult* results, cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(factor_inverse_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), shared_bytes(largest),
                stream, tasks, rule, results);
}

cudaError_t launch_factor_records(const FactorLayer* layers, int32_t layer_count, const DampingRule& rule,
                                  const FactorResult* results, cudaStream_t stream) {
  if (layer_count == 0) return cudaSuccess;
  return launch(factor_records_kernel, dim3(static_cast<unsigned>(layer_count)), dim3(kThreads), 0, stream, layers,
                rule, results);
}

} // namespace lngd::cuda
