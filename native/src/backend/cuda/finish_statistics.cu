// SPDX-License-Identifier: Apache-2.0
// The end of the statistics: what the blocks of the row pass and of weighted_syrk have summed goes into the sums of the
// update, always in the order of the blocks, and the record learns of the samples and of NaN, Inf and overflow.
//
// As in backend/cpu/kernels/layer_statistics.cpp, one look at the denominator tells about all sums, since c_n r_n
// bounds every element of r_n a_n a_n^T and of c_n q_n. Whatever came into the sums of a poisoned update,
// running_average drops them and sets them to zero.
#include "backend/cuda/simt.cuh"
#include "backend/cuda/statistics_plan.h"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kPiece = 1024; // elements of a tile for one block

// 32 outputs: a lane each, the row blocks shared out among the warps.
__device__ void finish_psi(const FinishArgs& args, int first, double (&part)[kWarps][32]) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int each = (args.row_blocks + kWarps - 1) / kWarps, i = first + lane;
  double sum = 0;
  if (i < args.outputs) {
#pragma unroll 4
    for (int block = warp * each; block < min(args.row_blocks, (warp + 1) * each); ++block)
      sum += args.psi_part[int64_t{block} * args.outputs + i];
  }
  part[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || i >= args.outputs) return;
  for (int other = 1; other < kWarps; ++other) sum += part[other][lane];
  args.psi[i] += sum;
}

__device__ void finish_record(const FinishArgs& args) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  bool bad = false;
  for (int group = warp; group < args.groups; group += kWarps) {
    double sum = 0;
    for (int block = lane; block < args.row_blocks; block += 32)
      sum += args.denominator_part[block * args.groups + group];
    const double total = warp_sum(sum) + args.denominator[group];
    bad |= !(total < kOverflow); // NaN too
    __syncwarp();                // all lanes have read it
    if (lane == 0) args.denominator[group] = total;
  }
  bad = __syncthreads_or(bad) != 0;
  if (threadIdx.x != 0) return;
  args.record->samples += args.samples;
  if (bad) args.record->poisoned = 1;
}

// kPiece elements of a tile, from all splits.
__device__ void finish_tile(const FinishArgs& args, int task, int piece) {
  const SyrkTile tile = args.grid.tile(task, args.tile);
  const int64_t ld = padded_size(tile.size), tile_floats = int64_t{args.tile} * args.tile;
  float* const phi = args.phi + args.grid.offset(tile);
  for (int at = piece * kPiece + static_cast<int>(threadIdx.x); at < (piece + 1) * kPiece; at += kThreads) {
    const int row = tile.row0 + at / args.tile, column = tile.column0 + at % args.tile;
    if (row >= tile.size || column > row) continue;
    const float* const from = args.tiles + task * tile_floats + at;
    double sum = 0;
#pragma unroll 4
    for (int split = 0; split < args.grid.splits; ++split)
      sum += static_cast<double>(from[int64_t{split} * args.grid.tasks * tile_floats]);
    phi[row * ld + column] = static_cast<float>(static_cast<double>(phi[row * ld + column]) + sum);
  }
}

__global__ void __launch_bounds__(kThreads) finish_statistics_kernel(const FinishArgs args) {
  __shared__ double part[kWarps][32];
  const int block = static_cast<int>(blockIdx.x), pieces = args.tile * args.tile / kPiece;
  if (block >= args.psi_tasks) {
    finish_tile(args, (block - args.psi_tasks) / pieces, (block - args.psi_tasks) % pieces);
    return;
  }
  if (block == 0) finish_record(args);
  finish_psi(args, 32 * block, part);
}

} // namespace

cudaError_t prepare_finish_statistics() { return prepare_kernel(finish_statistics_kernel); }

cudaError_t launch_finish_statistics(const LayerShape& shape, const LayerMemory& memory, const StatisticsPlan& plan,
                                     int64_t samples, cudaStream_t stream) {
  FinishArgs args{};
  args.grid = plan.grid;
  args.record = memory.record;
  args.psi_part = plan.psi;
  args.psi = memory.psi_sum;
  args.denominator_part = plan.denominator;
  args.denominator = memory.denominator;
  args.tiles = plan.tiles;
  args.phi = memory.phi_sum;
  args.samples = samples;
  args.tile = tile_of(syrk_class(shape.blocks));
  args.row_blocks = plan.row_blocks;
  args.outputs = static_cast<int32_t>(shape.outputs);
  args.groups = static_cast<int32_t>(shape.blocks.groups);
  args.psi_tasks = ceil_div(shape.outputs, 32);
  const int tile_blocks = plan.grid.splits > 1 ? plan.grid.tasks * (args.tile * args.tile / kPiece) : 0;
  return launch(finish_statistics_kernel, dim3(static_cast<unsigned>(args.psi_tasks + tile_blocks)), dim3(kThreads), 0,
                stream, args);
}

cudaError_t launch_add_tiles(const BlockLayout& blocks, const SyrkJob& job, cudaStream_t stream) {
  if (job.grid.splits <= 1) return cudaSuccess;
  FinishArgs args{};
  args.grid = job.grid;
  args.tiles = job.tiles;
  args.phi = job.sum;
  args.tile = tile_of(syrk_class(blocks));
  const int tile_blocks = args.grid.tasks * (args.tile * args.tile / kPiece);
  return launch(finish_statistics_kernel, dim3(static_cast<unsigned>(tile_blocks)), dim3(kThreads), 0, stream, args);
}

} // namespace lngd::cuda
