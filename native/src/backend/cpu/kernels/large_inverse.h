// SPDX-License-Identifier: Apache-2.0
// The inverse of one damped block of more than kSmallFactor rows, by all threads.
//
//   A = Phi + lambda I = U^T U      X = U^-T      A^-1 = X^T X         n^3 / 6 multiply-adds each
//
// as in small_inverse.h, and for the same reason: all three are sums over rows, sum_k p_ki q_kj. U and X are kept in
// strips of kTileColumns columns (`Strips`), a strip row after row: that is how the register tile reads both operands,
// so nothing is packed again, and no leading dimension makes rows fall into the same sets of a cache. OpenBLAS's sgemm
// and strsm by tiles of 128 stood here before: each call packed what the one before had packed, and the whole was
// slower than spotrf + spotri.
//
// Left-looking: a panel of kFactorTile rows takes the products of all rows above it, depth first, and is written once;
// right-looking reads and writes the whole rest of the matrix for every panel, which for 4608 rows is main memory.
#ifndef LNGD_BACKEND_CPU_KERNELS_LARGE_INVERSE_H
#define LNGD_BACKEND_CPU_KERNELS_LARGE_INVERSE_H

#include "backend/cpu/kernels/small_inverse.h"
#include "backend/cpu/kernels/transpose.h"

namespace lngd::cpu::LNGD_ISA {

// A matrix of `rows` rows by strips of columns: element (k, j) is strip(j / kTileColumns)[k * kTileColumns + j mod
// kTileColumns].
struct Strips {
  float* data;
  int64_t rows;

  // A cache line between strips, as in packed_syrk.h.
  float* strip(int64_t index) const { return data + index * (rows * kTileColumns + kRowAlign); }
  float* at(int64_t k, int64_t j) const { return strip(j / kTileColumns) + k * kTileColumns + j % kTileColumns; }
};

// Rows of one solve without a product between: the diagonal block of X has the inverse of that of U.
constexpr int64_t kSolveRows = std::min<int64_t>(kStrip, kTileColumns);
constexpr int64_t kStripDepth = 256; // rows of a strip that stay in the first-level cache while a panel uses them
constexpr int64_t kStripGroup = 2;   // strips of one task
static_assert(kFactorTile % kTileColumns == 0 && kTileColumns % kTileRows == 0, "panels are made of whole tiles");

struct LargeInverse {
  CpuContext& context;
  int64_t n;    // of the block
  int64_t size; // padded: rows and columns beyond n are those of the identity
  Strips u, x;
  float* tile; // small_scratch(kFactorTile): a diagonal tile while it is factored and inverted

  int64_t panels() const { return (size + kFactorTile - 1) / kFactorTile; }
  int64_t begin(int64_t panel) const { return panel * kFactorTile; }
  int64_t height(int64_t panel) const { return std::min(kFactorTile, size - begin(panel)); }
  int64_t strips() const { return (size + kTileColumns - 1) / kTileColumns; }
  // First strip of a panel's columns.
  static int64_t first_strip(int64_t panel) { return panel * (kFactorTile / kTileColumns); }
};

// Rows [k0, k0 + height) of a strip -= sum over rows [from, k0) of U_k,panel^T strip_k.
inline void subtract_rows(const Strips& u, int64_t k0, int64_t height, int64_t from, float* strip) {
  for (int64_t d = from; d < k0; d += kStripDepth) {
    const int64_t depth = std::min(kStripDepth, k0 - d);
    for (int64_t i = k0; i < k0 + height; i += kTileRows)
      tile_product<Put::kSubtract, kTileVectors>(depth, u.at(d, i), kTileColumns, strip + d * kTileColumns,
                                                 kTileColumns, strip + i * kTileColumns, kTileColumns);
  }
}

// Rows [k0, k0 + height) of a strip = U_kk^-T of themselves: substitution by kSolveRows rows. Inside of those by the
// inverse that the diagonal of X holds, from the last tile upwards, since each needs only the rows above it.
inline void solve_rows(const LargeInverse& t, int64_t k0, int64_t height, float* strip) {
  for (int64_t s = k0; s < k0 + height; s += kSolveRows) {
    const float* const q = strip + s * kTileColumns;
    for (int64_t i = s; i < s + kSolveRows; i += kTileRows)
      tile_product<Put::kSubtract, kTileVectors>(s - k0, t.u.at(k0, i), kTileColumns, strip + k0 * kTileColumns,
                                                 kTileColumns, strip + i * kTileColumns, kTileColumns);
    for (int64_t i = s + kSolveRows - kTileRows; i >= s; i -= kTileRows)
      tile_product<Put::kAssign, kTileVectors, Left::kByRow>(i + kTileRows - s, t.x.at(i, s), kTileColumns, q,
                                                             kTileColumns, strip + i * kTileColumns, kTileColumns);
  }
}

// U_kk in place, and X_kk = U_kk^-T with zeros above its diagonal. Returns the first bad pivot or -1.
inline int64_t diagonal_panel(const LargeInverse& t, int64_t k0, int64_t height) {
  const int64_t ld = small_ld(height);
  float* const u = t.tile;
  float* const x = t.tile + height * ld;
  for (int64_t k = 0; k < height; ++k)
    for (int64_t j = k / kSolveRows * kSolveRows; j < height; j += kSolveRows)
      for (int64_t c = 0; c < kSolveRows; ++c) u[k * ld + j + c] = t.u.at(k0 + k, k0 + j)[c];
  const int64_t pivot = factor_upper(u, height, ld);
  if (pivot >= 0) return pivot;
  invert_transposed(u, height, ld, x);
  // The last strip may have columns beyond the last row.
  const int64_t columns = (height + kTileColumns - 1) / kTileColumns * kTileColumns;
  for (int64_t k = 0; k < height; ++k)
    for (int64_t j = 0; j < columns; j += kSolveRows) {
      float* const to_u = t.u.at(k0 + k, k0 + j);
      float* const to_x = t.x.at(k0 + k, k0 + j);
      for (int64_t c = 0; c < kSolveRows; ++c) {
        to_x[c] = j + c <= k ? x[k * ld + j + c] : 0.0f;
        if (j + c >= k && j < height) to_u[c] = u[k * ld + j + c];
      }
    }
  return -1;
}

// U = the upper triangle of the damped block. phi holds the lower one: transposed by squares of a vector's elements, as
// far as these lie below the diagonal and inside the block.
inline void load_upper(const LargeInverse& t, const float* phi, int64_t ld, double lambda) {
  constexpr int64_t kSquare = kVectorFloats;
  t.context.pool.parallel_for(t.strips(), static_cast<double>(t.size * t.size), [&](int64_t index, int32_t) {
    float* const strip = t.u.strip(index);
    const int64_t first = index * kTileColumns, last = first + kTileColumns;
    for (int64_t j0 = first; j0 < last; j0 += kSquare) {
      const int64_t inside = j0 + kSquare <= t.n ? j0 : 0; // rows of whole squares
      for (int64_t k = 0; k < inside; k += kSquare)
        transpose_rows(phi + j0 * ld + k, ld, kSquare, strip + k * kTileColumns + j0 - first, kTileColumns);
      for (int64_t j = j0; j < j0 + kSquare; ++j)
        for (int64_t k = inside; k < std::min(t.size, last); ++k)
          strip[k * kTileColumns + j - first] = j < t.n && k <= j ? phi[j * ld + k] : k == j ? 1.0f : 0.0f;
    }
    for (int64_t j = first; j < std::min(t.n, last); ++j)
      strip[j * kTileColumns + j - first] = static_cast<float>(phi[j * ld + j] + lambda);
  });
}

// U in place, and the diagonal tiles of X. Returns the first bad pivot or -1.
inline int64_t factor_panels(const LargeInverse& t) {
  for (int64_t panel = 0; panel < t.panels(); ++panel) {
    const int64_t k0 = t.begin(panel), height = t.height(panel);
    const int64_t first = t.first_strip(panel), right = std::min(t.strips(), t.first_strip(panel + 1));
    const int64_t groups = (t.strips() - right + kStripGroup - 1) / kStripGroup;
    const double columns = static_cast<double>(t.size - k0), rows = static_cast<double>(height);
    int64_t pivot = -1;
    // Task 0 is the diagonal tile, which the solves wait for: it is factored while the others are still at their sums.
    t.context.pool.parallel_for(
        groups + 1, 2 * rows * columns * static_cast<double>(k0 + kFactorTile), [&](int64_t task, int32_t) {
          const int64_t begin = task == 0 ? first : right + (task - 1) * kStripGroup;
          const int64_t end = task == 0 ? right : std::min(t.strips(), begin + kStripGroup);
          for (int64_t s = begin; s < end; ++s)
            subtract_rows(t.u, k0, std::min(height, (s + 1) * kTileColumns - k0), 0, t.u.strip(s));
          if (task == 0) pivot = diagonal_panel(t, k0, height);
        });
    if (pivot >= 0) return k0 + pivot;
    t.context.pool.parallel_for(groups, rows * rows * columns, [&](int64_t task, int32_t) {
      const int64_t begin = right + task * kStripGroup, end = std::min(t.strips(), begin + kStripGroup);
      for (int64_t s = begin; s < end; ++s) solve_rows(t, k0, height, t.u.strip(s));
    });
  }
  return -1;
}

// X = U^-T below its diagonal tiles: X_ij = -U_ii^-T sum_{j <= k < i} U_ki^T X_kj. Strips do not need each other.
inline void invert_strips(const LargeInverse& t) {
  const double cube = static_cast<double>(t.size) * static_cast<double>(t.size) * static_cast<double>(t.size);
  const int64_t groups = (t.strips() + kStripGroup - 1) / kStripGroup;
  // The first strips are the longest: they go first.
  t.context.pool.parallel_for(groups, cube / 3, [&](int64_t task, int32_t) {
    const int64_t s0 = task * kStripGroup, s1 = std::min(t.strips(), s0 + kStripGroup);
    for (int64_t panel = s0 * kTileColumns / kFactorTile + 1; panel < t.panels(); ++panel)
      for (int64_t s = s0; s < s1; ++s) {
        float* const strip = t.x.strip(s);
        const int64_t k0 = t.begin(panel), height = t.height(panel);
        for (int64_t e = k0 * kTileColumns; e < (k0 + height) * kTileColumns; ++e) strip[e] = 0;
        subtract_rows(t.u, k0, height, s * kTileColumns, strip); // rows above are zero
        solve_rows(t, k0, height, strip);
      }
  });
}

// out, both triangles, from a square of the lower one at (row0, column0), leading dimension kFactorTile.
inline void store_square(const float* square, int64_t n, int64_t row0, int64_t column0, float* out, int64_t ld) {
  const int64_t rows = std::min(kFactorTile, n - row0), columns = std::min(kFactorTile, n - column0);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t end = row0 == column0 ? i + 1 : columns;
    for (int64_t j = 0; j < end; ++j) out[(row0 + i) * ld + column0 + j] = square[i * kFactorTile + j];
  }
  for (int64_t j = 0; j < columns; ++j)
    for (int64_t i = row0 == column0 ? j + 1 : 0; i < rows; ++i)
      out[(column0 + j) * ld + row0 + i] = square[i * kFactorTile + j];
}

// out = X^T X, by squares of panels. X_k,i is zero for k < i: the sums of row i begin there.
inline void multiply_panels(const LargeInverse& t, float* out, int64_t ld) {
  const double cube = static_cast<double>(t.size) * static_cast<double>(t.size) * static_cast<double>(t.size);
  t.context.pool.parallel_for(t.panels() * (t.panels() + 1) / 2, cube / 3, [&](int64_t task, int32_t) {
    // Tasks by rows: panels (i, j), j <= i, are task i (i + 1) / 2 + j.
    int64_t i = static_cast<int64_t>((std::sqrt(8.0 * static_cast<double>(task) + 1.0) - 1.0) / 2.0);
    while (i * (i + 1) / 2 > task) --i;
    while ((i + 1) * (i + 2) / 2 <= task) ++i;
    const int64_t j = task - i * (i + 1) / 2, row0 = t.begin(i), column0 = t.begin(j);
    alignas(64) float square[kFactorTile * kFactorTile];
    for (int64_t d = row0; d < t.size; d += kStripDepth) {
      const int64_t end = std::min(t.size, d + kStripDepth);
      for (int64_t s = t.first_strip(j); s < std::min(t.strips(), t.first_strip(j + 1)); ++s)
        for (int64_t row = row0; row < std::min(end, row0 + t.height(i)); row += kTileRows) {
          const int64_t column = s * kTileColumns;
          if (row + kTileRows <= column) continue; // above the diagonal
          const int64_t k = std::max(d, row);
          float* const to = square + (row - row0) * kFactorTile + column - column0;
          if (k == row)
            tile_product<Put::kAssign, kTileVectors>(end - k, t.x.at(k, row), kTileColumns,
                                                     t.x.strip(s) + k * kTileColumns, kTileColumns, to, kFactorTile);
          else
            tile_product<Put::kAdd, kTileVectors>(end - k, t.x.at(k, row), kTileColumns,
                                                  t.x.strip(s) + k * kTileColumns, kTileColumns, to, kFactorTile);
        }
    }
    store_square(square, t.n, row0, column0, out, ld);
  });
}

// out = X, lower.
inline void store_strips(const LargeInverse& t, float* out, int64_t ld) {
  t.context.pool.parallel_for(t.panels(), static_cast<double>(t.size * t.size), [&](int64_t panel, int32_t) {
    for (int64_t i = t.begin(panel); i < std::min(t.n, t.begin(panel) + t.height(panel)); ++i)
      for (int64_t j = 0; j <= i; j += kTileColumns)
        std::copy_n(t.x.at(i, j), std::min<int64_t>(kTileColumns, i + 1 - j), out + i * ld + j);
  });
}

// inverse = (phi + lambda I)^-1, both triangles, or with `triangle` X, the inverse of its Cholesky factor. Returns the
// first bad pivot with nothing written, or -1. scratch: large_scratch(n) floats.
inline int64_t invert_large(CpuContext& context, const float* phi, int64_t n, int64_t ld, double lambda, float* scratch,
                            float* inverse, bool triangle) {
  const int64_t size = padded(n), half = strip_floats(n);
  const LargeInverse t{context, n, size, {scratch, size}, {scratch + half, size}, scratch + 2 * half};
  load_upper(t, phi, ld, lambda);
  const int64_t pivot = factor_panels(t);
  if (pivot >= 0) return pivot;
  invert_strips(t);
  if (triangle)
    store_strips(t, inverse, ld);
  else
    multiply_panels(t, inverse, ld);
  return -1;
}

} // namespace lngd::cpu::LNGD_ISA
#endif
