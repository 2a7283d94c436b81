// SPDX-License-Identifier: Apache-2.0
// How a tile of weighted_syrk is shared out among the warps of a block.
//
// The 256 threads are kParts groups of warps, each with its share of the rows of a chunk; their sums are added at the
// end. In a group, a warp takes one region of the tile (counts for 128 columns, fragments of mma.sync are 16 x 8):
//   square tiles      64 x 64, 32 fragments: 4 + 4 strips of 16 columns are read for them. 3xTF32 has not the registers
//                     for that: one group, 64 x 32, 4 + 2 strips. On the diagonal the warps above it have nothing to
//                     do; that is not made up for, since such a tile waits for its neighbours anyway
//   diagonal tiles    the square below the diagonal in two halves of 64 x 32 (16 fragments, 4 + 2 strips), and the two
//                     triangles of 64 (20 fragments, 4 strips: the columns of a triangle are its rows)
// Rejected: strips p and 7 - p of 16 rows for each warp. All warps have 18 fragments then, but read 34 strips and not
// 20, and reading is what the tensor cores would wait for (docs/kernels.md).
#ifndef LNGD_BACKEND_CUDA_SYRK_SHAPE_CUH
#define LNGD_BACKEND_CUDA_SYRK_SHAPE_CUH

#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

constexpr int kSyrkThreads = 256;
constexpr int kSyrkWarps = kSyrkThreads / 32;
constexpr int kMostSyrkStages = 3; // two where the device has not the shared memory for three
constexpr int kStepRows = 16;      // that a warp multiplies at once

// Square: tiles of larger blocks, off-diagonal ones with columns of their own; otherwise a block is one tile.
template <int Tile, bool Square_, int Regions>
struct SyrkShape {
  static constexpr int kTile = Tile;
  static constexpr bool kSquare = Square_;
  static constexpr int kRegions = Regions; // warps of a group
  static constexpr int kParts = kSyrkWarps / kRegions;
  static constexpr int kRows = Tile == 128 ? 32 : kStepRows * kParts; // of a chunk
  static constexpr int kPartRows = kRows / kParts;
  static constexpr int kPitch = Tile + 8; // 8 modulo 32: a fragment is read without bank conflicts
  static constexpr int kOperands = Square_ ? 2 : 1;
  static constexpr int kOperand = kRows * kPitch;             // floats
  static constexpr int kStage = kOperands * kOperand + kRows; // columns of the tile's rows, of its columns; sqrt(r)
  // Regions, in strips of 16.
  static constexpr int kTriangles = Tile == 64 ? 2 : 1;              // of a warp
  static constexpr int kStrips = Tile == 128 ? 4 : 2;                // of a triangle, and rows of a rectangle
  static constexpr int kRectangle = Square_ && Regions == 4 ? 4 : 2; // strips of its columns
  static constexpr int kTriangleBlocks = kStrips * (kStrips + 1) / 2;
  // Blocks of 16 x 16, two fragments, that a warp sums at most.
  static constexpr int kBlocks = Square_ ? kStrips * kRectangle : kTriangles * kTriangleBlocks;
  // At the end the stages hold the sums of all groups but one, or the tile in the order of its columns.
  static constexpr int kScratch = (kParts - 1) * kRegions * kBlocks * 8 * 32;
  static constexpr int kTilePitch = Tile + 1;
  static constexpr int kResult = Square_ ? Tile * kTilePitch : Tile * (Tile + 1) / 2;

  static constexpr size_t shared_bytes(int stages) {
    const int floats = stages * kStage > kScratch ? stages * kStage : kScratch;
    return sizeof(float) * static_cast<size_t>(floats > kResult ? floats : kResult);
  }
};

// What a warp does in a tile.
struct SyrkWarp {
  int part, region;
  bool triangle;
  int row0, column0; // of its region in the tile
};

template <class Shape>
__device__ __forceinline__ SyrkWarp syrk_warp() {
  const int warp = __shfl_sync(kFullWarp, static_cast<int>(threadIdx.x) / 32, 0); // known to be the same in all lanes
  constexpr int kRegions = Shape::kRegions, kHalf = Shape::kTile / 2;
  SyrkWarp w;
  w.part = warp / kRegions;
  // Warps w and w + 4 share a scheduler: in a diagonal tile, a rectangle is paired with a triangle.
  w.region = Shape::kSquare ? warp % kRegions : (warp + warp / 4 * (kRegions / 2)) % kRegions;
  if (Shape::kSquare) {
    constexpr int kAcross = kRegions > 1 ? kRegions / 2 : 1;
    w.triangle = false;
    w.row0 = w.region / kAcross * kHalf;
    w.column0 = w.region % kAcross * (Shape::kTile / kAcross);
  } else if (kRegions == 4) {
    w.triangle = w.region >= 2;
    w.row0 = w.region == 2 ? 0 : kHalf;
    w.column0 = w.region == 3 ? kHalf : w.region == 1 ? kHalf / 2 : 0;
  } else {
    w.triangle = kRegions == 1 || w.region == 1;
    w.row0 = w.triangle ? 0 : kHalf;
    w.column0 = 0;
  }
  return w;
}

// Calls use(index, row, column) for the blocks of 16 x 16 of a warp, in the order of its sums; `row` and `column` are
// the block's first in the tile.
template <class Shape, class Use>
__device__ __forceinline__ void each_block(const SyrkWarp& w, Use use) {
  constexpr int kStrips = Shape::kStrips;
  if (!Shape::kSquare && w.triangle) {
#pragma unroll
    for (int i = 0; i < (Shape::kSquare ? 0 : Shape::kTriangles); ++i)
#pragma unroll
      for (int row = 0; row < kStrips; ++row)
#pragma unroll
        for (int column = 0; column <= row; ++column)
          use(i * Shape::kTriangleBlocks + row * (row + 1) / 2 + column, w.row0 + i * Shape::kTile / 2 + 16 * row,
              w.column0 + i * Shape::kTile / 2 + 16 * column);
  } else if constexpr (Shape::kRegions > 1) {
#pragma unroll
    for (int row = 0; row < kStrips; ++row)
#pragma unroll
      for (int column = 0; column < Shape::kRectangle; ++column)
        use(row * Shape::kRectangle + column, w.row0 + 16 * row, w.column0 + 16 * column);
  }
}

} // namespace lngd::cuda
#endif
