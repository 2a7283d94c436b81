// SPDX-License-Identifier: Apache-2.0
// Two quintic Newton-Schulz steps, which bring the singular values of a matrix near 1 and leave its singular vectors,
// on its Gram matrix (J. Zhang, N. Amsel, B. Chen, T. Dao, "Gram Newton-Schulz", 2026). On the smaller side p of X,
// which is p x q, with P_k = a_k I + b_k S + c_k S S (quintic.h):
//
//   S = X X^T      t = ||S||_F      S <- S / t                the singular values of X / sqrt(t) are at most 1
//   P = P_1(S)     R = S P          S <- R P                  of P_1 X / sqrt(t), without making it: all commute
//   R <- P_2(S)    S <- R P / sqrt(t)
//   O = S X
//
// Where X has more rows than columns, S = X^T X and O = X S. S, P and R are symmetric: the tiles of their lower
// triangles are computed and copied to the other side, so that of 4 p^2 q + 10 p^3 operations little more than 3 p^2 q
// + 5 p^3 are done where p is many tiles. Tiles have the same sizes whoever computes them: the number of threads does
// not change the bits.
//
// sqrt(||X X^T||_F) lies between the largest singular value and ||X||_F, by which Muon divides: the values begin nearer
// to 1. Rejected: X <- P X after each step, 8 p^2 q + 4 p^3: more where q > 1.5 p, and where p is many tiles, with one
// triangle each, wherever q > p.
#ifndef LNGD_BACKEND_CPU_KERNELS_NEWTON_SCHULZ_H
#define LNGD_BACKEND_CPU_KERNELS_NEWTON_SCHULZ_H

#include <cmath>

#include "backend/cpu/kernels/fisher_row.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/quintic.h"

namespace lngd::cpu::LNGD_ISA {

// rows x columns at x with leading dimension ld.
struct WideOrTall {
  int64_t rows, columns, ld;

  bool tall() const { return rows > columns; }
  int64_t small() const { return std::min(rows, columns); }
};

constexpr int64_t kNewtonTile = 256;
inline int64_t newton_tiles(int64_t n) { return (n + kNewtonTile - 1) / kNewtonTile; }

// One tile of a symmetric p x p matrix: its rows, columns and sizes.
struct SymmetricTile {
  int64_t row, column;
  int rows, columns;

  // Tile `index` of the lower triangle, row after row.
  SymmetricTile(int64_t index, int64_t p) {
    int64_t i = 0;
    while ((i + 1) * (i + 2) / 2 <= index) ++i;
    row = i * kNewtonTile;
    column = (index - i * (i + 1) / 2) * kNewtonTile;
    rows = static_cast<int>(std::min(kNewtonTile, p - row));
    columns = static_cast<int>(std::min(kNewtonTile, p - column));
  }
  void mirror(float* matrix, int64_t ld) const {
    if (row == column) return;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) matrix[(column + j) * ld + row + i] = matrix[(row + i) * ld + column + j];
  }
};

// s = X X^T or X^T X.
inline void gram_tile(const Blas& blas, const WideOrTall& shape, const float* x, int64_t index, float* s, int64_t lds) {
  const SymmetricTile tile(index, shape.small());
  float* const to = s + tile.row * lds + tile.column;
  const int ld = static_cast<int>(shape.ld), out = static_cast<int>(lds);
  if (shape.tall())
    blas.sgemm(kRowMajor, kTrans, kNoTrans, tile.rows, tile.columns, static_cast<int>(shape.rows), 1.0f, x + tile.row,
               ld, x + tile.column, ld, 0.0f, to, out);
  else
    blas.sgemm(kRowMajor, kNoTrans, kTrans, tile.rows, tile.columns, static_cast<int>(shape.columns), 1.0f,
               x + tile.row * shape.ld, ld, x + tile.column * shape.ld, ld, 0.0f, to, out);
  tile.mirror(s, lds);
}

// out = scale A B, of symmetric matrices that commute; added to what is there with `add`.
inline void symmetric_product_tile(const Blas& blas, int64_t p, float scale, const float* a, const float* b,
                                   int64_t lds, int64_t index, bool add, float* out) {
  const SymmetricTile tile(index, p);
  const int ld = static_cast<int>(lds);
  blas.sgemm(kRowMajor, kNoTrans, kNoTrans, tile.rows, tile.columns, static_cast<int>(p), scale, a + tile.row * lds, ld,
             b + tile.column, ld, add ? 1.0f : 0.0f, out + tile.row * lds + tile.column, ld);
  tile.mirror(out, lds);
}

// out = a I + b S + c S S.
inline void polynomial_tile(const Blas& blas, int64_t p, const Quintic& quintic, const float* s, int64_t lds,
                            int64_t index, float* out) {
  const SymmetricTile tile(index, p);
  for (int64_t i = tile.row; i < tile.row + tile.rows; ++i) {
    for (int64_t j = tile.column; j < tile.column + tile.columns; ++j) out[i * lds + j] = quintic.b * s[i * lds + j];
    if (tile.row == tile.column) out[i * lds + i] += quintic.a;
  }
  symmetric_product_tile(blas, p, quintic.c, s, s, lds, index, true, out);
}

// Rows of a tile of a p x p matrix: the sum of their squares, or times `scale`.
inline double square_of_rows(int64_t p, const float* s, int64_t lds, int64_t tile) {
  double sum = 0;
  for (int64_t i = tile * kNewtonTile; i < std::min(p, (tile + 1) * kNewtonTile); ++i) {
    const float* const row = s + i * lds;
    sum += run_sum(p, [row](int64_t j) { return row[j] * row[j]; });
  }
  return sum;
}
inline void scale_rows(int64_t p, float scale, float* s, int64_t lds, int64_t tile) {
  for (int64_t i = tile * kNewtonTile; i < std::min(p, (tile + 1) * kNewtonTile); ++i)
    for (int64_t j = 0; j < p; ++j) s[i * lds + j] *= scale;
}

// to = Q X or X Q.
inline void apply_tile(const Blas& blas, const WideOrTall& shape, const float* q, int64_t ldq, const float* x,
                       int64_t index, float* to) {
  const int64_t across = newton_tiles(shape.columns);
  const int64_t row = index / across * kNewtonTile, column = index % across * kNewtonTile;
  const int rows = static_cast<int>(std::min(kNewtonTile, shape.rows - row));
  const int columns = static_cast<int>(std::min(kNewtonTile, shape.columns - column));
  const float* const left = shape.tall() ? x + row * shape.ld : q + row * ldq;
  const float* const right = shape.tall() ? q + column : x + column;
  const int64_t ldl = shape.tall() ? shape.ld : ldq, ldr = shape.tall() ? ldq : shape.ld;
  blas.sgemm(kRowMajor, kNoTrans, kNoTrans, rows, columns, static_cast<int>(shape.small()), 1.0f, left,
             static_cast<int>(ldl), right, static_cast<int>(ldr), 0.0f, to + row * shape.ld + column,
             static_cast<int>(shape.ld));
}

// ||x||_F <= 1, so that no square leaves float's range; 0 stays 0. The result, of the same form, is in `result`.
// squares: newton_schulz_floats(p). for_each(tasks, work, body): body(task) for task = 0 .. tasks - 1, in any order.
template <typename ForEach>
void newton_schulz(const Blas& blas, const WideOrTall& shape, const float* x, float* result, float* squares,
                   ForEach for_each) {
  const int64_t p = shape.small(), lds = padded(p), rows = newton_tiles(p), triangle = rows * (rows + 1) / 2;
  float* const s = squares;
  float* const polynomial = s + p * lds;
  float* const r = polynomial + p * lds;
  double* const partial = reinterpret_cast<double*>(r + p * lds); // one for each row of tiles
  const double square = static_cast<double>(p) * static_cast<double>(p), cube = square * static_cast<double>(p);
  const double wide = static_cast<double>(shape.rows) * static_cast<double>(shape.columns) * static_cast<double>(p);
  const auto polynomial_of_s = [&](const Quintic& quintic, float* to) {
    for_each(triangle, cube, [&](int64_t tile) { polynomial_tile(blas, p, quintic, s, lds, tile, to); });
  };
  const auto product = [&](float scale, const float* a, const float* b, float* to) {
    for_each(triangle, cube, [&](int64_t tile) { symmetric_product_tile(blas, p, scale, a, b, lds, tile, false, to); });
  };
  for_each(triangle, wide, [&](int64_t tile) { gram_tile(blas, shape, x, tile, s, lds); });
  for_each(rows, square, [&](int64_t tile) { partial[tile] = square_of_rows(p, s, lds, tile); });
  double t = 0;
  for (int64_t tile = 0; tile < rows; ++tile) t += partial[tile];
  t = t > 0 ? std::sqrt(t) : 1;
  for_each(rows, square, [&](int64_t tile) { scale_rows(p, static_cast<float>(1 / t), s, lds, tile); });
  polynomial_of_s(kFirstQuintic, polynomial);
  product(1, s, polynomial, r);
  product(1, r, polynomial, s);
  polynomial_of_s(kSecondQuintic, r);
  product(static_cast<float>(1 / std::sqrt(t)), r, polynomial, s);
  for_each(newton_tiles(shape.rows) * newton_tiles(shape.columns), 2 * wide,
           [&](int64_t tile) { apply_tile(blas, shape, s, lds, x, tile, result); });
}

} // namespace lngd::cpu::LNGD_ISA
#endif
