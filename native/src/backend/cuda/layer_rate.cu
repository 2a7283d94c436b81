// SPDX-License-Identifier: Apache-2.0
// layer_rate: alpha_l = <D, G> / (C + mu) (paper 3.2, eq. 12-13), the trust ratio, and from both the coefficient of the
// layer: zeta = coefficient D. All of it stays in the layer's record on the device.
//
//   EMPIRICAL   C = (1/N) sum_n x_n^2, x_n = sum_t delta_nt^T D a_nt. A first launch multiplies A D^T in tiles of
//               64 x 128 (tile_product.cuh) and reduces them against delta while they are in registers: the N x m
//               matrix never exists, a tile leaves one number for each of its samples.
//   KRONECKER   C = tr(Psi D Phi D^T) = sum over blocks of
//                 <D,G> - lambda_Phi <D, Psi_d D> - lambda_Psi <D, Psi_d^-1 G> + lambda_Phi lambda_Psi ||D||^2
//               since G = Psi_d D Phi_d with the damped factors Psi_d = Psi + lambda_Psi, Phi_d = Phi + lambda_Phi. All
//               four come with precondition.
//
// Counts for EMPIRICAL: 2 N m d operations, three times that on the tensor cores; D is read N/64 times and A m/128
// times, all but the first from the second cache: 64 tensor operations a byte of it, so 2.4 TB/s where an A100
// multiplies at its peak.
#include "backend/cuda/layer_rate.h"
#include "backend/cuda/tile_product.cuh"

namespace lngd::cuda {
namespace {

static_assert(kRateRows == kProductRows && kRateColumns == kProductColumns, "a tile is a product");

constexpr int kThreads = 256;
constexpr double kSmallestNorm = 1e-3; // of W in the trust ratio: a layer that starts at zero must be able to leave it

// Samples as operand A, and their deltas. A convolution's would differ in where row (sample, position) begins and in
// find(): its `Table` then holds what an implicit patch needs of its row.
struct DenseSamples {
  struct Table {
    int64_t input[kProductRows], delta[kProductRows]; // where the rows of the tile begin
  };
  const RateLayer& layer;
  const Table& table;
  const float* data; // copied: the layer's own are read again after every copy to shared memory
  int64_t stride;
  int rows, columns;

  __device__ DenseSamples(const RateLayer& of, const Table& placed, int count)
      : layer(of),
        table(placed),
        data(of.sample_inputs.data),
        stride(of.sample_inputs.cs),
        rows(count),
        columns(of.inputs) {}
  static __device__ __forceinline__ void place(const RateLayer& layer, int64_t sample, int, int row, Table& table) {
    table.input[row] = sample * layer.sample_inputs.rs;
    table.delta[row] = sample * layer.sample_deltas.rs;
  }
  __device__ Along way() const { return along(data, layer.sample_inputs.rs, stride); }
  __device__ __forceinline__ const float* find(int row, int k) const {
    return row < rows && k < columns ? data + table.input[row] + k * stride : nullptr;
  }
  __device__ __forceinline__ const float* find_quad(int row, int k) const {
    return k + 3 < columns ? find(row, k) : nullptr;
  }
  __device__ __forceinline__ const float* anywhere() const { return layer.direction; }
  __device__ __forceinline__ bool computes() const { return false; }
  __device__ __forceinline__ float value(int, int) const { return 0; }
  __device__ __forceinline__ float delta(int row, int column) const {
    return layer.sample_deltas.data[table.delta[row] + column * layer.sample_deltas.cs];
  }
};

// y[w][row] = sum over the columns of the w-th quarter of the tile of delta (A D^T + bias). Eight products in float,
// the rest in double (precondition.cu says why).
template <class Samples>
__device__ void project(const Samples& samples, const ProjectionTask& task, const float (&acc)[2][4][4],
                        double (&y)[4][kProductRows]) {
  const RateLayer& layer = samples.layer;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int row = product_row(i, high);
      float run = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int column = task.column0 + product_column(j) + e;
          if (row >= samples.rows || column >= task.column_end) continue;
          const float bias = layer.bias_column ? layer.direction[column * layer.ldw + layer.inputs] : 0.0f;
          run += samples.delta(row, column) * (acc[i][j][2 * high + e] + bias);
        }
      double sum = run; // over the four lanes that have columns of this row
      sum += __shfl_xor_sync(kFullWarp, sum, 1);
      sum += __shfl_xor_sync(kFullWarp, sum, 2);
      if (lane % 4 == 0) y[warp % 4][row] = sum;
    }
}

template <class Samples>
__global__ void __launch_bounds__(kProductThreads, 2)
    projection_kernel(const RateLayer* layers, const ProjectionTask* tasks) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ typename Samples::Table table;
  __shared__ double y[4][kProductRows];
  const ProjectionTask task = tasks[blockIdx.x];
  const RateLayer& layer = layers[task.layer];
  if (!layer.record->has_inverse) return; // the whole block; layer_rate skips the layer
  const int64_t row0 = int64_t{task.row_tile} * kProductRows;
  const int positions = layer.positions;
  const int rows = static_cast<int>(min(int64_t{kProductRows}, int64_t{layer.used} * positions - row0));
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32;
  if (thread < rows) {
    const int64_t at = row0 + thread, number = at / positions;
    const int64_t sample = layer.used == layer.samples ? number : number * layer.samples / layer.used;
    Samples::place(layer, sample, static_cast<int>(at - number * positions), thread, table);
  }
  __syncthreads();

  const Samples samples(layer, table, rows);
  const Along way = samples.way();
  const float* const d = layer.direction + task.column0 * layer.ldw;
  const int columns = task.column_end - task.column0;
  float acc[2][4][4] = {};
  multiply_tile(
      shared, (layer.inputs + kSlice - 1) / kSlice, warp / 4 * 32 < rows && warp % 4 * 32 < columns,
      [&](float* slot, int k0) { load_rows(samples, way, slot, k0); },
      [&](float* slot, int k0) { load_columns(d, layer.ldw, columns, layer.inputs, slot, k0); }, acc);
  project(samples, task, acc, y);
  __syncthreads();

  // A sample's rows in the tile, in order; one row where there are no positions.
  const int64_t first = row0 / positions;
  const int slots = static_cast<int>((row0 + rows - 1) / positions - first) + 1, room = rate_slots(layer);
  double* const to = layer.partial + (int64_t{task.column_tile} * rate_row_tiles(layer) + task.row_tile) * room;
  for (int slot = thread; slot < slots; slot += kProductThreads) {
    const int begin = static_cast<int>(max(int64_t{0}, (first + slot) * positions - row0));
    const int end = static_cast<int>(min(int64_t{rows}, (first + slot + 1) * positions - row0));
    double sum = 0;
    for (int row = begin; row < end; ++row) sum += y[0][row] + y[1][row] + y[2][row] + y[3][row];
    to[slot] = sum;
  }
}

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

__device__ void skip(LayerRecord& record) {
  record.last_step_skipped = 1;
  record.coefficient = 0;
  ++record.skipped_steps;
}

// The rules; by one thread.
__device__ void settle(const StepSettings& s, const RateLayer& layer, const DirectionSums& sums, double curvature) {
  LayerRecord& record = *layer.record;
  const double inner = sums.direction_gradient;
  const double alpha = s.rate == LNGD_RATE_NONE ? 1.0 : inner / (curvature + s.mu);
  const double direction_norm = sqrt(sums.direction_direction), weight_norm = sqrt(sums.weight_weight);
  // Trust ratio: the length of alpha_l D beside tau max(||W||, 1e-3).
  const double length = fabs(alpha) * direction_norm;
  const double trusted =
      s.trust_ratio * layer.trust_slope * (weight_norm > kSmallestNorm ? weight_norm : kSmallestNorm);
  double trust = 1.0;
  if (s.trust == LNGD_TRUST_ALWAYS && length > 0) trust = trusted / length;
  if (s.trust == LNGD_TRUST_CAP && s.learning_rate * length > trusted) trust = trusted / (s.learning_rate * length);
  const double coefficient = -s.learning_rate * s.factor * alpha * trust;
  record.alpha = alpha;
  record.inner_product = inner;
  record.curvature = curvature;
  record.direction_norm = direction_norm;
  record.weight_norm = weight_norm;
  record.trust_scale = trust;
  const bool sound = isfinite(inner) && isfinite(direction_norm) && isfinite(curvature) && isfinite(coefficient) &&
                     isfinite(static_cast<float>(coefficient));
  if (!sound) return skip(record);
  record.last_step_skipped = 0;
  record.coefficient = coefficient;
  ++record.moves;
}

// A block a layer.
__global__ void __launch_bounds__(kThreads) layer_rate_kernel(const StepSettings* settings, const RateLayer* layers,
                                                              const DirectionTile* tiles, const DirectionSums* sums) {
  __shared__ double of_warp[kThreads / 32];
  const RateLayer& layer = layers[blockIdx.x];
  LayerRecord& record = *layer.record;
  if (!record.has_inverse) { // the same in the whole block; nobody else writes has_inverse
    if (threadIdx.x == 0) skip(record);
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
  if (settings->rate == LNGD_RATE_KRONECKER) {
    curvature = block_sum(kronecker, of_warp);
    if (curvature < 0) curvature = 0; // rounding, where the undamped part is nothing
  }
  // A gradient that is not finite shows in <D, G>; then there is nothing to measure.
  if (settings->rate == LNGD_RATE_EMPIRICAL && isfinite(total.direction_gradient))
    curvature = block_sum(squares(layer), of_warp) / static_cast<double>(layer.used);
  if (threadIdx.x == 0) settle(*settings, layer, total, curvature);
}

} // namespace

cudaError_t prepare_layer_rate() {
  return cudaFuncSetAttribute(projection_kernel<DenseSamples>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(kProductBytes));
}

cudaError_t launch_rate_projections(const RateLayer* layers, const ProjectionTask* tasks, int32_t task_count,
                                    cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(projection_kernel<DenseSamples>, dim3(static_cast<unsigned>(task_count)), dim3(kProductThreads),
                kProductBytes, stream, layers, tasks);
}

cudaError_t launch_layer_rate(const StepSettings* settings, const RateLayer* layers, int32_t layer_count,
                              const DirectionTile* tiles, const DirectionSums* sums, cudaStream_t stream) {
  if (layer_count == 0) return cudaSuccess;
  return launch(layer_rate_kernel, dim3(static_cast<unsigned>(layer_count)), dim3(kThreads), 0, stream, settings,
                layers, tiles, sums);
}

} // namespace lngd::cuda
