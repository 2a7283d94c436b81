// SPDX-License-Identifier: Apache-2.0
// The load stage of weighted_syrk: chunks of rows of A into shared memory by cp.async, whatever A is.
//
// What does not change from chunk to chunk is worked out once for each tile (SyrkColumns), what does not change along a
// row once for each row by one thread (SyrkRow): an element costs a sum, a test and the copy.
//
// A Loader (layer_statistics.cu: a strided matrix, conv_loader.cuh: the patches of a convolution) says
//   by_rows                 neighbouring rows are neighbours in memory: lanes run over 8 rows
//   inputs                  columns that lie in memory; one more is the constant 1 of a bias
//   column(group, j)        what column j of a group's factor is
//   row(n)                  what row n is; beyond the last, one that is nowhere inside
//   inside(row, column)     whether the element is other than zero; it lies at row.base + column.offset
//   quads(first)            whether columns first, first + 4, ... begin 16 bytes each
//   kPlaces, places(...)    whether the tile has another order of columns than the factor, and which
#ifndef LNGD_BACKEND_CUDA_SYRK_LOAD_CUH
#define LNGD_BACKEND_CUDA_SYRK_LOAD_CUH

#include "backend/cuda/simt.cuh"
#include "backend/cuda/syrk_fragment.cuh"

namespace lngd::cuda {

struct alignas(16) SyrkRow { // read with one instruction
  const float* base;
  int32_t y, x; // of a convolution: the patch's corner
};

struct alignas(16) SyrkColumn {
  int64_t offset; // from the row's base, in floats
  int32_t y, x;   // of a convolution: from the patch's corner
};

// The columns of one operand in shared memory: copies of 4 columns first, then single ones. Copy c is of positions 4 c
// to 4 c + 3 of the tile, or of position c + 3 quads.
template <class Shape>
struct SyrkColumns {
  SyrkColumn copy[Shape::kTile];
  uint16_t column[Shape::kTile]; // at a position of the tile; where the loader has places
};

// How many there are: the same in all threads.
struct SyrkExtent {
  int size;   // columns of the tile, the bias included
  int data;   // that lie in memory
  int quads;  // copies of 4
  bool moved; // positions are not columns
  __device__ __forceinline__ int copies() const { return data - 3 * quads; }
};

// Where a column went, and which copy it belongs to; `begins`: it is that copy's first.
struct SyrkPlace {
  int position, copy;
  bool begins;
};

// Describes columns [first, first + kTile) of a block that ends at `end`. Between barriers.
template <class Shape, class Loader>
__device__ SyrkExtent make_columns(const Loader& loader, int group, int first, int end, SyrkColumns<Shape>& columns) {
  SyrkExtent extent{min(Shape::kTile, end - first), 0, 0, false};
  extent.data = max(0, min(extent.size, loader.inputs - first));
  const int thread = static_cast<int>(threadIdx.x);
  if constexpr (Loader::kPlaces) {
    if (loader.moves()) {
      extent.moved = true;
      const auto places = loader.places(group, first, extent.data);
      extent.quads = places.quads;
      if (thread < extent.data) {
        const SyrkPlace to = places.of(first + thread);
        if (to.begins) columns.copy[to.copy] = loader.column(group, first + thread);
        columns.column[to.position] = static_cast<uint16_t>(thread);
      } else if (thread < extent.size) {
        columns.column[thread] = static_cast<uint16_t>(thread);
      }
      return extent;
    }
  }
  if (loader.quads(first)) extent.quads = extent.data / 4;
  if (thread < extent.copies())
    columns.copy[thread] =
        loader.column(group, first + (thread < extent.quads ? 4 * thread : thread + 3 * extent.quads));
  return extent;
}

// What no copy brings, in every stage: 1 in the bias's column, 0 in those beyond. Rows beyond the last have the weight
// 0.
template <class Shape>
__device__ void fill_constants(const SyrkExtent& extent, float* operand, int stages) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int k = static_cast<int>(threadIdx.x) / 32; k < stages * Shape::kRows; k += kSyrkWarps) {
    const int row = k % Shape::kRows;
    float* const at = operand + k / Shape::kRows * Shape::kStage + row * Shape::kPitch;
    for (int position = extent.data + lane; position < Shape::kTile; position += 32)
      at[syrk_place(row, position)] = position < extent.size ? 1.0f : 0.0f;
  }
}

template <class Loader>
__device__ __forceinline__ void copy_column(const Loader& loader, const SyrkRow& row, const SyrkColumn& column,
                                            float* to) {
  cp_async_4(to, row.base + column.offset, loader.inside(row, column) ? 4 : 0); // at 0 bytes the address is not read
}

// A chunk of one operand.
template <class Shape, class Loader>
__device__ __forceinline__ void load_operand(const Loader& loader, const SyrkRow* rows, const SyrkColumn* columns,
                                             const SyrkExtent& extent, float* to) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  if (loader.by_rows) { // 8 rows x 4 columns for a warp: whole sectors
    constexpr int kRowWarps = Shape::kRows / 8 < kSyrkWarps ? Shape::kRows / 8 : kSyrkWarps; // others: other columns
    for (int k = warp % kRowWarps * 8 + lane % 8; k < Shape::kRows; k += kRowWarps * 8) {
      const SyrkRow row = rows[k];
      float* const at = to + k * Shape::kPitch;
#pragma unroll 4
      for (int j = warp / kRowWarps * 4 + lane / 8; j < extent.data; j += kSyrkWarps / kRowWarps * 4)
        copy_column(loader, row, columns[j], at + syrk_place(k, j));
    }
    return;
  }
  constexpr int kLanes = Shape::kTile / 4; // of a row: all of its quads at once
  constexpr int kStep = kSyrkThreads / kLanes;
  static_assert(kStep % 8 == 0 && Shape::kRows % kStep == 0, "a thread's rows agree in bit 2");
  const int first = static_cast<int>(threadIdx.x) / kLanes;
  for (int copy = lane % kLanes; copy < extent.copies(); copy += kLanes) {
    const SyrkColumn column = columns[copy];
    if (copy < extent.quads) {
      float* const at = to + first * Shape::kPitch + syrk_place(first, 4 * copy);
#pragma unroll
      for (int k = 0; k < Shape::kRows; k += kStep) {
        const SyrkRow row = rows[first + k];
        cp_async_16(at + k * Shape::kPitch, row.base + column.offset, loader.inside(row, column) ? 16 : 0);
      }
    } else {
      float* const at = to + first * Shape::kPitch + syrk_place(first, copy + 3 * extent.quads);
#pragma unroll
      for (int k = 0; k < Shape::kRows; k += kStep)
        copy_column(loader, rows[first + k], column, at + k * Shape::kPitch);
    }
  }
}

} // namespace lngd::cuda
#endif
