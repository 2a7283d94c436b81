// SPDX-License-Identifier: Apache-2.0
// The product of some rows with a symmetric block of up to kSmallFactor columns.
#ifndef LNGD_BACKEND_CPU_KERNELS_SMALL_PRODUCT_H
#define LNGD_BACKEND_CPU_KERNELS_SMALL_PRODUCT_H

#include "backend/cpu/kernels/tile_product.h"

namespace lngd::cpu::LNGD_ISA {

// A tile of which only `rows` x `columns` elements exist: made aside, from rows that are filled up with zeros.
inline void edge_tile(const float* g, int64_t ldg, int64_t rows, int64_t n, const float* inverse, int64_t ld,
                      int64_t columns, float* d, int64_t ldd) {
  alignas(64) float tile[kTileRows * kTileColumns];
  alignas(64) float filled[kTileRows * kSmallFactor];
  if (rows < kTileRows) {
    for (int64_t i = 0; i < kTileRows; ++i)
      for (int64_t k = 0; k < n; ++k) filled[i * kSmallFactor + k] = i < rows ? g[i * ldg + k] : 0.0f;
    g = filled;
    ldg = kSmallFactor;
  }
  const int64_t width = (columns + kVectorFloats - 1) / kVectorFloats * kVectorFloats; // a row of the inverse has them
  tile_row<Put::kAssign, Left::kByRow>(n, g, ldg, inverse, ld, width, tile, kTileColumns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) d[i * ldd + j] = tile[i * kTileColumns + j];
}

// d = g inverse for a block of up to kSmallFactor columns. Both lie in the caches as they are; sgemm would first copy
// them (74 against 97 GFLOP/s for blocks of 128). Strip by strip, so that a strip of the inverse stays in the
// first-level cache.
inline void small_product(const float* g, int64_t ldg, int64_t rows, int64_t n, const float* inverse, int64_t ld,
                          float* d, int64_t ldd) {
  for (int64_t j = 0; j < n; j += kTileColumns) {
    const int64_t columns = std::min<int64_t>(kTileColumns, n - j);
    for (int64_t i = 0; i < rows; i += kTileRows) {
      const int64_t height = std::min<int64_t>(kTileRows, rows - i);
      if (height == kTileRows && columns % kVectorFloats == 0)
        tile_row<Put::kAssign, Left::kByRow>(n, g + i * ldg, ldg, inverse + j, ld, columns, d + i * ldd + j, ldd);
      else
        edge_tile(g + i * ldg, ldg, height, n, inverse + j, ld, columns, d + i * ldd + j, ldd);
    }
  }
}

} // namespace lngd::cpu::LNGD_ISA
#endif
