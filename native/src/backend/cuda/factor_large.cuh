// SPDX-License-Identifier: Apache-2.0
// A matrix of more than 128 rows in global memory, as factor_inverse works on it: panels of 128 columns, tiles of 128 x
// 128 in the workspace, and the product of 128 x 64 elements of them by a block of threads, from slices of 32 that come
// by cp.async in two stages.
//
// The product has two kinds of sums. Piece: float with fused multiply-add, for the products with X_kk that stand for
// triangular solves and for all that is subtracted from diagonal tiles. WarpSums: 3xTF32 on the tensor cores, for the
// rest of the updates and for X^T X. Tensor cores truncate, which would make pivots larger than they are:
// docs/kernels.md has the count.
#ifndef LNGD_BACKEND_CUDA_FACTOR_LARGE_CUH
#define LNGD_BACKEND_CUDA_FACTOR_LARGE_CUH

#include "backend/cuda/factor_block.cuh"
#include "backend/cuda/factor_damping.cuh"
#include "backend/cuda/factor_rounds.h"
#include "backend/cuda/warp_product.cuh"

namespace lngd::cuda::large {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kColumns = kPanel / 2; // of a piece; its rows are kPanel
constexpr int kSlice = 32;
constexpr int kLeftFloats = kPanel * kTilePitch; // a slice of the left operand along its rows, the larger way
constexpr int kStageFloats = kLeftFloats + kColumns * kTilePitch;
constexpr int kDiagonalFloats = (lower_tiles(kPanel / kTile) + kPanel / kTile) * kTileFloats;
constexpr int kSharedFloats = kDiagonalFloats > 2 * kStageFloats ? kDiagonalFloats : 2 * kStageFloats;
constexpr size_t kSharedBytes = kSharedFloats * sizeof(float);
// Slices that are not along the rows: 32 rows of kPanel or kColumns. 8: see Summed::DownColumns.
constexpr int kLeftPitch = kPanel + 8, kRightPitch = kColumns + 8;
// Elements of the summed index that the tensor cores sum: one mma.sync of each of the three products.
constexpr int kDepth = 8;
static_assert(kSlice * kLeftPitch <= kLeftFloats && kSlice * kRightPitch <= kColumns * kTilePitch, "stage layout");

struct Header {
  double lambda; // of the first try
  int32_t due;
  int32_t failed_pivot;
  int32_t passed = 0;     // whether the first try succeeded; set by `product`
  FactorQueue queue = {}; // of the retries
};
static_assert(sizeof(Header) == kFactorHeader * sizeof(float), "the plan counts it");

// A part of a matrix in global memory; what is outside of it is 0.
struct Part {
  const float* data;
  int64_t ld;
  int rows, columns;
};

struct Large {
  const FactorTask& task;
  float* work;

  __device__ Large(const FactorTask& t, float* workspace) : task(t), work(workspace + t.work) {}
  __device__ Header& header() const { return *reinterpret_cast<Header*>(work); }
  // Whether diagonal tiles 0..k are inverted.
  __device__ int32_t& ok(int k) const { return reinterpret_cast<int32_t*>(work + kFactorHeader)[k]; }
  __device__ int rows(int i) const { return min(kPanel, task.size - kPanel * i); }
  __device__ float* tile(int i, int j) const {
    const int flags = (kFactorHeader + task.panels + 15) / 16 * 16;
    return work + flags + (int64_t{1} * i * (i + 1) / 2 + j) * kPanel * kPanel;
  }
  __device__ float* panel(int i) const { return tile(task.panels, i); }
  __device__ Part part(int i, int j) const { return {tile(i, j), kPanel, rows(i), rows(j)}; }
  __device__ Part panel_part(int i) const { return {panel(i), kPanel, rows(i), kPanel}; }
  // What step k finds at (i, j) of A: step 0 finds Phi, without its damping.
  __device__ Part before(int i, int j, int k) const {
    if (k > 0) return part(i, j);
    return {task.phi + kPanel * i * task.ld + kPanel * j, task.ld, rows(i), rows(j)};
  }
};

__device__ __forceinline__ Part columns_from(Part p, int column) {
  p.data += column;
  p.columns -= column;
  return p;
}
__device__ __forceinline__ Part rows_from(Part p, int row) {
  p.data += row * p.ld;
  p.rows -= row;
  return p;
}

// kRows x kWidth elements from (row0, column0) of the part into shared memory.
template <int kRows, int kWidth, int kPitch>
__device__ __forceinline__ void load_slice(const Part& part, int row0, int column0, float* to) {
  for (int at = static_cast<int>(threadIdx.x); at < kRows * kWidth / 4; at += kThreads) {
    const int r = at / (kWidth / 4), c = at % (kWidth / 4) * 4;
    const int row = row0 + r, column = column0 + c;
    const int valid = row < part.rows ? max(0, min(4, part.columns - column)) : 0;
    cp_async_16(to + r * kPitch + c, valid > 0 ? part.data + row * part.ld + column : part.data, 4 * valid);
  }
}

enum class Form { NT, NN, TN };

// A warp's 32 x 32 of a piece.
struct Place {
  int row, column;
  __device__ Place() : row(warp_id() / 2 * kTile), column(warp_id() % 2 * kTile) {}
};

// sums += left right over a slice in shared memory, by a warp, which is together (multiply_warp).
template <Form kForm>
__device__ __forceinline__ void multiply_slice(const float* left, const float* right, Piece& piece) {
  const Place place;
  if (kForm == Form::NT) {
    warp_nt<kTilePitch, kTilePitch>(left + place.row * kTilePitch, right + place.column * kTilePitch, piece);
  } else {
    static_assert(kForm != Form::TN, "X^T X is on the tensor cores");
    warp_nn<kTilePitch, kRightPitch>(left + place.row * kTilePitch, right + place.column, piece);
  }
}
template <Form kForm>
__device__ __forceinline__ void multiply_slice(const float* left, const float* right, WarpSums& sums) {
  constexpr Summed kLeft = kForm == Form::TN ? Summed::DownColumns : Summed::AlongRows;
  constexpr Summed kRight = kForm == Form::NT ? Summed::AlongRows : Summed::DownColumns;
  constexpr int kLeftStep = kForm == Form::TN ? kLeftPitch : kTilePitch;
  constexpr int kRightStep = kForm == Form::NT ? kTilePitch : kRightPitch;
  const Place place;
  multiply_warp<Products::Three, kDepth, kLeft, kLeftStep, kRight, kRightStep>(
      left + place.row * (kForm == Form::TN ? 1 : kLeftStep),
      right + place.column * (kForm == Form::NT ? kRightStep : 1), sums);
}

// sums = left right over `slices` of the summed index. `part_of(s, left, right)` gives the parts of slice s and returns
// where in them it begins. `active`: this warp's elements are wanted.
template <Form kForm, class Sums, class PartOf>
__device__ __forceinline__ void multiply(int slices, float* shared, Sums& sums, PartOf part_of, bool active = true) {
  const auto load = [&](int s) {
    float* const stage = shared + s % 2 * kStageFloats;
    Part left, right;
    const int k = part_of(s, left, right);
    if (kForm == Form::TN) {
      load_slice<kSlice, kPanel, kLeftPitch>(left, k, 0, stage);
    } else {
      load_slice<kPanel, kSlice, kTilePitch>(left, 0, k, stage);
    }
    if (kForm == Form::NT) {
      load_slice<kColumns, kSlice, kTilePitch>(right, 0, k, stage + kLeftFloats);
    } else {
      load_slice<kSlice, kColumns, kRightPitch>(right, k, 0, stage + kLeftFloats);
    }
  };
  clear(sums);
  load(0);
  cp_async_commit();
  for (int s = 0; s < slices; ++s) {
    if (s + 1 < slices) load(s + 1);
    cp_async_commit(); // an empty group at the end, so that the wait below always means the same
    cp_async_wait<1>();
    __syncthreads();
    __syncwarp(); // for ldmatrix and mma.sync
    const float* const stage = shared + s % 2 * kStageFloats;
    if (active) multiply_slice<kForm>(stage, stage + kLeftFloats, sums);
    __syncthreads(); // the next turn loads into this stage
  }
}

// to(r, c) = of(r, c, sum), for the elements of a piece inside `rows` x `columns`.
template <class Of>
__device__ __forceinline__ void store_piece(const Piece& piece, float* to, int rows, int columns, Of of) {
  const Place place;
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; y += 4) {
      const int r = place.row + lane_ty() + 8 * x, c = place.column + 4 * lane_tx() + 4 * y;
      if (r >= rows) continue;
      float* const at = to + r * kPanel + c;
      if (c + 3 < columns) {
        store4(at, of(r, c, piece[x][y]), of(r, c + 1, piece[x][y + 1]), of(r, c + 2, piece[x][y + 2]),
               of(r, c + 3, piece[x][y + 3]));
      } else {
#pragma unroll
        for (int e = 0; e < 3; ++e)
          if (c + e < columns) at[e] = of(r, c + e, piece[x][y + e]);
      }
    }
}

// to = old + sign sums, for the elements inside `rows` x `columns`; without `old` where that is nullptr.
__device__ __forceinline__ void store_sums(const WarpSums& sums, float* to, int rows, int columns, float sign,
                                           const float* old, int64_t ld) {
  const Place place;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int r = place.row + sum_row(i, high);
      if (r >= rows) continue;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int c = place.column + sum_column(j);
        const float x = sign * sums[i][j][2 * high], y = sign * sums[i][j][2 * high + 1];
        const float* const from = old == nullptr ? nullptr : old + r * ld + c;
        float* const at = to + r * kPanel + c;
        if (c + 1 < columns) {
          const float2 a = from == nullptr ? make_float2(0, 0) : *reinterpret_cast<const float2*>(from);
          *reinterpret_cast<float2*>(at) = make_float2(a.x + x, a.y + y);
        } else if (c < columns) {
          *at = (from == nullptr ? 0.0f : *from) + x;
        }
      }
    }
}

// Writes a warp's sums, whose tile begins at (row0, column0) of a symmetric n x n matrix, and their mirror image. Of a
// tile on the diagonal only the lower triangle counts: high low and low high change their order above it, and so do
// their roundings.
__device__ __forceinline__ void store_symmetric(const WarpSums& sums, int row0, int column0, int n, float* to,
                                                int64_t ld) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int r = row0 + sum_row(i, high);
      if (r >= n) continue;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int c = column0 + sum_column(j);
        const float x = sums[i][j][2 * high], y = sums[i][j][2 * high + 1];
        float* const at = to + r * ld + c;
        if (c + 1 <= r) {
          *reinterpret_cast<float2*>(at) = make_float2(x, y);
        } else if (c <= r) {
          *at = x;
        }
        if (c < r) to[c * ld + r] = x;
        if (c + 1 < r) to[(c + 1) * ld + r] = y;
      }
    }
}

} // namespace lngd::cuda::large
#endif
