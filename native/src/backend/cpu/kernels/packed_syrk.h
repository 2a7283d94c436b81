// SPDX-License-Identifier: Apache-2.0
// Phi += sum_n b_n b_n^T over the diagonal blocks for rows b_n = sqrt(r_n) a_n that the statistics have packed
// themselves: weighting a row, or gathering a patch, has to copy it, so it may as well be copied into the order that
// the register tile reads, and the packing that ssyrk does once more is saved. (Weighting one factor by r and leaving
// the other alone, a GEMM, would do twice the work of the SYRK.)
//
// The columns of a diagonal block are cut into strips of kTileColumns; a strip holds its columns of all rows of the
// panel, row after row. A strip that a block does not fill has zeros.
#ifndef LNGD_BACKEND_CPU_KERNELS_PACKED_SYRK_H
#define LNGD_BACKEND_CPU_KERNELS_PACKED_SYRK_H

#include "backend/cpu/kernels/tile_product.h"

namespace lngd::cpu::LNGD_ISA {

struct PackedPanel {
  float* data;
  int64_t capacity; // rows that a strip has room for
  int64_t rows;     // rows that it holds
  int64_t first;    // strip that data begins with

  // A cache line between strips: the same row of all of them would otherwise fall into one set of the cache.
  int64_t stride() const { return capacity * kTileColumns + kRowAlign; }
  float* strip(int64_t index) const { return data + (index - first) * stride(); }
};

LNGD_INLINE int64_t strips(int64_t columns) { return (columns + kTileColumns - 1) / kTileColumns; }
// First strip of diagonal block k.
LNGD_INLINE int64_t first_strip(const BlockLayout& blocks, int64_t k) { return k * strips(blocks.block); }

// Row `row` of the strips of block k: scale * a of `inputs` elements, and the constant 1 of a bias in the last column.
inline void pack_block_row(const PackedPanel& panel, const BlockLayout& blocks, int64_t k, int64_t inputs, int64_t row,
                           float scale, const caller_float* a, int64_t stride) {
  const int64_t end = blocks.begin(k) + blocks.size(k);
  float* to = panel.strip(first_strip(blocks, k)) + row * kTileColumns;
  for (int64_t j0 = blocks.begin(k); j0 < end; j0 += kTileColumns) {
    if (stride == 1 && j0 + kTileColumns <= std::min(end, inputs)) {
#pragma omp simd
      for (int64_t j = 0; j < kTileColumns; ++j) to[j] = scale * a[j0 + j];
    } else {
      for (int64_t j = 0; j < kTileColumns; ++j) {
        const int64_t column = j0 + j;
        to[j] = column >= end ? 0.0f : column == inputs ? scale : scale * a[column * stride];
      }
    }
    to += panel.stride();
  }
}

// Row `row` of the panel.
inline void pack_row(const PackedPanel& panel, const BlockLayout& blocks, int64_t inputs, int64_t row, float scale,
                     const caller_float* a, int64_t stride) {
  for (int64_t k = 0; k < blocks.count(); ++k) pack_block_row(panel, blocks, k, inputs, row, scale, a, stride);
}

// Fewer rows than a tile has, at the end of a block.
inline void last_rows(int64_t rows, int64_t depth, const float* p, const float* q, int64_t columns, float* to,
                      int64_t ld) {
  alignas(64) float tile[kTileRows * kTileColumns];
  tile_product<Put::kAssign, kTileVectors>(depth, p, kTileColumns, q, kTileColumns, tile, kTileColumns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) to[i * ld + j] += tile[i * kTileColumns + j];
}

// Rows of strip `strip` of the lower triangle of block k (and what the tiles on the diagonal hold beside it).
inline void strip_rows(const PackedPanel& panel, const BlockLayout& blocks, int64_t k, int64_t strip, float* phi) {
  const int64_t n = blocks.size(k), ld = blocks.ld(k), first = first_strip(blocks, k);
  const float* const p = panel.strip(first + strip);
  for (int64_t other = 0; other <= strip; ++other) {
    const float* const q = panel.strip(first + other);
    for (int64_t i = 0; i < kTileColumns; i += kTileRows) {
      const int64_t row = strip * kTileColumns + i, column = other * kTileColumns;
      if (row >= n) break;
      // Up to the diagonal, and no further than a row of Phi has room for.
      const int64_t wanted = other < strip ? kTileColumns : i + kTileRows;
      const int64_t columns = std::min<int64_t>(wanted, ld - column);
      float* const to = phi + row * ld + column;
      if (row + kTileRows > n)
        last_rows(n - row, panel.rows, p + i, q, std::min(columns, n - column), to, ld);
      else if (columns > kVectorFloats)
        tile_product<Put::kAdd, kTileVectors>(panel.rows, p + i, kTileColumns, q, kTileColumns, to, ld);
      else
        tile_product<Put::kAdd, 1>(panel.rows, p + i, kTileColumns, q, kTileColumns, to, ld);
    }
  }
}

// Where a worker packs one block at a time (block_a_thread). capacity: rows that a strip has room for.
inline PackedPanel own_panel(CpuContext& context, const BlockLayout& blocks, int64_t k, int64_t capacity, int64_t rows,
                             int32_t worker) {
  PackedPanel panel{context.panel.data(), capacity, rows, first_strip(blocks, k)};
  panel.data += worker * strips(blocks.block) * panel.stride();
  return panel;
}

// Block k, all of whose strips are in the panel.
inline void add_block(const BlockLayout& blocks, int64_t k, const PackedPanel& panel, float* phi_sum) {
  for (int64_t strip = 0; strip * kTileColumns < blocks.size(k); ++strip)
    strip_rows(panel, blocks, k, strip, phi_sum + blocks.offset(k));
}

// The blocks first .. last - 1, all of whose strips are in the panel.
inline void add_packed(CpuContext& context, const BlockLayout& blocks, int64_t first, int64_t last,
                       const PackedPanel& panel, float* phi_sum) {
  const int64_t per_block = strips(blocks.block), count = last - first;
  const double work = static_cast<double>(panel.rows) * static_cast<double>(count * blocks.block * blocks.block);
  context.pool.parallel_for(per_block * count, work, [&](int64_t task, int32_t) {
    // The last rows of a triangle are the longest: they go first.
    const int64_t k = first + task % count, strip = per_block - 1 - task / count;
    if (strip * kTileColumns < blocks.size(k)) strip_rows(panel, blocks, k, strip, phi_sum + blocks.offset(k));
  });
}

} // namespace lngd::cpu::LNGD_ISA
#endif
