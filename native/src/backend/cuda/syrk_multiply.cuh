// SPDX-License-Identifier: Apache-2.0
// The arithmetic of weighted_syrk: a warp adds its rows of a stage to the sums of its region of the tile.
#ifndef LNGD_BACKEND_CUDA_SYRK_MULTIPLY_CUH
#define LNGD_BACKEND_CUDA_SYRK_MULTIPLY_CUH

#include "backend/cuda/syrk_fragment.cuh"

namespace lngd::cuda {

// A stage as a warp sees it.
template <class Shape>
struct SyrkStage {
  const float* rows;    // the operand of the tile's rows
  const float* columns; // of its columns
  const float* weights;

  __device__ __forceinline__ SyrkStage(const float* stage, bool diagonal)
      : rows(stage),
        columns(stage + (diagonal ? 0 : Shape::kOperand)),
        weights(stage + Shape::kOperands * Shape::kOperand) {}
};

template <class Shape, Precision P>
struct SyrkMultiply {
  using Fragment = SyrkFragment<P>;
  using Operand = SyrkOperand<Shape>;
  // Rows Strips x 16 by Columns x 16. `strips` of the rows exist.
  template <int Strips, int Columns>
  static __device__ __forceinline__ void rectangle(const Operand& rows, const Operand& columns,
                                                   const float (&weights)[4], int row0, int column0, int strips,
                                                   SyrkBlock* acc) {
    if (strips <= 0) return;
    Fragment a[Strips];
#pragma unroll
    for (int i = 0; i < Strips; ++i) a[i].load(rows, row0 + 16 * i, weights);
#pragma unroll
    for (int j = 0; j < Columns; ++j) {
      Fragment b;
      b.load(columns, column0 + 16 * j, weights);
#pragma unroll
      for (int i = 0; i < Strips; i += 2)
        if (i < strips)
          Fragment::template add<2>({&a[i], &a[i + 1]}, {&b, &b}, {&acc[i * Columns + j], &acc[(i + 1) * Columns + j]});
    }
  }

  // The lower triangle of Strips x 16 columns from `column0` on, of which `strips` exist. A strip's registers are rows
  // and columns.
  template <int Strips>
  static __device__ __forceinline__ void triangle(const Operand& operand, const float (&weights)[4], int column0,
                                                  int strips, SyrkBlock* acc) {
    constexpr int kBlocks = Strips * (Strips + 1) / 2;
    if (strips <= 0) return;
    Fragment x[Strips];
#pragma unroll
    for (int i = 0; i < Strips; ++i) x[i].load(operand, column0 + 16 * i, weights);
#pragma unroll
    for (int block = 0; block < kBlocks; block += 2) {
      const int r = row(block), c = block - r * (r + 1) / 2;
      if (r >= strips) continue;
      if (block + 1 == kBlocks) {
        Fragment::template add<1>({&x[r]}, {&x[c]}, {&acc[block]});
      } else {
        const int next = row(block + 1), d = block + 1 - next * (next + 1) / 2;
        Fragment::template add<2>({&x[r], &x[next]}, {&x[c], &x[d]}, {&acc[block], &acc[block + 1]});
      }
    }
  }
  // Of a block in the lower triangle, row by row.
  static constexpr __host__ __device__ int row(int block) { return block < 1 ? 0 : block < 3 ? 1 : block < 6 ? 2 : 3; }

  // `size` columns of the tile's rows exist.
  static __device__ __forceinline__ void add(const SyrkWarp& w, const SyrkStage<Shape>& stage, int size,
                                             SyrkBlock (&acc)[Shape::kBlocks]) {
    const int strips = (size - w.row0 + 15) / 16;
#pragma unroll 1
    for (int first = w.part * Shape::kPartRows; first < (w.part + 1) * Shape::kPartRows; first += kStepRows) {
      const Operand rows(stage.rows, first);
      float weights[4];
      read_weights(stage.weights, first, weights);
      if (!Shape::kSquare && w.triangle) {
#pragma unroll
        for (int i = 0; i < (Shape::kSquare ? 0 : Shape::kTriangles); ++i)
          triangle<Shape::kStrips>(rows, weights, w.row0 + i * Shape::kTile / 2, strips - i * Shape::kTile / 32,
                                   acc + i * Shape::kTriangleBlocks);
      } else if constexpr (Shape::kRegions > 1) {
        rectangle<Shape::kStrips, Shape::kRectangle>(rows, Operand(stage.columns, first), weights, w.row0, w.column0,
                                                     strips, acc);
      }
    }
  }
};

// Multiply-adds of the CUDA cores on the same blocks: of each a lane has 2 rows and 4 columns.
template <class Shape>
struct SyrkMultiply<Shape, Precision::Float32> {
  static __device__ __forceinline__ void add(const SyrkWarp& w, const SyrkStage<Shape>& stage, int size,
                                             SyrkBlock (&acc)[Shape::kBlocks]) {
    const int lane = static_cast<int>(threadIdx.x) % 32, first = w.part * Shape::kPartRows;
    const float* rows = stage.rows + first * Shape::kPitch;
    const float* columns = stage.columns + first * Shape::kPitch;
    const float* const weights = stage.weights + first;
#pragma unroll 2
    for (int k = 0; k < Shape::kPartRows; ++k, rows += Shape::kPitch, columns += Shape::kPitch) {
      const float weight = weights[k] * weights[k];
      const int row_at = syrk_place(k, lane / 4 * 2), column_at = syrk_place(k, lane % 4 * 4);
      float2 a{};
      each_block<Shape>(w, [&](int block, int row, int column) {
        if (row >= size) return;
        // Blocks come row by row.
        if (column == w.column0 || (w.triangle && column % (Shape::kTile / 2) == 0)) {
          a = *reinterpret_cast<const float2*>(rows + row + row_at);
          a.x *= weight;
          a.y *= weight;
        }
        const float4 b = *reinterpret_cast<const float4*>(columns + column + column_at);
        SyrkBlock& sum = acc[block];
        sum[0][0] = fmaf(a.x, b.x, sum[0][0]);
        sum[1][0] = fmaf(a.x, b.y, sum[1][0]);
        sum[0][1] = fmaf(a.x, b.z, sum[0][1]);
        sum[1][1] = fmaf(a.x, b.w, sum[1][1]);
        sum[0][2] = fmaf(a.y, b.x, sum[0][2]);
        sum[1][2] = fmaf(a.y, b.y, sum[1][2]);
        sum[0][3] = fmaf(a.y, b.z, sum[0][3]);
        sum[1][3] = fmaf(a.y, b.w, sum[1][3]);
      });
    }
  }
};

} // namespace lngd::cuda
#endif
