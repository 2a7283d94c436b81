// SPDX-License-Identifier: Apache-2.0
// Products of a direction with the blocks of two matrix factors, and its sums: what KFAC, EKFAC and the whitened
// orthogonalisation share.
#ifndef LNGD_BACKEND_CPU_KERNELS_DENSE_PRODUCTS_H
#define LNGD_BACKEND_CPU_KERNELS_DENSE_PRODUCTS_H

#include "backend/cpu/kernels/diagonal_rows.h"

namespace lngd::cpu::LNGD_ISA {

// The output that a block of the second factor begins with.
inline int64_t first_row(const BlockLayout& second, int64_t k) { return second.group(k) * second.d + second.begin(k); }

// direction <- x F or x F^T, the rows of one task, F its block of the first factor (phi_inverse).
inline void multiply_rows(const CpuContext& context, const StepLayer& layer, const PreconditionTask& task,
                          const float* x, int64_t ldx, BlasTranspose transpose) {
  const BlockLayout& blocks = layer.shape->blocks;
  const int rows = static_cast<int>(task.row1 - task.row0), n = static_cast<int>(blocks.size(task.block));
  context.blas.sgemm(kRowMajor, kNoTrans, transpose, rows, n, n, 1.0f, x, static_cast<int>(ldx),
                     layer.memory->phi_inverse + blocks.offset(task.block), static_cast<int>(blocks.ld(task.block)),
                     0.0f, layer.memory->direction + task.row0 * layer.shape->ldw + blocks.begin(task.block),
                     static_cast<int>(layer.shape->ldw));
}

// direction <- direction F, in place by way of `scratch`.
inline void multiply_rows_in_place(const CpuContext& context, const StepLayer& layer, const PreconditionTask& task,
                                   float* scratch) {
  const LayerShape& shape = *layer.shape;
  if (shape.blocks.is_diagonal) return scale_rows_in_place(layer, task);
  const int64_t size = shape.blocks.size(task.block), ld = shape.blocks.ld(task.block);
  const float* const from = layer.memory->direction + task.row0 * shape.ldw + shape.blocks.begin(task.block);
  for (int64_t i = 0; i < task.row1 - task.row0; ++i) std::copy_n(from + i * shape.ldw, size, scratch + i * ld);
  multiply_rows(context, layer, task, scratch, ld, kNoTrans);
}

// x <- the task's columns of direction, leading dimension ld.
inline void take_columns(const StepLayer& layer, const ColumnTask& task, float* x, int64_t ld) {
  const LayerShape& shape = *layer.shape;
  const float* const direction =
      layer.memory->direction + first_row(shape.second, task.block) * shape.ldw + task.column0;
  for (int64_t i = 0; i < shape.second.size(task.block); ++i) {
    const float* const from = direction + i * shape.ldw;
    float* const to = x + i * ld;
#pragma omp simd
    for (int64_t j = 0; j < task.column1 - task.column0; ++j) to[j] = from[j];
  }
}

// direction <- F direction or F^T direction, the columns of one task, F its block of the second factor
// (second_inverse); in place by way of `scratch`.
inline void multiply_columns(const CpuContext& context, const StepLayer& layer, const ColumnTask& task, float* scratch,
                             BlasTranspose transpose) {
  const LayerShape& shape = *layer.shape;
  const int64_t columns = task.column1 - task.column0, ld = padded(columns);
  take_columns(layer, task, scratch, ld);
  const int m = static_cast<int>(shape.second.size(task.block));
  context.blas.sgemm(kRowMajor, transpose, kNoTrans, m, static_cast<int>(columns), m, 1.0f,
                     layer.memory->second_inverse + shape.second.offset(task.block),
                     static_cast<int>(shape.second.ld(task.block)), scratch, static_cast<int>(ld), 0.0f,
                     layer.memory->direction + first_row(shape.second, task.block) * shape.ldw + task.column0,
                     static_cast<int>(shape.ldw));
}

// <D, G>, ||D||^2, ||W||^2 of one task.
inline DirectionSums direction_sums(const StepArgs& args, const PreconditionTask& task, float* scratch) {
  DirectionSums sums{};
  const StepLayer& layer = args.layers[task.layer];
  const LayerShape& shape = *layer.shape;
  if (shape.blocks.is_diagonal) return diagonal_sums(layer, task, reading_of(args, layer));
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const bool has_bias = shape.bias && begin + size == shape.d;
  const Gradient gradient = gradient_of(args, task, scratch);
  for (int64_t row = task.row0; row < task.row1; ++row) {
    const float* const d = layer.memory->direction + row * shape.ldw + begin;
    const float* const g = gradient.data + (row - task.row0) * gradient.ld;
    double dg = run_sum(size, [d, g](int64_t j) { return d[j] * g[j]; });
    double dd = run_sum(size, [d](int64_t j) { return d[j] * d[j]; });
    if (!in_float_range(dd)) {
      const auto d_j = [d](int64_t j) { return d[j]; };
      dg = exact_dot(size, d_j, [g](int64_t j) { return g[j]; });
      dd = exact_dot(size, d_j, d_j);
    }
    sums.direction_gradient += dg;
    sums.direction_direction += dd;
    sums.weight_weight += weight_square(layer, row, begin, size - (has_bias ? 1 : 0), has_bias);
  }
  return sums;
}

} // namespace lngd::cpu::LNGD_ISA
#endif
