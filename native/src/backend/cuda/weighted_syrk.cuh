// SPDX-License-Identifier: Apache-2.0
// weighted_syrk: Phi += A^T diag(r) A, the lower triangle of every diagonal block of a layer, in one launch.
//
// A block of 8 warps sums one tile over a range of rows, which come through a pipeline of cp.async stages in chunks
// (syrk_load.cuh), are shared out among the warps (syrk_shape.cuh) and multiplied as fragments (syrk_fragment.cuh,
// syrk_multiply.cuh). Where the tiles do not fill the chip, the rows are split among several blocks; their tiles then
// go to the workspace, and finish_statistics adds them in order.
//
// Rejected, by the counts of docs/kernels.md: a pass that weights and rounds a stage once for all warps (it saves a
// fifth of the instructions and doubles the traffic of shared memory), and wgmma for full factors (the same pass, to
// transpose the chunk, costs what it gains).
#ifndef LNGD_BACKEND_CUDA_WEIGHTED_SYRK_CUH
#define LNGD_BACKEND_CUDA_WEIGHTED_SYRK_CUH

#include "backend/cuda/statistics_plan.h"
#include "backend/cuda/syrk_multiply.cuh"
#include "backend/cuda/syrk_store.cuh"

namespace lngd::cuda {

template <class Loader>
struct SyrkArgs {
  Loader loader;
  SyrkGrid grid;
  const float* weights; // groups x rows: sqrt(r)
  float* phi;
  float* partial; // splits x tasks x tile x tile; used where splits > 1
  int32_t stages; // 2 or kMostSyrkStages
};

constexpr int kRowSlots = kMostSyrkStages; // chunks whose rows are known at once

// What a block needs of its tile besides the chunks.
template <class Shape>
struct SyrkShared {
  SyrkColumns<Shape> columns[Shape::kOperands]; // of the tile's rows, of its columns
  SyrkRow rows[kRowSlots][Shape::kRows];
};

template <class Shape, class Loader>
__device__ __forceinline__ void make_rows(const SyrkArgs<Loader>& args, int chunk, SyrkShared<Shape>& shared) {
  const int k = static_cast<int>(threadIdx.x);
  if (k < Shape::kRows) shared.rows[chunk % kRowSlots][k] = args.loader.row(int64_t{chunk} * Shape::kRows + k);
}

// Chunk `chunk` of the rows into a stage.
template <class Shape, class Loader>
__device__ __forceinline__ void load_stage(const SyrkArgs<Loader>& args, const SyrkTile& tile, int chunk,
                                           const SyrkShared<Shape>& shared,
                                           const SyrkExtent (&extent)[Shape::kOperands], float* stage) {
  const SyrkRow* const rows = shared.rows[chunk % kRowSlots];
  load_operand<Shape>(args.loader, rows, shared.columns[0].copy, extent[0], stage);
  if constexpr (Shape::kSquare) {
    if (!tile.diagonal())
      load_operand<Shape>(args.loader, rows, shared.columns[1].copy, extent[1], stage + Shape::kOperand);
  }
  const int k = static_cast<int>(threadIdx.x);
  const int64_t row = int64_t{chunk} * Shape::kRows + k;
  if (k < Shape::kRows)
    cp_async_4(stage + Shape::kOperands * Shape::kOperand + k,
               args.weights + int64_t{tile.group} * args.grid.rows + (row < args.grid.rows ? row : 0),
               row < args.grid.rows ? 4 : 0);
}

template <class Shape, Precision P, class Loader>
__global__ void __launch_bounds__(kSyrkThreads, 1) weighted_syrk_kernel(const SyrkArgs<Loader> args) {
  SIMT_DYNAMIC_SHARED(float, stages);
  __shared__ SyrkShared<Shape> shared;
  const int task = static_cast<int>(blockIdx.x) % args.grid.tasks,
            split = static_cast<int>(blockIdx.x) / args.grid.tasks;
  const SyrkTile tile = args.grid.tile(task, Shape::kTile);
  const bool diagonal = !Shape::kSquare || tile.diagonal();
  const int first = split * args.grid.split_chunks;
  const int count = min(args.grid.split_chunks, args.grid.chunks - first);

  SyrkExtent extent[Shape::kOperands]{};
#pragma unroll
  for (int i = 0; i < Shape::kOperands; ++i) {
    if (i > 0 && diagonal) continue;
    extent[i] = make_columns<Shape>(args.loader, tile.group, tile.begin + (i == 0 ? tile.row0 : tile.column0),
                                    tile.begin + tile.size, shared.columns[i]);
    fill_constants<Shape>(extent[i], stages + i * Shape::kOperand, args.stages);
  }
  for (int s = 0; s < args.stages; ++s) make_rows(args, first + s, shared);
  __syncthreads();

  const SyrkWarp warp = syrk_warp<Shape>();
  SyrkBlock acc[Shape::kBlocks] = {};
  for (int s = 0; s < args.stages - 1; ++s) {
    if (s < count) load_stage(args, tile, first + s, shared, extent, stages + s * Shape::kStage);
    cp_async_commit();
  }
  int stage = 0, next = args.stages - 1;
  for (int s = 0; s < count; ++s) {
    if (args.stages == kMostSyrkStages) {
      cp_async_wait<kMostSyrkStages - 2>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads(); // stage s has come, stage s - 1 and the rows of chunk s have been read
    const int ahead = s + args.stages - 1;
    if (ahead < count) load_stage(args, tile, first + ahead, shared, extent, stages + next * Shape::kStage);
    cp_async_commit(); // an empty group at the end, so that the wait always means the same
    if (ahead + 1 < count) make_rows(args, first + ahead + 1, shared);
    __syncwarp(); // the lanes had different copies; what follows is for all of them at once
    const SyrkStage<Shape> operands(stages + stage * Shape::kStage, diagonal);
    if (!diagonal || warp.column0 < warp.row0 + Shape::kTile / 2)
      SyrkMultiply<Shape, P>::add(warp, operands, tile.size - tile.row0, acc);
    stage = stage + 1 == args.stages ? 0 : stage + 1;
    next = next + 1 == args.stages ? 0 : next + 1;
  }
  cp_async_wait<0>();
  __syncthreads();
  add_parts<Shape>(warp, stages, acc);

  const bool split_rows = args.grid.splits > 1;
  const int64_t ld = split_rows ? Shape::kTile : padded_size(tile.size);
  float* const to = split_rows
                        ? args.partial + (int64_t{split} * args.grid.tasks + task) * (Shape::kTile * Shape::kTile)
                        : args.phi + args.grid.offset(tile) + tile.row0 * ld + tile.column0;
  const SyrkTarget target{to, ld, min(Shape::kTile, tile.size - tile.row0), diagonal, !split_rows};
  if (extent[0].moved)
    store_moved<Shape>(warp, target, shared.columns[0].column,
                       shared.columns[diagonal ? 0 : Shape::kOperands - 1].column, acc, stages);
  else if (warp.part == 0)
    store_blocks<Shape>(warp, target, acc);
}

} // namespace lngd::cuda
#endif
