// SPDX-License-Identifier: Apache-2.0
// precondition: D = Psi_inv G Phi_inv (paper alg. 1, line 12), over all layers of a plan at once.
//
// A task is some rows of one diagonal block: a GEMM of the gradient with the block's inverse, then, while the result is
// still in the cache, the row scaling by Psi_inv and every inner product that the layer rate and the trust ratio want.
// G is read where it lies if BLAS can; a gradient with other strides, the block with the bias column, G + wd W (coupled
// decay) and a scaled gradient are packed. Where Phi is diagonal there is no product: D_ij = G_ij / (psi_i phi_j),
// damped.
#include "backend/cpu/kernels/gradient_scale.h"
#include "backend/cpu/kernels/parameter.h"
#include "backend/cpu/kernels/precondition_rows.h"
#include "backend/cpu/kernels/second_factor.h"
#include "backend/cpu/kernels/small_product.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// A task where Phi is diagonal. The gradient goes by in short runs: a row of it may be as long as a vocabulary, and any
// stride apart.
DirectionSums diagonal_rows(const StepLayer& layer, const PreconditionTask& task, const Reading& reading) {
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const bool bias = begin == shape.inputs; // the bias is a block of its own
  const float* const phi_inverse = layer.memory->phi_inverse + shape.blocks.offset(task.block);
  float g[kFloatRun];
  DirectionSums sums{};
  for (int64_t row = task.row0; row < task.row1; ++row) {
    float* const d = layer.memory->direction + row * shape.ldw + begin;
    const float psi_inverse = layer.memory->psi_inverse[row];
    double dg = 0, dd = 0;
    for (int64_t first = 0; first < size; first += kFloatRun) {
      const int64_t count = std::min(kFloatRun, size - first);
      pack_row(layer, row, begin + first, count, reading, g);
      const float* const inverse = phi_inverse + first;
      float* const to = d + first;
      float run_dg = 0, run_dd = 0;
#pragma omp simd reduction(+ : run_dg, run_dd)
      for (int64_t j = 0; j < count; ++j) {
        const float scaled = psi_inverse * (g[j] * inverse[j]);
        to[j] = scaled;
        run_dg += scaled * g[j];
        run_dd += scaled * scaled;
      }
      dg += run_dg;
      dd += run_dd;
    }
    if (!in_float_range(dd)) {
      dg = 0;
      for (int64_t first = 0; first < size; first += kFloatRun) {
        const int64_t count = std::min(kFloatRun, size - first);
        pack_row(layer, row, begin + first, count, reading, g);
        const auto d_j = [d, first](int64_t j) { return d[first + j]; };
        dg += exact_dot(count, d_j, [&g](int64_t j) { return g[j]; });
      }
      const auto d_j = [d](int64_t j) { return d[j]; };
      dd = exact_dot(size, d_j, d_j);
    }
    sums.direction_gradient += dg;
    sums.direction_direction += dd;
    sums.direction_psi += dd / psi_inverse;
    sums.psi_gradient += dg * psi_inverse;
    sums.weight_weight += weight_square(layer, row, begin, bias ? 0 : size, bias);
  }
  return sums;
}

void run_task(CpuContext& context, const StepArgs& args, int64_t index, int32_t worker) {
  CpuPlan& plan = cpu(args.plan);
  const PreconditionTask& task = plan.precondition[static_cast<size_t>(index)];
  const StepLayer& layer = args.layers[task.layer];
  if (!layer.memory->record->has_inverse) return; // layer_rate skips the layer
  const LayerShape& shape = *layer.shape;
  const int64_t begin = shape.blocks.begin(task.block), size = shape.blocks.size(task.block);
  const int64_t ld = shape.blocks.ld(task.block);
  const bool has_bias = shape.bias && begin + size == shape.d;
  if (shape.blocks.is_diagonal) {
    plan.sums[static_cast<size_t>(index)] = diagonal_rows(layer, task, reading_of(args, layer));
    return;
  }
  const auto [gradient, ldg] = gradient_of(args, task, plan.worker[static_cast<size_t>(worker)].data());
  float* const direction = layer.memory->direction + task.row0 * shape.ldw + begin;
  const int rows = static_cast<int>(task.row1 - task.row0), n = static_cast<int>(size);
  const float* const inverse = layer.memory->phi_inverse + shape.blocks.offset(task.block);
  if (size <= kSmallFactor)
    small_product(gradient, ldg, rows, size, inverse, ld, direction, shape.ldw);
  else
    context.blas.sgemm(kRowMajor, kNoTrans, kNoTrans, rows, n, n, 1.0f, gradient, static_cast<int>(ldg), inverse,
                       static_cast<int>(ld), 0.0f, direction, static_cast<int>(shape.ldw));
  DirectionSums sums{};
  for (int64_t row = 0; row < rows; ++row) {
    float* const d = direction + row * shape.ldw;
    const float* const g = gradient + row * ldg;
    const float psi_inverse = layer.memory->psi_inverse[task.row0 + row];
    double dg = 0, dd = 0;
    for (int64_t first = 0; first < size; first += kFloatRun) {
      const int64_t last = std::min(size, first + kFloatRun);
      float run_dg = 0, run_dd = 0;
#pragma omp simd reduction(+ : run_dg, run_dd)
      for (int64_t j = first; j < last; ++j) {
        const float scaled = psi_inverse * d[j];
        d[j] = scaled;
        run_dg += scaled * g[j];
        run_dd += scaled * scaled;
      }
      dg += run_dg;
      dd += run_dd;
    }
    if (!in_float_range(dd)) {
      const auto d_j = [d](int64_t j) { return d[j]; };
      dg = exact_dot(size, d_j, [g](int64_t j) { return g[j]; });
      dd = exact_dot(size, d_j, d_j);
    }
    sums.direction_gradient += dg;
    sums.direction_direction += dd;
    sums.direction_psi += dd / psi_inverse;
    sums.psi_gradient += dg * psi_inverse;
    sums.weight_weight += weight_square(layer, task.row0 + row, begin, size - (has_bias ? 1 : 0), has_bias);
  }
  plan.sums[static_cast<size_t>(index)] = sums;
}

} // namespace

void precondition(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  scale_gradients(context, args);
  parameter_sums(context, args);
  if (args.config->orthogonalise != 0) return orthogonal_precondition(context, args);
  if (args.config->approximation != LNGD_APPROXIMATION_LNGD) return dense_precondition(context, args);
  const CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_precondition);
  context.pool.parallel_for(static_cast<int64_t>(plan.precondition.size()), plan.work_precondition,
                            [&](int64_t task, int32_t worker) { run_task(context, args, task, worker); });
}

} // namespace lngd::cpu::LNGD_ISA
