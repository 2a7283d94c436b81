// SPDX-License-Identifier: Apache-2.0
// The inverse of one damped block of up to kSmallFactor rows, by one thread, from tiles that stay in registers:
// LAPACK's small cases run at a tenth of what the processor can do (spotrf, strtri and slauum of 128 rows: 11 GFLOP/s
// here), and the default preset has little else than blocks of 128.
//
//   A = Phi + lambda I = U^T U      X = U^-T      A^-1 = X^T X         n^3 / 6 multiply-adds each
//
// (where the triangle X is wanted and not the inverse, the last product is left out)
// by strips of kStrip rows. All three are sums over rows above or below the strip, of the form that tile_product.h has;
// what is left inside a strip is done row by row. Rows and columns beyond n are those of the identity, so that nothing
// here has an edge.
#ifndef LNGD_BACKEND_CPU_KERNELS_SMALL_INVERSE_H
#define LNGD_BACKEND_CPU_KERNELS_SMALL_INVERSE_H

#include <cmath>

#include "backend/cpu/kernels/tile_product.h"

namespace lngd::cpu::LNGD_ISA {

constexpr int64_t kStrip = kRowAlign;
static_assert(kStrip % kTileRows == 0 && kStrip % kVectorFloats == 0, "a strip is made of whole tiles");

// a = the upper triangle of the damped block, and the identity beyond n. `phi` holds the lower triangle.
inline void copy_transposed(const float* phi, int64_t n, int64_t ldphi, double lambda, float* a, int64_t ld) {
  const int64_t size = padded(n);
  for (int64_t i0 = 0; i0 < n; i0 += kStrip)
    for (int64_t j0 = 0; j0 <= i0; j0 += kStrip)
      for (int64_t i = i0; i < std::min(n, i0 + kStrip); ++i)
        for (int64_t j = j0; j < std::min(i + 1, j0 + kStrip); ++j) a[j * ld + i] = phi[i * ldphi + j];
  for (int64_t i = 0; i < n; ++i) a[i * ld + i] = static_cast<float>(phi[i * ldphi + i] + lambda);
  for (int64_t j = n; j < size; ++j) {
    for (int64_t i = 0; i < j; ++i) a[i * ld + j] = 0;
    a[j * ld + j] = 1;
  }
}

// row[j] -= factor * of[j] for whole vectors.
LNGD_INLINE void subtract_row(float* row, float factor, const float* of, int64_t count) {
  for (int64_t j = 0; j < count; j += kVectorFloats) store(row + j, load(row + j) - factor * load(of + j));
}
LNGD_INLINE void scale_row(float* row, float factor, int64_t count) {
  for (int64_t j = 0; j < count; j += kVectorFloats) store(row + j, load(row + j) * factor);
}

// a (upper) = U in place. Returns the first pivot that is not a positive number, or -1. Below the diagonal, inside the
// diagonal tiles, numbers are left that nobody reads.
inline int64_t factor_upper(float* a, int64_t size, int64_t ld) {
  for (int64_t k0 = 0; k0 < size; k0 += kStrip) {
    for (int64_t i = k0; i < k0 + kStrip; i += kTileRows)
      tile_row<Put::kSubtract>(k0, a + i, ld, a + k0, ld, size - k0, a + i * ld + k0, ld);
    for (int64_t k = k0; k < k0 + kStrip; ++k) {
      float* const row = a + k * ld;
      const float pivot = row[k];
      if (!(pivot > 0) || std::isinf(pivot)) return k;
      const float root = std::sqrt(pivot);
      scale_row(row + k0, 1.0f / root, size - k0);
      row[k] = root;
      for (int64_t i = k + 1; i < k0 + kStrip; ++i) subtract_row(a + i * ld + k0, row[i], row + k0, size - k0);
    }
  }
  return -1;
}

// x = U^-T, lower; zero above the diagonal as far as tiles read it.
//   x_i = (e_i - sum_{k < i} u_ki x_k) / u_ii
inline void invert_transposed(const float* u, int64_t size, int64_t ld, float* x) {
  for (int64_t i0 = 0; i0 < size; i0 += kStrip) {
    const int64_t columns = std::min(size, i0 + kStrip + kTileColumns); // what a tile may reach beyond the diagonal
    for (int64_t i = i0; i < i0 + kStrip; ++i)
      for (int64_t j = 0; j < columns; ++j) x[i * ld + j] = 0;
    // x_k is zero right of column k: a tile of columns begins with the rows that reach it.
    for (int64_t j = 0; j < i0; j += kTileColumns) {
      const int64_t width = std::min<int64_t>(kTileColumns, i0 - j);
      for (int64_t i = i0; i < i0 + kStrip; i += kTileRows)
        tile_row<Put::kSubtract>(i0 - j, u + j * ld + i, ld, x + j * ld + j, ld, width, x + i * ld + j, ld);
    }
    for (int64_t k = i0; k < i0 + kStrip; ++k) {
      float* const row = x + k * ld;
      row[k] = 1;
      scale_row(row, 1.0f / u[k * ld + k], i0 + kStrip);
      for (int64_t i = k + 1; i < i0 + kStrip; ++i) subtract_row(x + i * ld, u[k * ld + i], row, i0 + kStrip);
    }
  }
}

// out = X, the n x n lower triangle.
inline void store_triangle(const float* x, int64_t n, int64_t ld, float* out, int64_t ldo) {
  for (int64_t i = 0; i < n; ++i) std::copy_n(x + i * ld, i + 1, out + i * ldo);
}

// out = X^T X, lower triangle (and what its tiles hold beside it).
inline void multiply_transposed(const float* x, int64_t size, int64_t ld, float* out) {
  for (int64_t i = 0; i < size; i += kTileRows) {
    const int64_t columns = (i + kTileRows + kVectorFloats - 1) / kVectorFloats * kVectorFloats;
    tile_row<Put::kAssign>(size - i, x + i * ld + i, ld, x + i * ld, ld, columns, out + i * ld, ld);
  }
}

} // namespace lngd::cpu::LNGD_ISA
#endif
