// SPDX-License-Identifier: Apache-2.0
// precondition where the second factor is a matrix: D = B^-1 (G A^-1), over all layers of a plan at once, in three
// passes.
//
//   rows      X = G A^-1         rows of one diagonal block of A, as in LNGD
//   columns   D = B^-1 X         (EKFAC: V_B^T [(V_B X) / (S + lambda)]) columns of the rows of one diagonal block of
//                                B; X is replaced column by column, so no second m x d matrix is needed
//   rows      (EKFAC: D = D' V_A) <D, G>, ||D||^2, ||W||^2, rows of one block again: after the columns, for B mixes the
//   rows
#include "backend/cpu/kernels/dense_products.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

void input_product(CpuContext& context, const StepArgs& args, const PreconditionTask& task, int32_t worker) {
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return; // layer_rate skips the layer
  if (layer.shape->blocks.is_diagonal) {
    const Reading reading = reading_of(args, layer);
    return scale_rows(layer, task, [&](int64_t row, int64_t column, int64_t count, float* to) {
      pack_row(layer, row, column, count, reading, to);
    });
  }
  const auto [gradient, ldg] = gradient_of(args, task, cpu(args.plan).worker[static_cast<size_t>(worker)].data());
  // Eigenvectors are rows.
  multiply_rows(context, layer, task, gradient, ldg, layer.shape->eigenbasis() ? kTrans : kNoTrans);
}

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

void output_product(CpuContext& context, const StepArgs& args, const ColumnTask& task, int32_t worker) {
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return;
  const LayerShape& shape = *layer.shape;
  float* const x = cpu(args.plan).worker[static_cast<size_t>(worker)].data();
  if (!shape.eigenbasis()) return multiply_columns(context, layer, task, x, kNoTrans);
  const int64_t rows = shape.second.size(task.block), ld = padded(task.column1 - task.column0);
  take_columns(layer, task, x, ld);
  divide_by_scales(context, layer, task, x, x + rows * ld, ld);
}

DirectionSums finish_rows(CpuContext& context, const StepArgs& args, const PreconditionTask& task, int32_t worker) {
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return {};
  float* const scratch = cpu(args.plan).worker[static_cast<size_t>(worker)].data();
  if (layer.shape->eigenbasis()) multiply_rows_in_place(context, layer, task, scratch); // leaves A's basis
  return direction_sums(args, task, scratch);
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
        finish_rows(context, args, plan.precondition[static_cast<size_t>(task)], worker);
  });
}

} // namespace lngd::cpu::LNGD_ISA
