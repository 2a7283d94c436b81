// SPDX-License-Identifier: Apache-2.0
// B += sum_n g_n g_n^T over the groups of a convolution's second factor, from rows that lie one after the other.
#ifndef LNGD_BACKEND_CPU_KERNELS_BLOCK_SYRK_H
#define LNGD_BACKEND_CPU_KERNELS_BLOCK_SYRK_H

#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

constexpr int64_t kSyrkTile = 256; // rows of Phi in one task

// Element j of row n lies at data[n * ld + j].
struct SignalPanel {
  const float* data;
  int64_t ld;
  int64_t rows;
};

// Rows [tile * kSyrkTile, ...) of the lower triangle of a block of n columns, whose first one is column `first` of the
// panel.
inline void syrk_tile(const Blas& blas, const SignalPanel& panel, int64_t first, int64_t n, int64_t ld, int64_t tile,
                      float* phi) {
  const int64_t row0 = tile * kSyrkTile, row1 = std::min(n, row0 + kSyrkTile);
  const int height = static_cast<int>(row1 - row0), left = static_cast<int>(row0), depth = static_cast<int>(panel.rows);
  const int ldb = static_cast<int>(panel.ld), ldc = static_cast<int>(ld);
  const float* const b = panel.data + first;
  float* const to = phi + row0 * ld;
  if (left > 0)
    blas.sgemm(kRowMajor, kTrans, kNoTrans, height, left, depth, 1.0f, b + row0, ldb, b, ldb, 1.0f, to, ldc);
  blas.ssyrk(kRowMajor, kLower, kTrans, height, depth, 1.0f, b + row0, ldb, 1.0f, to + row0, ldc);
}

// The blocks first .. last - 1. Column 0 of the panel is the first column of the first of them; those of another group
// follow at once.
inline void add_panel(CpuContext& context, const BlockLayout& blocks, int64_t first, int64_t last,
                      const SignalPanel& panel, float* phi_sum) {
  const auto column = [&blocks](int64_t k) { return blocks.group(k) * blocks.d + blocks.begin(k); };
  const int64_t tiles = (blocks.block + kSyrkTile - 1) / kSyrkTile, count = last - first;
  const double work = static_cast<double>(panel.rows) * static_cast<double>(count * blocks.block * blocks.block);
  context.pool.parallel_for(tiles * count, work, [&](int64_t task, int32_t) {
    // The last rows of a triangle are the longest: they go first.
    const int64_t k = first + task % count, tile = tiles - 1 - task / count;
    if (tile * kSyrkTile < blocks.size(k))
      syrk_tile(context.blas, panel, column(k) - column(first), blocks.size(k), blocks.ld(k), tile,
                phi_sum + blocks.offset(k));
  });
}

} // namespace lngd::cpu::LNGD_ISA
#endif
