// SPDX-License-Identifier: Apache-2.0
// The load stage of weighted_syrk: chunks of rows of A into shared memory by cp.async, whatever A is.
//
// A Loader (layer_statistics.cu: a strided matrix, conv_statistics.cu: the patches of a convolution) says
//   kQuads, quads(column)   whether 16 bytes at a time can be had, for columns from a multiple of 4 on
//   by_rows                 neighbouring rows are neighbours in memory: lanes run over 8 rows
//   column(group, j)        what column j of a group's factor is, once for each tile
//   row(group, n)           what row n is, once for each row of a chunk
//   address(row, column)    where the element lies, or nullptr where it is zero
#ifndef LNGD_BACKEND_CUDA_SYRK_LOAD_CUH
#define LNGD_BACKEND_CUDA_SYRK_LOAD_CUH

#include "backend/cuda/simt.cuh"
#include "backend/cuda/syrk_multiply.cuh"

namespace lngd::cuda {

enum class ColumnKind : uint8_t { Zero, One, Data };

struct alignas(16) SyrkColumn { // read with one instruction
  int64_t offset;               // from the row's base, in floats
  int32_t x;                    // of a convolution: from the patch's corner
  int16_t y;
  uint8_t local; // place in the tile
  ColumnKind kind;
};

// Columns [first, first + Shape::kTile) of a block's factor; those from `end` on are zero.
template <class Shape, class Loader>
__device__ void make_columns(const Loader& loader, int group, int first, int end, SyrkColumn* columns) {
  for (int j = static_cast<int>(threadIdx.x); j < Shape::kTile; j += kSyrkThreads) {
    SyrkColumn column{0, 0, 0, 0, ColumnKind::Zero};
    if (first + j < end) column = loader.column(group, first + j);
    column.local = static_cast<uint8_t>(j);
    columns[j] = column;
  }
}

// In the order of memory, so that lanes that run over columns run along it: the channels-last layout puts the channels
// of a kernel position side by side, while a patch has the positions of a channel side by side. Between barriers.
template <class Shape>
__device__ void sort_columns(SyrkColumn* columns) {
  const int j = static_cast<int>(threadIdx.x);
  SyrkColumn mine{};
  int rank = 0;
  if (j < Shape::kTile) {
    mine = columns[j];
    for (int other = 0; other < Shape::kTile; ++other) {
      const SyrkColumn& theirs = columns[other];
      rank += theirs.offset < mine.offset || (theirs.offset == mine.offset && other < j);
    }
  }
  __syncthreads();
  if (j < Shape::kTile) columns[rank] = mine;
}

template <class Loader>
__device__ __forceinline__ void load_element(const Loader& loader, const typename Loader::Row& row,
                                             const SyrkColumn& column, float* to) {
  if (column.kind == ColumnKind::One) {
    *to = row.valid ? 1.0f : 0.0f;
  } else {
    const float* const from = column.kind == ColumnKind::Data && row.valid ? loader.address(row, column) : nullptr;
    cp_async_4(to, from ? from : loader.base(), from ? 4 : 0);
  }
}

// Rows from row0 on, of one operand.
template <class Shape, class Loader>
__device__ void load_operand(const Loader& loader, int group, int row0, bool quads, const SyrkColumn* columns,
                             float* to) {
  constexpr int kWarps = kSyrkThreads / 32;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  if (Loader::kQuads && quads) {
    constexpr int kRowQuads = Shape::kTile / 4;
    const int j = static_cast<int>(threadIdx.x) % kRowQuads * 4; // the same in all turns
    const SyrkColumn column = columns[j];
    const bool whole = columns[j + 3].kind == column.kind && column.kind != ColumnKind::One;
#pragma unroll
    for (int k = static_cast<int>(threadIdx.x) / kRowQuads; k < Shape::kRows; k += kSyrkThreads / kRowQuads) {
      const typename Loader::Row row = loader.row(group, row0 + k);
      float* const shared = to + k * Shape::kPitch + j;
      if (whole) {
        const float* const from = column.kind == ColumnKind::Data && row.valid ? loader.address(row, column) : nullptr;
        cp_async_16(shared, from ? from : loader.base(), from ? 16 : 0);
      } else { // the end of the inputs, and the bias
        for (int e = 0; e < 4; ++e) load_element(loader, row, columns[j + e], shared + e);
      }
    }
  } else if (loader.by_rows) { // 8 rows x 4 columns for a warp: whole sectors, and few conflicts in shared memory
    constexpr int kRowWarps = Shape::kRows / 8 < kWarps ? Shape::kRows / 8 : kWarps; // the others take other columns
    for (int k = warp % kRowWarps * 8 + lane % 8; k < Shape::kRows; k += kRowWarps * 8) {
      const typename Loader::Row row = loader.row(group, row0 + k);
      for (int j = warp / kRowWarps * 4 + lane / 8; j < Shape::kTile; j += kWarps / kRowWarps * 4)
        load_element(loader, row, columns[j], to + k * Shape::kPitch + columns[j].local);
    }
  } else {
    for (int k = warp; k < Shape::kRows; k += kWarps) {
      const typename Loader::Row row = loader.row(group, row0 + k);
      for (int j = lane; j < Shape::kTile; j += 32)
        load_element(loader, row, columns[j], to + k * Shape::kPitch + columns[j].local);
    }
  }
}

} // namespace lngd::cuda
#endif
