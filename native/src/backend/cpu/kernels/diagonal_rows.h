// SPDX-License-Identifier: Apache-2.0
// Rows of a task whose block F of the first factor is diagonal (an embedding): the products of dense_products.h are
// elementwise there, D_ij = x_ij F_j. A row goes by in short runs: it may be as long as a vocabulary, and its elements
// any stride apart.
#ifndef LNGD_BACKEND_CPU_KERNELS_DIAGONAL_ROWS_H
#define LNGD_BACKEND_CPU_KERNELS_DIAGONAL_ROWS_H

#include "backend/cpu/kernels/precondition_rows.h"

namespace lngd::cpu::LNGD_ISA {

// visit(row, column, count, d, f) for the runs of a task, d and f their elements of the direction and of F; columns
// are counted in the layer.
template <typename Visit>
void for_diagonal_runs(const StepLayer& layer, const PreconditionTask& task, Visit visit) {
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), end = begin + shape.blocks.size(task.block);
  const float* const f = layer.memory->phi_inverse + shape.blocks.offset(task.block);
  for (int64_t row = task.row0; row < task.row1; ++row)
    for (int64_t column = begin; column < end; column += kFloatRun)
      visit(row, column, std::min<int64_t>(kFloatRun, end - column), layer.memory->direction + row * shape.ldw + column,
            f + (column - begin));
}

// direction <- x F, with x of a run by take(row, column, count, x).
template <typename Take>
void scale_rows(const StepLayer& layer, const PreconditionTask& task, Take take) {
  for_diagonal_runs(layer, task, [&take](int64_t row, int64_t column, int64_t count, float* d, const float* f) {
    take(row, column, count, d);
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) d[j] *= f[j];
  });
}

// direction <- direction F.
inline void scale_rows_in_place(const StepLayer& layer, const PreconditionTask& task) {
  scale_rows(layer, task, [](int64_t, int64_t, int64_t, float*) {});
}

// <D, G>, ||D||^2, ||W||^2 of a task.
inline DirectionSums diagonal_sums(const StepLayer& layer, const PreconditionTask& task, const Reading& reading) {
  const LayerShape& shape = *layer.shape;
  float g[kFloatRun];
  DirectionSums sums{};
  for_diagonal_runs(layer, task, [&](int64_t row, int64_t column, int64_t count, const float* d, const float*) {
    pack_row(layer, row, column, count, reading, g);
    double dg = run_sum(count, [d, &g](int64_t j) { return d[j] * g[j]; });
    double dd = run_sum(count, [d](int64_t j) { return d[j] * d[j]; });
    if (!in_float_range(dd)) {
      const auto d_j = [d](int64_t j) { return d[j]; };
      dg = exact_dot(count, d_j, [&g](int64_t j) { return g[j]; });
      dd = exact_dot(count, d_j, d_j);
    }
    const bool bias = column == shape.inputs; // the bias is a block of its own
    sums.direction_gradient += dg;
    sums.direction_direction += dd;
    sums.weight_weight += weight_square(layer, row, column, bias ? 0 : count, bias);
  });
  return sums;
}

} // namespace lngd::cpu::LNGD_ISA
#endif
