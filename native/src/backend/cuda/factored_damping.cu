// SPDX-License-Identifier: Apache-2.0
// FACTORED damping (KFAC's) on the device: lambda of each block from the traces of both factors of its group, before
// factor_inverse, which then takes it instead of its own rule (DampingRule::given). A launch of its own, d + m numbers
// read for each group: a block of factor_inverse would have to read both diagonals of its group again, and there may be
// 36 of them.
#include "backend/cuda/factor_damping.cuh"
#include "backend/cuda/second_factor.h"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// Diagonal element i of a group's blocks, as BlockLayout has them.
__device__ __forceinline__ int64_t diagonal_at(int i, int d, int block) {
  const auto leading = [](int n) { return (int64_t{n} + kRowAlign - 1) / kRowAlign * kRowAlign; };
  const int begin = i / block * block;
  return begin * leading(block) + (i - begin) * (leading(min(block, d - begin)) + 1);
}

// tr / d over the block of threads, in all of them; always added in the same order.
__device__ double mean_of(const float* blocks, int d, int block, double (&of_warp)[kWarps]) {
  double sum = 0;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < d; i += kThreads)
    sum += static_cast<double>(blocks[diagonal_at(i, d, block)]);
  sum = warp_sum(sum);
  __syncthreads(); // the sum before has been read
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  double total = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += of_warp[warp];
  return total / d;
}

__global__ void __launch_bounds__(kThreads) factored_damping_kernel(const DampedGroup* groups, double factor,
                                                                    double floor, const int32_t* due, double* lambdas) {
  __shared__ double of_warp[kWarps];
  const DampedGroup& group = groups[blockIdx.x];
  if (!is_due(group.record, due, group.layer)) return; // the same in the whole block
  const double first = mean_of(group.first, group.d, group.block, of_warp);
  const double second = mean_of(group.second, group.rows, group.second_block, of_warp);
  const double pi = first > 0 && second > 0 ? sqrt(first / second) : 1.0, root = sqrt(factor);
  const int thread = static_cast<int>(threadIdx.x);
  for (int k = thread; k < group.blocks; k += kThreads) lambdas[group.first_result + k] = fmax(root * pi, floor);
  for (int k = thread; k < group.second_blocks; k += kThreads)
    lambdas[group.second_result + k] = fmax(root / pi, floor);
}

} // namespace

cudaError_t prepare_factored_damping() { return prepare_kernel(factored_damping_kernel); }

void append_damped_groups(const LayerShape& shape, const LayerMemory& memory, const FactorLayer& layer,
                          std::vector<DampedGroup>& groups) {
  const auto blocks = static_cast<int32_t>(shape.blocks.group_blocks());
  const auto second_blocks = static_cast<int32_t>(shape.second.group_blocks());
  for (int32_t g = 0; g < shape.groups; ++g) {
    DampedGroup group{};
    group.record = memory.record;
    group.first = memory.phi + g * shape.blocks.group_floats();
    group.second = memory.second + g * shape.second.group_floats();
    group.d = static_cast<int32_t>(shape.blocks.d);
    group.block = static_cast<int32_t>(shape.blocks.block);
    group.rows = static_cast<int32_t>(shape.second.d);
    group.second_block = static_cast<int32_t>(shape.second.block);
    group.first_result = layer.first_result + g * blocks;
    group.blocks = blocks;
    group.second_result = layer.first_result + layer.blocks + g * second_blocks;
    group.second_blocks = second_blocks;
    group.layer = layer.layer;
    groups.push_back(group);
  }
}

cudaError_t launch_factored_damping(const DampedGroup* groups, int32_t count, double factor, double floor,
                                    const int32_t* due, double* lambdas, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return launch(factored_damping_kernel, dim3(static_cast<unsigned>(count)), dim3(kThreads), 0, stream, groups, factor,
                floor, due, lambdas);
}

} // namespace lngd::cuda
