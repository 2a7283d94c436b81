// SPDX-License-Identifier: Apache-2.0
// Three quintic Newton-Schulz steps, which bring the singular values of a matrix near 1 and leave its singular vectors
// (coefficients: K. Jordan, Muon, 2024, who has five steps; here recipe.md, item 5 of RECIPE_2):
//
//   S = X X^T        P = a I + b S + c S S        X <- P X          p x p, p x p, p x q
//
// on the smaller side p of X: where X has more rows than columns, S = X^T X and X <- X P. S and P are symmetric: of
// both the tiles of the lower triangle are computed and copied to the other side, so that of 3 (4 p^2 q + 2 p^3)
// operations little more than 3 (3 p^2 q + p^3) are done. Tiles have the same sizes whoever computes them: the number
// of threads does not change the bits.
#ifndef LNGD_BACKEND_CPU_KERNELS_NEWTON_SCHULZ_H
#define LNGD_BACKEND_CPU_KERNELS_NEWTON_SCHULZ_H

#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

constexpr int kNewtonSchulzSteps = 3;
constexpr float kNewtonSchulzA = 3.4445f, kNewtonSchulzB = -4.7750f, kNewtonSchulzC = 2.0315f;

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

// out = a I + b S + c S S.
inline void polynomial_tile(const Blas& blas, int64_t p, const float* s, int64_t lds, int64_t index, float* out) {
  const SymmetricTile tile(index, p);
  for (int64_t i = tile.row; i < tile.row + tile.rows; ++i) {
    for (int64_t j = tile.column; j < tile.column + tile.columns; ++j)
      out[i * lds + j] = kNewtonSchulzB * s[i * lds + j];
    if (tile.row == tile.column) out[i * lds + i] += kNewtonSchulzA;
  }
  const int ld = static_cast<int>(lds);
  blas.sgemm(kRowMajor, kNoTrans, kNoTrans, tile.rows, tile.columns, static_cast<int>(p), kNewtonSchulzC,
             s + tile.row * lds, ld, s + tile.column, ld, 1.0f, out + tile.row * lds + tile.column, ld);
  tile.mirror(out, lds);
}

// to = P X or X P.
inline void apply_tile(const Blas& blas, const WideOrTall& shape, const float* polynomial, int64_t ldp, const float* x,
                       int64_t index, float* to) {
  const int64_t across = newton_tiles(shape.columns);
  const int64_t row = index / across * kNewtonTile, column = index % across * kNewtonTile;
  const int rows = static_cast<int>(std::min(kNewtonTile, shape.rows - row));
  const int columns = static_cast<int>(std::min(kNewtonTile, shape.columns - column));
  const float* const left = shape.tall() ? x + row * shape.ld : polynomial + row * ldp;
  const float* const right = shape.tall() ? polynomial + column : x + column;
  const int64_t ldl = shape.tall() ? shape.ld : ldp, ldr = shape.tall() ? ldp : shape.ld;
  blas.sgemm(kRowMajor, kNoTrans, kNoTrans, rows, columns, static_cast<int>(shape.small()), 1.0f, left,
             static_cast<int>(ldl), right, static_cast<int>(ldr), 0.0f, to + row * shape.ld + column,
             static_cast<int>(shape.ld));
}

// x, whose singular values are in [0, 1], is overwritten; the result is in `result`, of the same form.
// squares: 2 p padded(p). for_each(tasks, work, body): body(task) for task = 0 .. tasks - 1, in any order.
template <typename ForEach>
void newton_schulz(const Blas& blas, const WideOrTall& shape, float* x, float* result, float* squares,
                   ForEach for_each) {
  static_assert(kNewtonSchulzSteps % 2 == 1, "an odd number of steps ends in the other array");
  const int64_t p = shape.small(), lds = padded(p);
  float* const s = squares;
  float* const polynomial = squares + p * lds;
  const int64_t triangle = newton_tiles(p) * (newton_tiles(p) + 1) / 2;
  const double side = static_cast<double>(p), square = side * side;
  const double wide = static_cast<double>(shape.rows) * static_cast<double>(shape.columns) * side;
  for (int step = 0; step < kNewtonSchulzSteps; ++step) {
    for_each(triangle, wide, [&](int64_t tile) { gram_tile(blas, shape, x, tile, s, lds); });
    for_each(triangle, square * side, [&](int64_t tile) { polynomial_tile(blas, p, s, lds, tile, polynomial); });
    for_each(newton_tiles(shape.rows) * newton_tiles(shape.columns), 2 * wide,
             [&](int64_t tile) { apply_tile(blas, shape, polynomial, lds, x, tile, result); });
    std::swap(x, result);
  }
}

} // namespace lngd::cpu::LNGD_ISA
#endif
