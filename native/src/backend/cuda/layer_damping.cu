// SPDX-License-Identifier: Apache-2.0
// Damping of blocks whose lambda follows from more than themselves (damped_by_layer), before factor_inverse, which then
// takes it instead of its own mean (DampingRule::given):
//
//   FACTORED             from the traces of both factors of the block's group
//   SIGNAL               from the trace over the layer's whole factor, and the mean squares in its record
//   RELATIVE, by layer   from the trace over the layer's whole factor
//
// A launch of its own, which reads each diagonal once: a block of factor_inverse would have to read those of its whole
// layer again, and there may be 36 of them.
#include "backend/cuda/factor_damping.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// Diagonal element i of the factor, counted through its groups, as BlockLayout has it.
__device__ __forceinline__ int64_t diagonal_at(const DampedFactor& f, int i) {
  if (f.is_diagonal) return i;
  const auto leading = [](int n) { return (int64_t{n} + kRowAlign - 1) / kRowAlign * kRowAlign; };
  const int group = i / f.d, column = i % f.d, begin = column / f.block * f.block;
  return group * f.group_floats + begin * leading(f.block) +
         (column - begin) * (leading(min(f.block, f.d - begin)) + 1);
}

// The mean diagonal element, by the block of threads, in all of them; always added in the same order. 0 without any.
__device__ double mean_of(const DampedFactor& f, double (&of_warp)[kWarps]) {
  if (f.count == 0) return 0;
  const int size = f.groups * f.d;
  double sum = 0;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < size; i += kThreads)
    sum += static_cast<double>(f.diagonal[diagonal_at(f, i)]);
  sum = warp_sum(sum);
  __syncthreads(); // the sum before has been read
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  double total = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += of_warp[warp];
  return total / size;
}

__device__ void store(const DampedFactor& f, double lambda, double* lambdas) {
  for (int k = static_cast<int>(threadIdx.x); k < f.count; k += kThreads) lambdas[f.first_result + k] = lambda;
}

__global__ void __launch_bounds__(kThreads)
    layer_damping_kernel(const DampedLayer* layers, const DampingRules rules, const int32_t* due, double* lambdas) {
  __shared__ double of_warp[kWarps];
  const DampedLayer& layer = layers[blockIdx.x];
  if (!is_due(layer.record, due, layer.layer)) return; // the same in the whole block
  const double first = mean_of(layer.phi, of_warp), second = mean_of(layer.second, of_warp);
  const double gamma = signal_gamma(rules, layer.record->input_square, layer.record->signal_square);
  const auto lambda = [&](double mean, bool is_second) {
    if (rules.rule == LNGD_DAMPING_FACTORED) return factored_damping(rules, first, second, is_second);
    if (rules.rule == LNGD_DAMPING_SIGNAL) return signal_damping(rules, gamma, mean, is_second);
    return mean_damping(rules, mean, is_second);
  };
  store(layer.phi, lambda(first, false), lambdas);
  store(layer.second, lambda(second, true), lambdas);
}

DampedFactor damped_factor(const BlockLayout& blocks, const float* average, int32_t first_result) {
  return {average,
          static_cast<int32_t>(blocks.d),
          static_cast<int32_t>(blocks.block),
          static_cast<int32_t>(blocks.groups),
          blocks.is_diagonal,
          blocks.group_floats(),
          first_result,
          static_cast<int32_t>(blocks.count())};
}

// Of one group alone.
DampedFactor of_group(DampedFactor factor, int32_t group) {
  factor.count /= factor.groups;
  factor.groups = 1;
  factor.diagonal += group * factor.group_floats;
  factor.first_result += group * factor.count;
  return factor;
}

} // namespace

void append_damped_layers(const LayerShape& shape, const LayerMemory& memory, const FactorLayer& layer, int32_t damping,
                          std::vector<DampedLayer>& layers) {
  DampedLayer all{};
  all.record = memory.record;
  all.phi = damped_factor(shape.blocks, memory.phi, layer.first_result);
  if (shape.second_matrix()) all.second = damped_factor(shape.second, memory.second, layer.first_second);
  all.layer = layer.layer;
  if (damping != LNGD_DAMPING_FACTORED) {
    layers.push_back(all);
    return;
  }
  for (int32_t g = 0; g < shape.groups; ++g) {
    layers.push_back(all);
    layers.back().phi = of_group(all.phi, g);
    layers.back().second = of_group(all.second, g);
  }
}

cudaError_t prepare_layer_damping() { return prepare_kernel(layer_damping_kernel); }

cudaError_t launch_layer_damping(const DampedLayer* layers, int32_t count, const DampingRules& rules,
                                 const int32_t* due, double* lambdas, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return launch(layer_damping_kernel, dim3(static_cast<unsigned>(count)), dim3(kThreads), 0, stream, layers, rules, due,
                lambdas);
}

} // namespace lngd::cuda
