// SPDX-License-Identifier: Apache-2.0
// layer_rate: alpha_l = <D, G> / (C + mu) (paper 3.2, eq. 12-13), and from it by step_rules.h the coefficient of the
// layer: zeta = coefficient D. All of it stays in the layer's record on the device. What is measured here:
//
//   EMPIRICAL   C = (1/N) sum_n x_n^2, x_n = sum_t delta_nt^T D a_nt; the x_n come in parts from rate_projection.cu.
//   KRONECKER   C = tr(Psi D Phi D^T) = sum over blocks of
//                 <D,G> - lambda_Phi <D, Psi_d D> - lambda_Psi <D, Psi_d^-1 G> + lambda_Phi lambda_Psi ||D||^2
//               since G = Psi_d D Phi_d with the damped factors Psi_d = Psi + lambda_Psi, Phi_d = Phi + lambda_Phi. All
//               four come with precondition.
#include "backend/cuda/layer_rate.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;

// The sum over the block, in every thread, always added in the same order.
__device__ double block_sum(double value, double (&of_warp)[kThreads / 32]) {
  value = warp_sum(value);
  __syncthreads(); // the sum before has been read
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  double total = 0;
  for (int warp = 0; warp < kThreads / 32; ++warp) total += of_warp[warp];
  return total;
}

// This thread's part of sum_n x_n^2.
__device__ double squares(const RateLayer& layer) {
  const int slots = rate_slots(layer), row_tiles = rate_row_tiles(layer), column_tiles = rate_column_tiles(layer);
  double sum = 0;
  for (int n = static_cast<int>(threadIdx.x); n < layer.used; n += kThreads) {
    const int64_t row0 = int64_t{n} * layer.positions, row1 = row0 + layer.positions - 1;
    double x = 0;
    for (int64_t tile = row0 / kRateRows; tile <= row1 / kRateRows; ++tile) {
      const double* const from = layer.partial + tile * slots + (n - tile * kRateRows / layer.positions);
#pragma unroll 8 // loads under way at once: this is one block
      for (int c = 0; c < column_tiles; ++c) x += from[int64_t{c} * row_tiles * slots];
    }
    sum += x * x;
  }
  return sum;
}

// The record of a parameter outside of any layer, by the whole block.
__device__ void rate_parameter_layer(const StepRules& rules, const RateLayer& layer, double (&of_warp)[kThreads / 32]) {
  ParameterSums mine{};
  for (int i = static_cast<int>(threadIdx.x); i < layer.tiles; i += kThreads) add(mine, layer.parameter_sums[i]);
  ParameterSums total{};
  total.direction_gradient = block_sum(mine.direction_gradient, of_warp);
  total.direction_direction = block_sum(mine.direction_direction, of_warp);
  total.gradient_gradient = block_sum(mine.gradient_gradient, of_warp);
  total.weight_weight = block_sum(mine.weight_weight, of_warp);
  if (threadIdx.x == 0) rate_parameter(layer.parameter_rules, rules.factor, total, *layer.record);
}

// A block a layer.
__global__ void __launch_bounds__(kThreads) layer_rate_kernel(const StepSettings* settings, const RateLayer* layers,
                                                              const DirectionTile* tiles, const DirectionSums* sums) {
  __shared__ double of_warp[kThreads / 32];
  const RateLayer& layer = layers[blockIdx.x];
  LayerRecord& record = *layer.record;
  if (settings->gradients.skip != 0) { // the same for all
    if (threadIdx.x == 0) skip_step(record);
    return;
  }
  if (layer.parameter_sums) {
    rate_parameter_layer(settings->rules, layer, of_warp);
    return;
  }
  if (!record.has_inverse) { // the same in the whole block; nobody else writes has_inverse
    if (threadIdx.x == 0) skip_step(record);
    return;
  }
  const double lambda_psi = record.lambda_psi;
  DirectionSums mine{};
  double kronecker = 0;
  for (int i = static_cast<int>(threadIdx.x); i < layer.tiles; i += kThreads) {
    const DirectionSums& s = sums[layer.first_tile + i];
    const double lambda_phi = layer.lambda_phi[tiles[layer.first_tile + i].block];
    mine.direction_gradient += s.direction_gradient;
    mine.direction_direction += s.direction_direction;
    mine.weight_weight += s.weight_weight;
    kronecker += s.direction_gradient - lambda_phi * s.direction_psi - lambda_psi * s.psi_gradient +
                 lambda_phi * lambda_psi * s.direction_direction;
  }
  DirectionSums total{};
  total.direction_gradient = block_sum(mine.direction_gradient, of_warp);
  total.direction_direction = block_sum(mine.direction_direction, of_warp);
  total.weight_weight = block_sum(mine.weight_weight, of_warp);
  double curvature = 0;
  if (settings->rules.rate == LNGD_RATE_KRONECKER) {
    curvature = block_sum(kronecker, of_warp);
    if (curvature < 0) curvature = 0; // rounding, where the undamped part is nothing
  }
  // A gradient that is not finite shows in <D, G>; then there is nothing to measure.
  if (settings->rules.rate == LNGD_RATE_EMPIRICAL && isfinite(total.direction_gradient))
    curvature = block_sum(squares(layer), of_warp) / static_cast<double>(layer.used) *
                (settings->gradients.inverse * settings->gradients.inverse); // of the deltas; D has no scale any more
  if (threadIdx.x == 0)
    rate_step(settings->rules, layer.rules,
              {total.direction_gradient, curvature, sqrt(total.direction_direction), sqrt(total.weight_weight)},
              record);
}

} // namespace

cudaError_t prepare_layer_rate() {
  const cudaError_t error = prepare_kernel(layer_rate_kernel);
  return error == cudaSuccess ? prepare_rate_projections() : error;
}

cudaError_t launch_layer_rate(const StepSettings* settings, const RateLayer* layers, int32_t layer_count,
                              const DirectionTile* tiles, const DirectionSums* sums, cudaStream_t stream) {
  if (layer_count == 0) return cudaSuccess;
  return launch(layer_rate_kernel, dim3(static_cast<unsigned>(layer_count)), dim3(kThreads), 0, stream, settings,
                layers, tiles, sums);
}

} // namespace lngd::cuda
