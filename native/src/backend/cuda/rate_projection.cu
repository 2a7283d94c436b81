// SPDX-License-Identifier: Apache-2.0
// The projections of EMPIRICAL: x_n = sum_t delta_nt^T D a_nt (paper eq. 13). A D^T is multiplied in tiles of 64 x 128
// (tile_product.cuh) and reduced against delta while they are in registers: the N x m matrix never exists, a tile
// leaves one number for each of its samples, and layer_rate adds them in order. A row of A is a sample, or of a
// convolution the patch of one position, which is gathered by the copies to shared memory and nowhere else.
//
// Counts: 2 N T m d operations, three times that on the tensor cores; D is read N T / 64 times and A m / 128 times, all
// but the first from the second cache: 64 tensor operations a byte of it, so 2.4 TB/s where an A100 multiplies at its
// peak.
#include <cstring>
#include <type_traits>

#include "backend/cuda/conv_loader.cuh"
#include "backend/cuda/layer_rate.h"
#include "backend/cuda/rate_partials.cuh"
#include "backend/cuda/tile_product.cuh"

namespace lngd::cuda {
namespace {

static_assert(kRateRows == kProductRows && kRateColumns == kProductColumns, "a tile is a product");

// The rows of a tile as operand A, and their deltas. Beyond what tile_product.cuh asks of a Source:
//   Table               what is kept of the rows in shared memory
//   place(...)          writes it for one row
//   begin(), next(k0)   before the first copy; after the copy of the slice at k0
struct DenseSamples {
  struct Table {
    int64_t input[kProductRows], delta[kProductRows]; // where the rows begin
  };
  const RateLayer& layer;
  const Table& table;
  const float* data; // copied: the layer's own are read again after every copy to shared memory
  int64_t stride;
  int rows, columns;

  __device__ DenseSamples(const RateLayer& of, Table& placed, int /*group*/, int count)
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
  __device__ void begin() const {}
  __device__ void next(int) const {}
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

static_assert(sizeof(ConvLoader) <= sizeof(RatePatches) && alignof(ConvLoader) <= alignof(RatePatches) &&
                  std::is_trivially_copyable<ConvLoader>::value,
              "kept as bytes");

__device__ __forceinline__ const ConvLoader& patches(const RateLayer& layer) {
  return *reinterpret_cast<const ConvLoader*>(layer.patches.bytes);
}

// The patches of a convolution. What an element of a patch is, is worked out once for each slice and not by every
// thread for every row: slice x has entry x % kRowSlots, written three slices ahead, between barriers as the slots of
// the product are.
struct ConvSamples {
  struct Table {
    ConvLoader::Row row[kProductRows];
    int64_t delta[kProductRows];
    SyrkColumn column[kRowSlots][kSlice];
  };
  const RateLayer& layer;
  Table& table;
  const ConvLoader loader; // copied for what address() needs; the rest is read where it is
  int group, rows, columns;

  __device__ ConvSamples(const RateLayer& of, Table& placed, int of_group, int count)
      : layer(of), table(placed), loader(patches(of)), group(of_group), rows(count), columns(of.inputs) {}
  static __device__ __forceinline__ void place(const RateLayer& layer, int64_t sample, int position, int row,
                                               Table& table) {
    const int number = static_cast<int>(sample) * layer.positions + position;
    const ConvPosition p = patches(layer).conv.position(number);
    const int64_t* const s = layer.conv_deltas.stride;
    table.row[row] = patches(layer).row(number);
    table.delta[row] = p.sample * s[0] + p.oy * s[2] + p.ox * s[3];
  }
  __device__ void begin() const {
    const int k = static_cast<int>(threadIdx.x);
    if (k < kRowSlots * kSlice) table.column[k / kSlice][k % kSlice] = patches(layer).column(group, k);
  }
  __device__ void next(int k0) const {
    const int lane = static_cast<int>(threadIdx.x), k = k0 + kSlice + lane;
    if (k0 >= (kRowSlots - 1) * kSlice && lane < kSlice)
      table.column[k / kSlice % kRowSlots][lane] = patches(layer).column(group, k);
  }
  __device__ Along way() const {
    return patches(layer).by_rows ? Along::Rows : patches(layer).whole ? Along::Quads : Along::Columns;
  }
  __device__ __forceinline__ const float* find(int row, int k) const {
    if (row >= rows || k >= columns) return nullptr;
    return loader.address(table.row[row], table.column[k / kSlice % kRowSlots][k % kSlice]);
  }
  // Four channels of a position side by side (`whole`).
  __device__ __forceinline__ const float* find_quad(int row, int k) const {
    return k + 3 < columns ? find(row, k) : nullptr;
  }
  __device__ __forceinline__ const float* anywhere() const { return layer.direction; }
  __device__ __forceinline__ bool computes() const { return false; }
  __device__ __forceinline__ float value(int, int) const { return 0; }
  __device__ __forceinline__ float delta(int row, int column) const {
    return layer.conv_deltas.data[table.delta[row] + column * layer.conv_deltas.stride[1]];
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
  const Samples samples(layer, table, task.group, rows);
  samples.begin();
  __syncthreads();

  const Along way = samples.way();
  const float* const d = layer.direction + task.column0 * layer.ldw;
  const int columns = task.column_end - task.column0;
  float acc[2][4][4] = {};
  multiply_tile(
      shared, (layer.inputs + kSlice - 1) / kSlice, warp / 4 * 32 < rows && warp % 4 * 32 < columns,
      [&](float* slot, int k0) {
        load_rows(samples, way, slot, k0);
        samples.next(k0);
      },
      [&](float* slot, int k0) { load_columns(d, layer.ldw, columns, layer.inputs, slot, k0); }, acc);
  project(samples, task, acc, y);
  __syncthreads();

  store_partials(layer, task, row0, rows, [&](int row) { return y[0][row] + y[1][row] + y[2][row] + y[3][row]; });
}

} // namespace

cudaError_t prepare_rate_projections() {
  const cudaError_t error = prepare_product(projection_kernel<DenseSamples>);
  return error != cudaSuccess ? error : prepare_product(projection_kernel<ConvSamples>);
}

cudaError_t launch_rate_projections(const RateLayer* layers, const ProjectionTask* tasks, int32_t task_count,
                                    cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(projection_kernel<DenseSamples>, dim3(static_cast<unsigned>(task_count)), dim3(kProductThreads),
                kProductBytes, stream, layers, tasks);
}

cudaError_t launch_conv_rate_projections(const RateLayer* layers, const ProjectionTask* tasks, int32_t task_count,
                                         cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(projection_kernel<ConvSamples>, dim3(static_cast<unsigned>(task_count)), dim3(kProductThreads),
                kProductBytes, stream, layers, tasks);
}

void set_rate_patches(const LayerShape& shape, const Activations& inputs, const Activations& deltas, int64_t samples,
                      RateLayer& layer) {
  const ConvRows rows(shape.conv, inputs, samples);
  const ConvLoader loader = conv_loader(shape, inputs, rows);
  std::memcpy(layer.patches.bytes, &loader, sizeof loader);
  layer.positions = static_cast<int32_t>(rows.positions.divisor);
  layer.conv_deltas = deltas;
}

} // namespace lngd::cuda
