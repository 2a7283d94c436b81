// SPDX-License-Identifier: Apache-2.0
// precondition with whitened orthogonalisation (the formula stands in lngd.h, at the end of lngd_config): over all
// layers of a plan at once, in five passes. T_A = C^-1 and T_B = B^-1 are the triangles of factor_inverse.
//
//   rows       x = the averaged gradient, D = x T_A^T       rows of one diagonal block of the first factor
//   columns    D = T_B D                                    columns of one diagonal block of the second
//   matrices   D = Newton-Schulz(D / ||D||_F)               a group of a layer; 0 stays 0
//   columns    D = T_B^T D
//   rows       D = D T_A, <D, G>, ||D||^2, ||W||^2
//
// Products with triangles are plain products with the zeros: with blocks of 128 strmm would save half of what is little
// beside the Newton-Schulz steps.
//
// M is only read here: apply_update renews it together with the weights, and so not in a step that is skipped. A NaN or
// Inf in the gradient shows in ||D||, as with every direction. (Renewing M here would need a pass over the gradient
// first, to see whether it is sound.)
#include <cmath>

#include "backend/cpu/kernels/dense_products.h"
#include "backend/cpu/kernels/newton_schulz.h"
#include "backend/cpu/kernels/second_factor.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// g <- x = (1 - tau_m) G + tau_m M_new with nesterov, else M_new; M_new = tau_m M + (1 - tau_m) G.
void average_gradient(const lngd_config& config, int64_t count, const float* momentum, float* g) {
  const float keep = static_cast<float>(config.momentum), fresh = static_cast<float>(1.0 - config.momentum);
  if (config.nesterov != 0) {
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      const float part = fresh * g[j];
      g[j] = part + keep * (keep * momentum[j] + part);
    }
  } else {
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) g[j] = keep * momentum[j] + fresh * g[j];
  }
}

void whiten_rows(const CpuContext& context, const StepArgs& args, const PreconditionTask& task, float* scratch) {
  const StepLayer& layer = args.layers[task.layer];
  const LayerShape& shape = *layer.shape;
  const int64_t ld = shape.blocks.ld(task.block), begin = shape.blocks.begin(task.block);
  const Reading reading = reading_of(args, layer);
  if (shape.blocks.is_diagonal)
    return scale_rows(layer, task, [&](int64_t row, int64_t column, int64_t count, float* to) {
      pack_row(layer, row, column, count, reading, to);
      average_gradient(*args.config, count, layer.memory->momentum + row * shape.ldw + column, to);
    });
  pack_gradient(layer, task, reading, scratch);
  for (int64_t row = task.row0; row < task.row1; ++row)
    average_gradient(*args.config, shape.blocks.size(task.block), layer.memory->momentum + row * shape.ldw + begin,
                     scratch + (row - task.row0) * ld);
  multiply_rows(context, layer, task, scratch, ld, kTrans);
}

double frobenius_norm(const WideOrTall& shape, const float* x) {
  double square = 0;
  for (int64_t i = 0; i < shape.rows; ++i) {
    const float* const row = x + i * shape.ld;
    const double fast = run_sum(shape.columns, [row](int64_t j) { return row[j] * row[j]; });
    const auto element = [row](int64_t j) { return row[j]; };
    square += in_float_range(fast) ? fast : exact_dot(shape.columns, element, element);
  }
  return std::sqrt(square);
}

// The matrix of a group. scratch: orthogonal_scratch(shape).
template <typename ForEach>
void orthogonalise(const CpuContext& context, const StepLayer& layer, int32_t group, float* scratch, ForEach for_each) {
  const LayerShape& shape = *layer.shape;
  const WideOrTall matrix{shape.outputs / shape.groups, shape.d, shape.ldw};
  float* const direction = layer.memory->direction + group * matrix.rows * shape.ldw;
  const double norm = frobenius_norm(matrix, direction);
  // In double, for the norm may be far outside of float's range. An infinite norm makes the infinite elements NaN.
  const double scale = norm > 0 ? 1.0 / norm : norm;
  for_each(newton_tiles(matrix.rows), static_cast<double>(matrix.rows * matrix.columns), [&](int64_t tile) {
    for (int64_t i = tile * kNewtonTile; i < std::min(matrix.rows, (tile + 1) * kNewtonTile); ++i) {
      const float* const from = direction + i * shape.ldw;
      float* const to = scratch + i * shape.ldw;
#pragma omp simd
      for (int64_t j = 0; j < matrix.columns; ++j) to[j] = static_cast<float>(scale * from[j]);
    }
  });
  newton_schulz(context.blas, matrix, scratch, direction, scratch + matrix.rows * shape.ldw, for_each);
}

void orthogonalise_all(CpuContext& context, const StepArgs& args) {
  CpuPlan& plan = cpu(args.plan);
  const auto layer_of = [&](const OrthogonalTask& task) -> const StepLayer& { return args.layers[task.layer]; };
  size_t first_small = 0; // the large ones lead the list
  for (; first_small < plan.orthogonal.size(); ++first_small) {
    const OrthogonalTask& task = plan.orthogonal[first_small];
    const StepLayer& layer = layer_of(task);
    if (!large_orthogonal(*layer.shape)) break;
    if (!layer.memory->record->has_inverse) continue;
    orthogonalise(context, layer, task.group, plan.newton_schulz.data(), [&](int64_t tasks, double work, auto body) {
      context.pool.parallel_for(tasks, work, [&](int64_t index, int32_t) { body(index); });
    });
  }
  const int64_t count = static_cast<int64_t>(plan.orthogonal.size() - first_small);
  context.pool.parallel_for(count, plan.work_orthogonal, [&](int64_t index, int32_t worker) {
    const OrthogonalTask& task = plan.orthogonal[first_small + static_cast<size_t>(index)];
    const StepLayer& layer = layer_of(task);
    if (!layer.memory->record->has_inverse) return;
    orthogonalise(context, layer, task.group, plan.worker[static_cast<size_t>(worker)].data(),
                  [](int64_t tasks, double, auto body) {
                    for (int64_t tile = 0; tile < tasks; ++tile) body(tile);
                  });
  });
}

} // namespace

void orthogonal_precondition(CpuContext& context, const StepArgs& args) {
  CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, 2 * plan.work_precondition + 2 * plan.work_second + plan.work_orthogonal);
  // body(task, scratch) for the tasks of a list whose layers have an inverse; layer_rate skips the others.
  const auto for_tasks = [&](const auto& tasks, double work, auto body) {
    context.pool.parallel_for(static_cast<int64_t>(tasks.size()), work, [&](int64_t index, int32_t worker) {
      const auto& task = tasks[static_cast<size_t>(index)];
      if (args.layers[task.layer].memory->record->has_inverse)
        body(task, static_cast<size_t>(index), plan.worker[static_cast<size_t>(worker)].data());
    });
  };
  for_tasks(plan.precondition, plan.work_precondition,
            [&](const PreconditionTask& task, size_t, float* scratch) { whiten_rows(context, args, task, scratch); });
  for_tasks(plan.columns, plan.work_second, [&](const ColumnTask& task, size_t, float* scratch) {
    multiply_columns(context, args.layers[task.layer], task, scratch, kNoTrans);
  });
  orthogonalise_all(context, args);
  for_tasks(plan.columns, plan.work_second, [&](const ColumnTask& task, size_t, float* scratch) {
    multiply_columns(context, args.layers[task.layer], task, scratch, kTrans);
  });
  for_tasks(plan.precondition, plan.work_precondition, [&](const PreconditionTask& task, size_t index, float* scratch) {
    multiply_rows_in_place(context, args.layers[task.layer], task, scratch);
    plan.sums[index] = direction_sums(args, task, scratch);
  });
}

} // namespace lngd::cpu::LNGD_ISA
