// SPDX-License-Identifier: Apache-2.0
// How the work of the statistics kernels of one layer is cut up, and where their parts lie in the workspace.
#ifndef LNGD_BACKEND_CUDA_STATISTICS_PLAN_H
#define LNGD_BACKEND_CUDA_STATISTICS_PLAN_H

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "backend/cuda/statistics.h"

namespace lngd::cuda {

// A tile of a diagonal block; rows and columns count from the block's first.
struct SyrkTile {
  int32_t group;
  int32_t begin, size; // of the block
  int32_t row0, column0;
  __host__ __device__ bool diagonal() const { return row0 == column0; }
};

__host__ __device__ inline int64_t padded_size(int64_t n) { return (n + kRowAlign - 1) / kRowAlign * kRowAlign; }

// Tasks: group by group, block by block, the tiles of the lower triangle row by row.
struct SyrkGrid {
  int32_t rows;
  int32_t chunks; // of rows
  int32_t splits, split_chunks;
  int32_t tasks, group_tasks;
  int32_t block_tasks, group_blocks; // tiles of a whole block
  int32_t d, block;
  int64_t group_floats;

  __host__ __device__ SyrkTile tile(int32_t task, int32_t size) const {
    SyrkTile t;
    t.group = task / group_tasks;
    int32_t at = task % group_tasks;
    const int32_t k = at / block_tasks < group_blocks ? at / block_tasks : group_blocks - 1;
    at -= k * block_tasks;
    t.begin = k * block;
    t.size = d - t.begin < block ? d - t.begin : block;
    int32_t row = 0;
    while (at > row) at -= ++row; // row i has i + 1 tiles
    t.row0 = row * size;
    t.column0 = at * size;
    return t;
  }
  // Of the tile's block in Phi.
  __host__ __device__ int64_t offset(const SyrkTile& t) const {
    return t.group * group_floats + t.begin * padded_size(block);
  }
};

enum class SyrkClass : int32_t { Tile32, Tile64, Tile128, Square128 };

inline SyrkClass syrk_class(const BlockLayout& blocks) {
  return blocks.block <= 32    ? SyrkClass::Tile32
         : blocks.block <= 64  ? SyrkClass::Tile64
         : blocks.block <= 128 ? SyrkClass::Tile128
                               : SyrkClass::Square128;
}
inline int32_t tile_of(SyrkClass c) { return c == SyrkClass::Tile32 ? 32 : c == SyrkClass::Tile64 ? 64 : 128; }
// Rows in a chunk; weighted_syrk.cuh asserts it.
inline int32_t chunk_rows(SyrkClass c) { return c == SyrkClass::Tile32 ? 128 : c == SyrkClass::Tile64 ? 64 : 32; }

inline int32_t ceil_div(int64_t a, int64_t b) { return static_cast<int32_t>((a + b - 1) / b); }

inline SyrkGrid syrk_grid(const BlockLayout& blocks, int64_t rows) {
  const SyrkClass kind = syrk_class(blocks);
  const auto tasks_of = [&](int64_t size) {
    const int32_t n = ceil_div(size, tile_of(kind));
    return n * (n + 1) / 2;
  };
  SyrkGrid grid{};
  grid.rows = static_cast<int32_t>(rows);
  grid.chunks = ceil_div(rows, chunk_rows(kind));
  grid.block_tasks = tasks_of(blocks.block);
  grid.group_blocks = static_cast<int32_t>(blocks.group_blocks());
  grid.group_tasks = (grid.group_blocks - 1) * grid.block_tasks + tasks_of(blocks.size(grid.group_blocks - 1));
  grid.tasks = static_cast<int32_t>(blocks.groups) * grid.group_tasks;
  grid.d = static_cast<int32_t>(blocks.d);
  grid.block = static_cast<int32_t>(blocks.block);
  grid.group_floats = blocks.group_floats();
  return grid;
}

// Splits of the rows at most: as many blocks as fill the chip twice.
inline int32_t most_splits(const SyrkGrid& grid, int32_t multiprocessors) {
  return std::max(1, std::min(grid.chunks, 2 * multiprocessors / grid.tasks));
}

// Chooses the splits with the shortest time by this model: waves of one block for each multiprocessor, a block as long
// as its chunks and 4 more (filling the pipeline, adding the parts, storing), a split the cost of reading its tiles.
inline void choose_splits(SyrkGrid& grid, int32_t multiprocessors) {
  int64_t best = INT64_MAX;
  for (int32_t splits = 1; splits <= most_splits(grid, multiprocessors); ++splits) {
    const int32_t length = ceil_div(grid.chunks, splits);
    const int64_t waves = ceil_div(int64_t{grid.tasks} * ceil_div(grid.chunks, length), multiprocessors);
    const int64_t time = 8 * waves * (length + 4) + (splits > 1 ? 16 + splits : 0);
    if (time >= best) continue;
    best = time;
    grid.splits = ceil_div(grid.chunks, length);
    grid.split_chunks = length;
  }
}

struct StatisticsPlan {
  SyrkGrid grid;
  int32_t row_blocks, block_chunks; // of fisher_rows
  float* weights;
  double* psi;
  double* denominator;
  float* tiles;
  float* extra;
  size_t bytes; // for these rows or fewer
};

// `memory` may be nullptr where only the bytes are wanted.
inline StatisticsPlan statistics_plan(const LayerShape& shape, int64_t rows, int32_t row_tile, int64_t extra_floats,
                                      int32_t multiprocessors, void* memory) {
  StatisticsPlan plan{};
  plan.grid = syrk_grid(shape.blocks, rows);
  const int64_t groups = shape.blocks.groups, tile = tile_of(syrk_class(shape.blocks));
  const int32_t chunks = ceil_div(rows, row_tile);
  const int32_t most = std::max(1, std::min(chunks, static_cast<int32_t>(2 * multiprocessors / groups)));
  plan.block_chunks = ceil_div(chunks, most);
  plan.row_blocks = ceil_div(chunks, plan.block_chunks);
  size_t at = 0;
  const auto take = [&](size_t bytes) {
    unsigned char* const place = static_cast<unsigned char*>(memory) + at;
    at += (bytes + 255) / 256 * 256;
    return static_cast<void*>(memory ? place : nullptr);
  };
  // Each of these grows with the rows, so that room for many is room for few.
  plan.weights = static_cast<float*>(take(sizeof(float) * static_cast<size_t>(groups * rows)));
  plan.psi = static_cast<double*>(take(sizeof(double) * static_cast<size_t>(most * shape.outputs)));
  plan.denominator = static_cast<double*>(take(sizeof(double) * static_cast<size_t>(most * groups)));
  plan.extra = static_cast<float*>(take(sizeof(float) * static_cast<size_t>(extra_floats)));
  const int64_t splits = most_splits(plan.grid, multiprocessors);
  plan.tiles = static_cast<float*>(
      take(splits > 1 ? sizeof(float) * static_cast<size_t>(splits * plan.grid.tasks * tile * tile) : 0));
  plan.bytes = at;
  choose_splits(plan.grid, multiprocessors);
  return plan;
}

// weighted_syrk of one layer, alone: rows of the layer's inputs, each times its weight, into the sums of shape.blocks.
struct SyrkJob {
  SyrkGrid grid;
  const float* weights; // groups x rows
  float* sum;           // lower triangles
  float* tiles;         // splits x tasks x tile x tile, where splits > 1: launch_add_tiles then adds them
  int32_t shared_bytes; // as in StatisticsWorkspace
};
// layer_statistics.cu: rows are samples. conv_statistics.cu: rows are output positions.
cudaError_t launch_syrk(const LayerShape& shape, const Strided& inputs, int64_t samples, const SyrkJob& job,
                        Precision precision, cudaStream_t stream);
cudaError_t launch_syrk(const LayerShape& shape, const Activations& inputs, int64_t samples, const SyrkJob& job,
                        Precision precision, cudaStream_t stream);

// finish_statistics.cu: the parts of all blocks into the sums, in order; then the record.
struct FinishArgs {
  SyrkGrid grid;
  LayerRecord* record;
  const double* psi_part; // row_blocks x outputs
  double* psi;
  const double* denominator_part; // row_blocks x groups
  double* denominator;
  const float* tiles; // splits x tasks x tile x tile
  float* phi;
  int64_t samples;
  int32_t tile, row_blocks, outputs, groups, psi_tasks;
};
cudaError_t prepare_finish_statistics();
cudaError_t launch_finish_statistics(const LayerShape& shape, const LayerMemory& memory, const StatisticsPlan& plan,
                                     int64_t samples, cudaStream_t stream);
// Its tiles alone: nothing where the rows were not split.
cudaError_t launch_add_tiles(const BlockLayout& blocks, const SyrkJob& job, cudaStream_t stream);

} // namespace lngd::cuda
#endif
