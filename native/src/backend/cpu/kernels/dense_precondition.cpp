// SPDX-License-Identifier: Apache-2.0
// precondition where the second factor is a matrix: D = B^-1 (G A^-1), over all layers of a plan at once, in three
// passes.
//
//   rows      X = G A^-1         rows of one diagonal block of A, as in LNGD
//   columns   D = B^-1 X         (EKFAC: V_B^T [(V_B X) / (S + lambda)]) columns of the rows of one diagonal block of
//                                B; X is replaced column by column, so no second m x d matrix is needed
//   rows      (EKFAC: D = D' V_A) <D, G>, ||D||^2, ||W||^2, rows of one block again: after the columns, for B mixes the
//   rows
#include "backend/cpu/kernels/precondition_rows.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

void input_product(CpuContext& context, const StepArgs& args, const PreconditionTask& task, int32_t worker) {
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return; // layer_rate skips the layer
  const LayerShape& shape = *layer.shape;
  const auto [gradient, ldg] = gradient_of(args, task, cpu(args.plan).worker[static_cast<size_t>(worker)].data());
  const int transposed = shape.eigenbasis() ? kTrans : kNoTrans; // eigenvectors are rows
  const int rows = static_cast<int>(task.row1 - task.row0), n = static_cast<int>(shape.blocks.size(task.block));
  context.blas.sgemm(
      kRowMajor, kNoTrans, transposed, rows, n, n, 1.0f, gradient, static_cast<int>(ldg),
      layer.memory->phi_inverse + shape.blocks.offset(task.block), static_cast<int>(shape.blocks.ld(task.block)), 0.0f,
      layer.memory->direction + task.row0 * shape.ldw + shape.blocks.begin(task.block), static_cast<int>(shape.ldw));
}

// The output that a block of B begins with.
int64_t first_row(const BlockLayout& second, int64_t k) { return second.group(k) * second.d + second.begin(k); }

// direction = V_B^T [(V_B x) / (S + lambda)]; z: a workspace of the size of x.
void divide_by_scales(CpuContext& context, const StepLayer& layer, const ColumnTask& task, const float* x, float* z,
                      int64_t ld) {
  const LayerShape& shape = *layer.shape;
  const int64_t rows = shape.second.size(task.block), columns = task.column1 - task.column0;
  const int64_t corner = first_row(shape.second, task.block) * shape.ldw + task.column0;
  const int m = static_cast<int>(rows), n = static_cast<int>(columns), ldx = static_cast<int>(ld);
  const float* const vectors = layer.memory->second_inverse + shape.second.offset(task.block);
  const int ldv = static_cast<int>(shape.second.ld(task.block));
  const float lambda = static_cast<float>(layer.memory->record->lambda_psi);
  context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, m, n, m, 1.0f, vectors, ldv, x, ldx, 0.0f, z, ldx);
  for (int64_t i = 0; i < rows; ++i) {
    const float* const scales = layer.memory->scales + corner + i * shape.ldw;
    float* const row = z + i * ld;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) row[j] /= scales[j] + lambda;
  }
  context.blas.sgemm(kRowMajor, kTrans, kNoTrans, m, n, m, 1.0f, vectors, ldv, z, ldx, 0.0f,
                     layer.memory->direction + corner, static_cast<int>(shape.ldw));
}

// EKFAC's way back: direction <- direction V_A, rows and columns of one task.
void leave_basis(CpuContext& context, const StepLayer& layer, const PreconditionTask& task, float* scratch) {
  const LayerShape& shape = *layer.shape;
  const int64_t size = shape.blocks.size(task.block), ld = shape.blocks.ld(task.block), rows = task.row1 - task.row0;
  float* const direction = layer.memory->direction + task.row0 * shape.ldw + shape.blocks.begin(task.block);
  for (int64_t i = 0; i < rows; ++i) std::copy_n(direction + i * shape.ldw, size, scratch + i * ld);
  const int n = static_cast<int>(size);
  context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, static_cast<int>(rows), n, n, 1.0f, scratch, static_cast<int>(ld),
                     layer.memory->phi_inverse + shape.blocks.offset(task.block), static_cast<int>(ld), 0.0f, direction,
                     static_cast<int>(shape.ldw));
}

void output_product(CpuContext& context, const StepArgs& args, const ColumnTask& task, int32_t worker) {
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return;
  const LayerShape& shape = *layer.shape;
  const int64_t rows = shape.second.size(task.block), columns = task.column1 - task.column0, ld = padded(columns);
  float* const direction = layer.memory->direction + first_row(shape.second, task.block) * shape.ldw + task.column0;
  float* const x = cpu(args.plan).worker[static_cast<size_t>(worker)].data();
  for (int64_t i = 0; i < rows; ++i) {
    const float* const from = direction + i * shape.ldw;
    float* const to = x + i * ld;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) to[j] = from[j];
  }
  const int m = static_cast<int>(rows);
  if (shape.eigenbasis()) return divide_by_scales(context, layer, task, x, x + rows * ld, ld);
  context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, m, static_cast<int>(columns), m, 1.0f,
                     layer.memory->second_inverse + shape.second.offset(task.block),
                     static_cast<int>(shape.second.ld(task.block)), x, static_cast<int>(ld), 0.0f, direction,
                     static_cast<int>(shape.ldw));
}

DirectionSums direction_sums(CpuContext& context, const StepArgs& args, const PreconditionTask& task, int32_t worker) {
  DirectionSums sums{};
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return sums;
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const bool has_bias = shape.bias && begin + size == shape.d;
  float* const scratch = cpu(args.plan).worker[static_cast<size_t>(worker)].data();
  if (shape.eigenbasis()) leave_basis(context, layer, task, scratch);
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

} // namespace

void dense_precondition(CpuContext& context, const StepArgs& args) {
  CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_precondition + plan.work_second);
  const int64_t tasks = static_cast<int64_t>(plan.precondition.size());
  context.pool.parallel_for(tasks, plan.work_precondition, [&](int64_t task, int32_t worker) {
    input_product(context, args, plan.precondition[static_cast<size_t>(task)], worker);
  });
  context.pool.parallel_for(static_cast<int64_t>(plan.columns.size()), plan.work_second,
                            [&](int64_t task, int32_t worker) {
                              output_product(context, args, plan.columns[static_cast<size_t>(task)], worker);
                            });
  context.pool.parallel_for(tasks, plan.work_update / 3, [&](int64_t task, int32_t worker) {
    plan.sums[static_cast<size_t>(task)] =
        direction_sums(context, args, plan.precondition[static_cast<size_t>(task)], worker);
  });
}

} // namespace lngd::cpu::LNGD_ISA
