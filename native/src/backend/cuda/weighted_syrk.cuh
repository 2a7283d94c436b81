// SPDX-License-Identifier: Apache-2.0
// weighted_syrk: Phi += A^T diag(r) A, the lower triangle of every diagonal block of a layer, in one launch.
//
// A block of 8 warps sums one tile over a range of rows, which come through a pipeline of cp.async stages in chunks
// (syrk_load.cuh) and are multiplied as fragments (syrk_multiply.cuh). Where the tiles do not fill the chip, the rows
// are split among several blocks; their tiles then go to the workspace, and finish_statistics adds them in order.
#ifndef LNGD_BACKEND_CUDA_WEIGHTED_SYRK_CUH
#define LNGD_BACKEND_CUDA_WEIGHTED_SYRK_CUH

#include "backend/cuda/statistics_plan.h"
#include "backend/cuda/syrk_load.cuh"

namespace lngd::cuda {

template <class Loader>
struct SyrkArgs {
  Loader loader;
  SyrkGrid grid;
  const float* weights; // groups x rows: sqrt(r)
  float* phi;
  float* partial; // splits x tasks x tile x tile; used where splits > 1
};

// Chunk `chunk` of the rows into a stage.
template <class Shape, class Loader>
__device__ __forceinline__ void load_stage(const SyrkArgs<Loader>& args, const SyrkTile& tile, int chunk,
                                           bool row_quads, bool column_quads, const SyrkColumn* columns, float* stage) {
  const int row0 = chunk * Shape::kRows, rows = args.grid.rows;
  load_operand<Shape>(args.loader, tile.group, row0, row_quads, columns, stage);
  if (Shape::kSquare && !tile.diagonal())
    load_operand<Shape>(args.loader, tile.group, row0, column_quads, columns + Shape::kTile, stage + Shape::kOperand);
  const float* const weights = args.weights + int64_t{tile.group} * rows;
  float* const to = stage + (Shape::kSquare ? 2 : 1) * Shape::kOperand;
  for (int k = static_cast<int>(threadIdx.x); k < Shape::kRows; k += kSyrkThreads)
    cp_async_4(to + k, weights + (row0 + k < rows ? row0 + k : 0), row0 + k < rows ? 4 : 0);
}

// The sums of the groups of warps into those of the first, in order. All stages have been read and are free.
template <class Shape>
__device__ __forceinline__ void add_parts(const SyrkWarp& w, float* scratch, float (&acc)[Shape::kFragments][4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int kWarpFloats = Shape::kFragments * 4 * 32;
  if (w.part > 0) {
    float* const to = scratch + ((w.part - 1) * Shape::kPairs + w.pair) * kWarpFloats + lane;
#pragma unroll
    for (int f = 0; f < Shape::kFragments; ++f)
#pragma unroll
      for (int e = 0; e < 4; ++e) to[(f * 4 + e) * 32] = acc[f][e];
  }
  __syncthreads();
  if (w.part > 0) return;
#pragma unroll 1
  for (int part = 1; part < Shape::kParts; ++part) {
    const float* const from = scratch + ((part - 1) * Shape::kPairs + w.pair) * kWarpFloats + lane;
#pragma unroll
    for (int f = 0; f < Shape::kFragments; ++f)
#pragma unroll
      for (int e = 0; e < 4; ++e) acc[f][e] += from[(f * 4 + e) * 32];
  }
}

// Stores or adds a fragment, as far as it belongs to the lower triangle: `rows` are left in the diagonal block.
__device__ __forceinline__ void store_fragment(const float (&acc)[4], int first_row, int first_column, int rows,
                                               bool diagonal, bool add, float* to, int64_t ld) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const int row = first_row + e / 2 * 8 + lane / 4, column = first_column + lane % 4 * 2 + e % 2;
    if (row >= rows || (diagonal && column > row)) continue;
    float& x = to[row * ld + column];
    x = add ? x + acc[e] : acc[e];
  }
}

template <class Shape, Precision P, class Loader>
__global__ void __launch_bounds__(kSyrkThreads, 1) weighted_syrk_kernel(const SyrkArgs<Loader> args) {
  SIMT_DYNAMIC_SHARED(float, stages);
  __shared__ SyrkColumn columns[(Shape::kSquare ? 2 : 1) * Shape::kTile];
  const int task = static_cast<int>(blockIdx.x) % args.grid.tasks,
            split = static_cast<int>(blockIdx.x) / args.grid.tasks;
  const SyrkTile tile = args.grid.tile(task, Shape::kTile);
  make_columns<Shape>(args.loader, tile.group, tile.begin + tile.row0, tile.begin + tile.size, columns);
  if (Shape::kSquare && !tile.diagonal())
    make_columns<Shape>(args.loader, tile.group, tile.begin + tile.column0, tile.begin + tile.size,
                        columns + Shape::kTile);
  __syncthreads();
  if (args.loader.sorted()) {
    sort_columns<Shape>(columns);
    if (Shape::kSquare && !tile.diagonal()) sort_columns<Shape>(columns + Shape::kTile);
    __syncthreads();
  }
  const bool row_quads = args.loader.quads(tile.begin + tile.row0),
             column_quads = args.loader.quads(tile.begin + tile.column0);
  const SyrkWarp warp = syrk_warp<Shape>(tile.diagonal(), tile.size - tile.row0);
  const int first = split * args.grid.split_chunks;
  const int count = min(args.grid.split_chunks, args.grid.chunks - first);
  float acc[Shape::kFragments][4] = {};
#pragma unroll
  for (int s = 0; s < kSyrkStages - 1; ++s) {
    if (s < count)
      load_stage<Shape>(args, tile, first + s, row_quads, column_quads, columns, stages + s * Shape::kStage);
    cp_async_commit();
  }
  for (int s = 0; s < count; ++s) {
    cp_async_wait<kSyrkStages - 2>();
    __syncthreads(); // stage s has come, stage s - 1 has been read
    const int next = s + kSyrkStages - 1;
    if (next < count)
      load_stage<Shape>(args, tile, first + next, row_quads, column_quads, columns,
                        stages + next % kSyrkStages * Shape::kStage);
    cp_async_commit(); // an empty group at the end, so that the wait always means the same
    const SyrkOperands<Shape> operands(warp, stages + s % kSyrkStages * Shape::kStage, tile.diagonal());
    __syncwarp();
    SyrkMultiply<Shape, P>::add(warp, operands, acc);
  }
  cp_async_wait<0>();
  __syncthreads();
  add_parts<Shape>(warp, stages, acc);
  if (warp.part > 0) return;

  const bool split_rows = args.grid.splits > 1;
  const int64_t ld = split_rows ? Shape::kTile : padded_size(tile.size);
  float* const to = split_rows ? args.partial + (int64_t{split} * args.grid.tasks + task) * Shape::kTile * Shape::kTile
                               : args.phi + args.grid.offset(tile) + tile.row0 * ld + tile.column0;
  const int rows = tile.size - tile.row0;
#pragma unroll
  for (int j = 0; j < Shape::kColumns; ++j) {
    if (j < warp.high) store_fragment(acc[j], warp.high_row, 8 * j, rows, tile.diagonal(), !split_rows, to, ld);
    if (j < Shape::kLowMost && j < warp.low)
      store_fragment(acc[Shape::low(j)], warp.low_row, 8 * j, rows, tile.diagonal(), !split_rows, to, ld);
  }
}

} // namespace lngd::cuda
#endif
